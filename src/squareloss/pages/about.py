"""The job of a study's README.md, config.json and croissant.json.

They say what was found, of what the results are made, and what lies where.

    python -m squareloss.pages.about --config JSON --made-from TEXT \
        --claims results/demo/claims/claims.txt --config-file results/demo/config.json \
        --output results/demo/README.md --croissant results/demo/croissant.json
"""

import json
from pathlib import Path

from squareloss.arguments import json_object, json_text, parser, refuse_overwriting
from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.pages.croissant import described
from squareloss.pages.study_readme import counted, page


def main() -> None:
    """Command line of the job."""
    options = parser(__doc__)
    options.add_argument("--config", type=json_object, required=True)
    options.add_argument("--made-from", type=json_text, required=True)
    for option in ("claims", "config-file", "output", "croissant"):
        options.add_argument(f"--{option}", required=True)
    arguments = options.parse_args()
    outputs = [arguments.config_file, arguments.croissant, arguments.output]
    refuse_overwriting([arguments.claims], outputs)
    config, made_from = arguments.config, arguments.made_from
    verdicts = counted(Path(arguments.claims).read_text(encoding="utf-8"))
    texts = [
        json.dumps(config, indent=1, sort_keys=True) + "\n",
        json.dumps(described(config["study"], made_from), indent=1),
        page(config, made_from, verdicts),
    ]
    for path, text in zip(outputs, texts, strict=True):
        with whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
