"""Comparison: how any recipes train on the same images.

Errors, ρ, the mean margin, the margins' spread, NC1 and ranks against the epoch, a colour a run.
Bands are quartiles over the replicates that fit; replicates that do not fit are grey and dotted.
The runs are those of `experiments.figure_compare` in the config: recipes, and values of λ, start,
batch size and rate, on one data set with one N.

The paper has no such figure. It trains one network in one way, and this one shows what another
network, normalisation, loss or optimiser changes in what the paper states.

ρ and margins are comparable where the same norms are counted: with batch norm ρ is the norm of the
last layer times the size of ρ_top. The table: the median over the replicates at the last epoch, and
their range.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses, style
from squareloss.figures.courses import Panel
from squareloss.figures.style import Tabulation
from squareloss.tables.readable import number
from squareloss.tables.runs import RUN, last_epoch

VARIES = (
    "recipe_name",
    "network",
    "width",
    "normalization",
    "loss",
    "optimizer",
    "weight_decay",
    "init_scale",
    "batch_size",
    "learning_rate",
)
MOST_RUNS = 10  # as many as there are colours
PANELS = (
    *courses.ERRORS,
    courses.RHO,
    Panel("mean_margin", "Mean margin", f"mean of {style.MARGIN}", log=True),
    Panel("margin_spread", "Spread of the margins", "sd / mean of the margins", log=True),
    courses.NC1,
    Panel("stable_rank", "Stable rank", "stable rank, mean over $k<L$"),
    Panel("rank_1e-2", "Rank", "singular values above 0.01,\nmean over $k<L$"),
)


def varied(table: pd.DataFrame) -> list[str]:
    """What a curve is named by: its recipe, and the coordinates in which the runs differ."""
    coordinates = [name for name in RUN[1:] if name in VARIES]
    return ["recipe_name", *(name for name in coordinates if table[name].nunique() > 1)]


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a run: how many replicates fit, and each quantity at the last epoch."""
    by, numbers, text = varied(table), [], []
    for key, run in last_epoch(table).groupby(by, sort=False):
        fit = int(style.fits(run).sum())
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        cells = {
            style.SIGNS[name]: str(value) if isinstance(value, str) else number(value)
            for name, value in row.items()
        }
        row |= {"replicates": len(run), "fit": fit}
        cells["fit"] = f"{fit} of {len(run)}"
        for panel in PANELS:
            ends, cells[panel.title] = style.spanned(run[panel.column])
            row |= {f"{panel.column}_{name}": value for name, value in ends.items()}
        numbers.append(row)
        text.append(cells)
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a quantity and a curve a run."""
    style.check_sweep(table, *VARIES)
    by = varied(table)

    def label(recipe: str, *values: float) -> str:
        names = zip(by[1:], values, strict=True)
        return ", ".join([recipe, *(f"{style.SIGNS[name]} = {value:g}" for name, value in names)])

    return courses.draw(
        table,
        made_from,
        panels=PANELS,
        curves=courses.Curves(by, label),
        title="How do these networks train?",
        columns=3,
    )
