"""The job of `explore.html`, a page to look around in all runs of a study.

    python -m squareloss.pages.explore --tables aggregate/A.parquet ... --margins metrics/margins \
        --made-from TEXT --output explore.html
"""

from pathlib import Path

from squareloss.arguments import json_text, parser, refuse_overwriting
from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.pages.explorer import page
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import read_runs


def main() -> None:
    """Command line of the job."""
    options = parser(__doc__)
    options.add_argument("--tables", nargs="+", required=True)
    options.add_argument("--margins", required=True, type=Path)
    options.add_argument("--made-from", type=json_text, required=True)
    options.add_argument("--output", required=True, type=Path)
    arguments = options.parse_args()
    refuse_overwriting(arguments.tables, [arguments.output])
    tables = {Path(path).stem: read_runs(path, AGGREGATE) for path in arguments.tables}
    text = page(tables, arguments.margins, arguments.made_from)
    with whole(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
