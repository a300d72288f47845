"""What the command lines of stages share: checked values, and outputs that overwrite no input."""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from squareloss.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser described by the first line of a module's docstring.

    That is None under `python -OO` (PYTHONOPTIMIZE=2), which leaves docstrings out.
    """
    return argparse.ArgumentParser(description=(about or "").partition("\n")[0])


def positive(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def seconds(text: str) -> float:
    """A finite number, 0 or more."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number, 0 or more")
    return value


def probability(text: str) -> float:
    """A number between 0 and 1, both left out."""
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number, 1 or more")
    return int(text)


def json_text(text: str) -> str:
    """A JSON text, e.g. '"10 runs"'."""
    value = _json(text)
    if not isinstance(value, str):
        raise argparse.ArgumentTypeError("is not a JSON text")
    return value


def json_object(text: str) -> dict:
    """A JSON object, e.g. '{"study": "demo"}'."""
    value = _json(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("is not a JSON object")
    return value


def read_as(model: type[Model], text: str) -> Model:
    """The value of `--spec`. Raises `UserError` that names the key, also for another version's."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(f"--spec: {key or 'JSON'}: {problem['msg']}") from None


def refuse_overwriting(inputs: Iterable[str | Path], outputs: Iterable[str | Path]) -> None:
    """Raise `UserError` where an output is an input, or is named twice; links are followed."""
    read = {Path(path).resolve() for path in inputs}
    written: set[Path] = set()
    for path in outputs:
        place = Path(path).resolve()
        if place in read:
            raise UserError(f"{path} is to be read and written; name another output")
        if place in written:
            raise UserError(f"{path} is named for two outputs; name another for one of them")
        written.add(place)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
