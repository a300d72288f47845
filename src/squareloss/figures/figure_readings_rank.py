"""Section 6.1, readings: rank with and without weight decay, in small batches and large ones.

The paper measures no rank. A row is a way to measure it: the loss, the classes, how the learning
rate falls, what is normalised and what decays. A panel is a tolerance: the number of singular
values of V_k above it, averaged over the layers before the last, at the end of training. A mark is
the median over the replicates that fit, and dots are the single replicates, grey without a fit.

The paper states that weight decay lowers the rank, by a constraint that depends on the size of the
batches. With `config/readings.yaml` one reading of five does so by more than a few of 100: the
first, where one of four replicates does not fit.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.figure_lowrank import TOLERANCES, full_rank
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

COLUMNS = [*(f"rank_{tolerance}" for tolerance in TOLERANCES), "train_error", "test_error"]
TITLES = [f"rank above {tolerance}" for tolerance in TOLERANCES]
TITLES += ["training error (share)", "test error (share)"]
VARIES = ("recipe_name", "dataset", "normalization", "loss", "weight_decay", "batch_size")
VARIED = ["weight_decay", "batch_size"]


def panel(ax: Axes, last: pd.DataFrame, order: list[str], column: str) -> None:
    """One measure: a row a recipe, in it a line for each weight decay and batch size."""
    cases = last[VARIED].drop_duplicates().sort_values(VARIED).to_numpy().tolist()
    colours = dict(zip(sorted(last["batch_size"].unique()), style.SERIES, strict=False))
    for i, (decay, batch) in enumerate(cases):
        rows = last[(last["weight_decay"] == decay) & (last["batch_size"] == batch)]
        colour = colours[batch]
        face = colour if decay > 0 else "none"
        good = style.fits(rows)
        groups = rows[good].groupby("recipe_name")[column]
        shift = 0.6 * (i / max(1, len(cases) - 1) - 0.5)
        y = [order.index(str(name)) + shift for name in groups.groups]
        label = f"λ = {decay:g}, batch {batch:g}"
        ax.plot(groups.median(), y, "o", ms=5, mfc=face, color=colour, label=label)
        for some, shade in ((rows[good], colour), (rows[~good], style.GREY)):
            places = [order.index(name) + shift for name in some["recipe_name"]]
            ax.plot(some[column], places, ".", ms=4.5, color=shade)
    for below in range(1, len(order)):
        ax.axhline(below - 0.5, color="0.85", lw=0.6)


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Medians over the replicates that fit: a row for each recipe, weight decay and batch size."""
    last = last_epoch(table)
    last.loc[~style.fits(last), COLUMNS] = np.nan
    middle = last.groupby(["recipe_name", *VARIED])[COLUMNS].median().reset_index()
    heads = dict(zip(COLUMNS, TITLES, strict=True))
    heads |= {"recipe_name": "reading", "weight_decay": "λ", "batch_size": "batch"}
    return Tabulation(middle, middle.map(_written).rename(columns=heads))


def _written(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "n/a" if np.isnan(value) else f"{value:.3g}"


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A row a reading, a panel a tolerance; then the errors."""
    style.check_sweep(table, *VARIES)
    order = list(table["recipe_name"].unique())
    figure = style.canvas(11, 0.55 * len(order) + 1.7)
    axes = figure.subplots(1, len(COLUMNS), sharey=True)
    for ax, column, title in zip(axes, COLUMNS, TITLES, strict=True):
        panel(ax, last_epoch(table), order, column)
        rank = column.startswith("rank")
        top = full_rank(table) if rank else max(last_epoch(table)[column].max(), 1e-3)
        ax.set_xlabel(f"{title}, of {top:g}" if rank else title)
        ax.set_xlim(-0.05 * top, 1.05 * top)
    axes[0].set_yticks(range(len(order)), order)
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.suptitle("Does weight decay lower the rank, however it is measured?")
    about = "Circles: medians over the replicates that fit; dots: single replicates."
    lost = style.unfitted(table, "recipe_name", *VARIED)
    style.foot(figure, made_from, about, lost, style.missing(table, "recipe_name", *VARIED))
    return figure
