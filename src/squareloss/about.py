"""The job of a study's README.md and croissant.json: of what the results are made, what lies where.

    python -m squareloss.about --config JSON --made-from TEXT \
        --output results/demo/README.md --croissant results/demo/croissant.json
"""

import argparse
import json

from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.pages.croissant import described
from squareloss.pages.study_readme import page


def main() -> None:
    """Command line of the job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for option in ("config", "made-from", "output", "croissant"):
        parser.add_argument(f"--{option}", required=True)
    arguments = parser.parse_args()
    config, made_from = json.loads(arguments.config), json.loads(arguments.made_from)
    tables = json.dumps(described(config["study"], made_from), indent=1)
    for path, text in ((arguments.croissant, tables), (arguments.output, page(config, made_from))):
        with whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
