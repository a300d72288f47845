"""From the dictionary that Snakemake merged to a checked study, or to one line that names the key.

A recipe may name another with `like`, whose keys it takes over; this is resolved after overlays
have been merged, so an overlay of the one reaches the other.
"""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from squareloss.errors import UserError
from squareloss.spec import Recipe, Schedule
from squareloss.study.checks import check, check_choice
from squareloss.study.config import LONGEST_CHAIN, Baseline, Dataset, Experiment, Study, Sweep


def load(raw: dict[str, Any]) -> Study:
    """Validate the merged config.

    Raises `UserError`, one line that names the key and what is allowed, for whatever is wrong.
    """
    try:
        study = Study.model_validate(_with_whole_recipes(raw))
    except ValidationError as error:
        raise UserError(_one_line(error)) from None
    check(study)
    return study


def _with_whole_recipes(raw: dict[str, Any]) -> dict[str, Any]:
    """The config with `like` of every recipe replaced by what it stands for."""
    recipes = raw.get("recipes")
    if not isinstance(recipes, dict):
        return raw
    return raw | {"recipes": {name: _whole_recipe(recipes, [name]) for name in recipes}}


def _whole_recipe(recipes: dict[str, Any], chain: list[str]) -> Any:
    """The last recipe of `chain`: all keys of the one that it is like, then its own over them.

    `chain` is the way there, each recipe like the next. What is no mapping stays for the
    validation to refuse.
    """
    recipe = recipes[chain[-1]]
    if not isinstance(recipe, dict) or "like" not in recipe:
        return recipe
    key, other = f"recipes.{chain[-1]}.like", recipe["like"]
    if len(chain) > LONGEST_CHAIN:
        raise UserError(f"config: {key}: the end of a chain of more than {LONGEST_CHAIN} recipes")
    check_choice(key, other, [name for name in recipes if isinstance(name, str)])
    if other in chain:
        raise UserError(f"config: {key}: a circle: {', '.join([*chain, other])}; let one end it")
    base = _whole_recipe(recipes, [*chain, other])
    own = {name: value for name, value in recipe.items() if name != "like"}
    return base | own if isinstance(base, dict) else own


def _one_line(error: ValidationError) -> str:
    """The first problem of a validation error as one line: key, what is wrong, what is allowed."""
    problem, *others = error.errors()
    key = _key(problem["loc"])
    if problem["type"] == "extra_forbidden":
        model = _model_at(problem["loc"][:-1])
        allowed = sorted([*model.model_fields, *(["like"] if model is Recipe else [])])
        close = difflib.get_close_matches(str(problem["loc"][-1]), allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = f"unknown key; {hint}allowed: {', '.join(allowed)}"
    elif problem["type"] == "missing":
        message = "is required and missing"
    elif problem["type"] == "tuple_type":
        message = f"must be a list, got {problem['input']!r}"
    elif problem["type"] == "string_type" and isinstance(problem["input"], list | dict):
        message = f"must be one text, got {problem['input']!r}"
    elif problem["type"] == "string_type" and problem["input"] is not None:
        # YAML reads 2024 and 1e3 as numbers and yes as true, not as text.
        message = (
            f"must be text, got {problem['input']!r}; quote it in a file, "
            "or choose a name that is no number"
        )
    else:
        value = problem["input"]
        shown = f", got {value!r}" if isinstance(value, str | int | float | None) else ""
        message = problem["msg"].removeprefix("Value error, ") + shown
    more = f" (and {len(others)} more)" if others else ""
    return " ".join(f"config: {key or 'the file'}: {message}{more}".splitlines())


def _key(location: tuple[str | int, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".").removesuffix(".[key]")


def _model_at(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that validates the mapping at `location`: what keys it allows."""
    models: dict[str, type[BaseModel]] = {
        "datasets": Dataset,
        "recipes": Recipe,
        "experiments": Experiment,
    }
    if not location:
        return Study
    if location[0] == "baseline":
        return Baseline
    if location[0] == "recipes" and location[2:] == ("schedule",):
        return Schedule
    if location[0] == "experiments" and location[2:3] == ("sweeps",):
        return Sweep
    return models[str(location[0])]
