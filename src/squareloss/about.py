"""The job of a study's README.md and croissant.json: of what the results are made, what lies where.

    python -m squareloss.about --config JSON --made-from TEXT \
        --output results/demo/README.md --croissant results/demo/croissant.json
"""

import json

from squareloss.arguments import json_object, json_text, parser, refuse_overwriting
from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.pages.croissant import described
from squareloss.pages.study_readme import page


def main() -> None:
    """Command line of the job."""
    options = parser(__doc__)
    options.add_argument("--config", type=json_object, required=True)
    options.add_argument("--made-from", type=json_text, required=True)
    for option in ("output", "croissant"):
        options.add_argument(f"--{option}", required=True)
    arguments = options.parse_args()
    refuse_overwriting([], [arguments.output, arguments.croissant])
    config, made_from = arguments.config, arguments.made_from
    tables = json.dumps(described(config["study"], made_from), indent=1)
    for path, text in ((arguments.croissant, tables), (arguments.output, page(config, made_from))):
        with whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
