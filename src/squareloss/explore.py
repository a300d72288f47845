"""The job of `explore.html`, a page to look around in all runs of a study.

    python -m squareloss.explore --tables aggregate/A.parquet ... --margins metrics/margins \
        --made-from TEXT --output explore.html
"""

import argparse
import json
from pathlib import Path

from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.pages.explorer import page
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import read_runs


def main() -> None:
    """Command line of the job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", nargs="+", required=True)
    parser.add_argument("--margins", required=True, type=Path)
    parser.add_argument("--made-from", required=True)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    tables = {Path(path).stem: read_runs(path, AGGREGATE) for path in arguments.tables}
    text = page(tables, arguments.margins, json.loads(arguments.made_from))
    with whole(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
