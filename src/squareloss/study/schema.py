"""The JSON Schema of `config.yaml` and its overlays, for editors that complete and check YAML.

python -m squareloss.study.schema > config/schema.json
"""

import json
import sys
from typing import Any

from squareloss.errors import UserError, run_stage
from squareloss.model import normalization
from squareloss.study.config import Study


def schema() -> dict[str, Any]:
    """The JSON Schema of a whole study.

    Raises `UserError` under `python -OO`: models are described by their docstrings.
    """
    if sys.flags.optimize > 1:
        raise UserError("the schema quotes docstrings: unset PYTHONOPTIMIZE")
    found: dict[str, Any] = Study.model_json_schema()
    recipe = found["$defs"]["Recipe"]
    recipe["properties"]["like"] = {
        "type": "string",
        "description": "another recipe, whose keys this one takes over where it has none itself",
    }
    del recipe["required"]  # since they may be those of another recipe
    # What is found by name may be added to; an editor offers what there is.
    rule = recipe["properties"]["normalization"]
    del rule["pattern"]
    rule["enum"] = normalization.names()
    return found


def of_a_file() -> dict[str, Any]:
    """The same of one file: an overlay leaves keys out, and one value may stand for a list of it.

    Raises `UserError` under `python -OO`.
    """
    found = schema()
    models = found["$defs"]
    for model in (found, *models.values()):
        model.pop("required", None)
    sweep, classes = models["Sweep"]["properties"], models["Dataset"]["properties"]["classes"]
    sweep.update({key: _or_one(values) for key, values in sweep.items()})
    classes["items"] = _or_one(classes["items"])
    found["properties"]["figures"] = _or_one(found["properties"]["figures"])
    return found


def _or_one(values: dict[str, Any]) -> dict[str, Any]:
    """A list of values or a single one."""
    about = {key: values[key] for key in ("description", "default") if key in values}
    return about | {"anyOf": [values, values["items"]]}


def main() -> None:
    """Print the schema of a file."""
    print(json.dumps(of_a_file(), indent=2, sort_keys=True))


if __name__ == "__main__":
    run_stage(main)
