"""The job that draws one figure: read the tables that its module asks for, draw, write the files.

    python -m squareloss.figures figure5 --table figure5.parquet --results FOLDER

Writes FOLDER/figures/figure5.png and .pdf, and FOLDER/tables/figure5.csv, .md and .tex if the
figure has a table. A figure looks the same whoever draws it: neither the backend that a notebook
sets nor a matplotlibrc of the user has a say.
"""

import argparse
import importlib
import os
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # read, and refused if unknown, when matplotlib is imported
import matplotlib
import pandas as pd

from squareloss import arguments
from squareloss.errors import run_stage
from squareloss.figures import style
from squareloss.source import catalog
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.landscape import LANDSCAPE
from squareloss.tables.layers import LAYERS
from squareloss.tables.margins import MARGINS
from squareloss.tables.parts import read
from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import Table
from squareloss.tables.small import AMPLE, FLOW

# What `catalog.TABLES` names. The margins and the arc are read part by part.
KINDS: dict[str, Table | PlainTable] = {
    "table": AGGREGATE,
    "margins": MARGINS,
    "layers": LAYERS,
    "landscape": LANDSCAPE,
    "ample": AMPLE,
    "gradientflow": FLOW,
}


def tables(module: Any, reads: tuple[str, ...], paths: dict[str, list[str]]) -> dict[str, Any]:
    """The arguments of a module's `draw`: one frame for each table that it reads.

    The margins of all runs would not fit in memory together, so of each part only what the module's
    `keep(part, table)` selects is held.
    """
    frames: dict[str, pd.DataFrame] = {}
    for name in reads:
        whole = bool(catalog.TABLES[name].parts)
        parts = (read([path], KINDS[name], whole) for path in paths[name])
        if name == "margins":
            parts = (module.keep(part, frames["table"]) for part in parts)
        frames[name] = pd.concat(parts, ignore_index=True)
    return frames


def main() -> None:
    """Command line of the job."""
    figures = catalog.figures()
    parser = argparse.ArgumentParser(prog="squareloss.figures", description="Draw one figure.")
    parser.add_argument("figure", choices=figures, metavar="FIGURE", help="its module's name")
    for name, reads in catalog.TABLES.items():
        parser.add_argument(f"--{name}", nargs="*", default=[], metavar="P", help=reads.meaning)
    parser.add_argument(
        "--made-from",
        type=arguments.json_text,
        default='""',
        help="JSON text: data and size, for the foot",
    )
    parser.add_argument("--results", required=True, help="the study's folder")
    options = parser.parse_args()
    about = figures[options.figure]
    for name in about.reads:
        if not getattr(options, name):
            parser.error(f"{about.name} needs --{name}: {catalog.TABLES[name].meaning}")

    matplotlib.rcdefaults()
    module = importlib.import_module(f"squareloss.figures.{about.name}")
    frames = tables(module, about.reads, vars(options))
    figure = module.draw(**frames, made_from=options.made_from)
    style.save(figure, f"{options.results}/figures/{about.name}")
    if about.tabulates:
        table = module.tabulate(frames[about.reads[0]])
        style.save_table(table, f"{options.results}/tables/{about.name}")


if __name__ == "__main__":
    run_stage(main)
