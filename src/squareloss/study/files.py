"""Config files and their overlays, read as Snakemake reads them, without it."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from squareloss.errors import UserError
from squareloss.study.config import Study
from squareloss.study.load import load

MOST_VALUES = 1_000_000  # in one file, with what aliases repeat
TOO_DEEP = "its lists and mappings are nested too deeply"
# Numbers of YAML 1.1 that do not mean what they say: 040 is 32, and 1:30 is 90.
OCTAL_OR_SEXAGESIMAL = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


def read(paths: list[str]) -> Study:
    """The study of a config file and its overlays. Raises `UserError` for what is wrong in them."""
    raw: dict[str, Any] = {}
    for path in paths:
        refuse_duplicates(path)
        raw = merged(raw, _content(path))
    return load(raw)


def _content(path: str) -> dict[str, Any]:
    """What a file holds: JSON or, if it is none, YAML."""
    text = _text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = yaml.load(text, Loader=yaml.CSafeLoader) or {}
    if not isinstance(found, dict):
        raise UserError(f"{path}: must hold keys and their values, not a {type(found).__name__}")
    return found


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save it as such") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a config file") from None


def _composed(path: str | Path) -> yaml.Node | None:
    """The nodes of a file, which know their lines. JSON is YAML, but for tabs between values."""
    text = _text(path)
    try:
        json.loads(text)
        text = text.replace("\t", " ")  # within a JSON text a tab is written \\t
    except ValueError:
        pass
    except RecursionError:
        raise UserError(f"{path}: {TOO_DEEP}") from None
    try:
        # The loader's constructors find values that are none, such as numbers of 5,000 digits.
        yaml.load(text, Loader=yaml.CSafeLoader)
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except RecursionError:
        raise UserError(f"{path}: {TOO_DEEP}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise UserError(f"{path}: not valid YAML ({reason})") from None


def merged(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`overlay` over `base` as Snakemake does it: mappings merge, everything else is replaced."""
    result = dict(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def refuse_duplicates(path: str | Path) -> None:
    """Raise `UserError` for what YAML takes in silence and does not mean what it says.

    It names file, line and key where a mapping has a key twice, of which YAML keeps the last, and
    where a number is octal or sexagesimal. Aliases must not go in a circle or make a file huge.
    """
    root = _composed(path)
    if root is None:
        return
    try:
        values = _size(path, root, {}, set())
    except RecursionError:
        raise UserError(f"{path}: {TOO_DEEP}") from None
    if values > MOST_VALUES:
        size = f"{values:,}" if values < 1e12 else "more than 1e12"
        raise UserError(f"{path}: {size} values with its aliases; allowed: up to {MOST_VALUES:,}")
    waiting, visited = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        waiting += _parts(node)
        place = f"{path}, line {node.start_mark.line + 1}"
        if isinstance(node, yaml.ScalarNode) and _misleads(node):
            number = yaml.safe_load(node.value)
            raise UserError(
                f"{place}: {node.value} is read as {number}; write {number}, or quote a name"
            )
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                shown = key.value if key.value.isprintable() else repr(key.value)
                raise UserError(f"{path}, line {line}: {shown} is given twice; keep one")
            seen.add(key.value)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes directly in a list or a mapping."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _size(path: str | Path, node: yaml.Node, sizes: dict[int, int], around: set[int]) -> int:
    """How many values a node holds, each alias counted as what it repeats.

    `sizes` are those known, `around` the nodes that this one lies in. Raises `UserError` for one in
    itself.
    """
    if id(node) in around:
        line = node.start_mark.line + 1
        raise UserError(f"{path}, line {line}: holds an alias of itself; write it out")
    if id(node) not in sizes:
        around.add(id(node))
        sizes[id(node)] = 1 + sum(_size(path, part, sizes, around) for part in _parts(node))
        around.remove(id(node))
    return sizes[id(node)]


def _misleads(node: yaml.ScalarNode) -> bool:
    numbers = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    return (
        node.tag in numbers
        and not node.style  # no quotes
        and OCTAL_OR_SEXAGESIMAL.fullmatch(node.value) is not None
    )
