"""The JSON Schema of `config.yaml`, for editors that complete and check YAML.

python -m squareloss.study.schema > config/schema.json
"""

import json
import sys
from typing import Any

from squareloss.errors import UserError, run_stage
from squareloss.model import normalization
from squareloss.study.config import Study


def schema() -> dict[str, Any]:
    """The JSON Schema of `config.yaml`, for editors that complete and check YAML.

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


def main() -> None:
    """Print the schema."""
    print(json.dumps(schema(), indent=2, sort_keys=True))


if __name__ == "__main__":
    run_stage(main)
