r"""Section 4: how far from vacuous the bounds are, the paper's and the literature's.

Every bound on the test error of the same networks, which have no training error, and the measured
generalisation gap. Beside the paper's Eq. 16, 19, 24, 25 and Theorem 7: Golowich et al. and
Neyshabur et al. with the network taken as dense, Bartlett et al.'s spectral bound and the parameter
count, the last two with their unknown constants set to 1, which favours them. Norms are multiplied
by max \|\|x\|\|.

To compare: kernels counted once give bounds orders of magnitude below those of the dense network; 1
and above is vacuous.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.generalization import number
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch
from squareloss.theory.bounds import BOUNDS

TITLES = {bound.name: bound.title for bound in BOUNDS.values()}


def fitted(table: pd.DataFrame) -> pd.DataFrame:
    """Last rows of the networks without training error, with their generalisation gap."""
    last = last_epoch(table)
    last = last[last["train_error"] == 0]
    return last.assign(gap=last["test_error"] - last["train_error"])


def panel(ax: Axes, rows: pd.DataFrame, order: list[str]) -> None:
    """Every bound of every network that fits, and the measured gap, on one axis."""
    sizes = sorted(rows["n_train"].unique())
    for n, colour in zip(sizes, style.SERIES, strict=False):
        some = rows[rows["n_train"] == n]
        for y, name in enumerate(order):
            label = f"N = {n:,}" if y == 0 else None
            values = some[name][some[name] > 0]
            ax.plot(values, [y] * len(values), "o", ms=4, mfc="none", mec=colour, label=label)
    ax.axvline(1, color=style.RED, lw=1, ls=":", label="vacuous above 1")
    ax.set_xscale("log")
    ax.set_yticks(range(len(order)), [TITLES.get(name, "measured gap") for name in order])
    ax.set_xlabel("bound on the test error (share), and the gap that was measured")
    ax.invert_yaxis()
    ax.legend()


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Mean of every bound over the replicates that fit, one row a network and N."""
    rows = fitted(table)
    means = rows.groupby(["recipe_name", "n_train"])[["gap", *BOUNDS]].mean().reset_index()
    text = means.map(lambda value: number(value) if isinstance(value, float) else str(value))
    return Tabulation(means, text.rename(columns=TITLES))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """One panel a network: bounds from the tightest down, the measured gap on top."""
    style.check_sweep(table, "network", "width", "n_train", "batch_size")
    rows = fitted(table)
    recipes = sorted(table["recipe_name"].unique())
    figure = style.canvas(9.6, 3.4 * len(recipes) + 0.4)
    axes = figure.subplots(len(recipes), 1, squeeze=False)[:, 0]
    for ax, recipe in zip(axes, recipes, strict=True):
        some = rows[rows["recipe_name"] == recipe]
        ax.set_title(recipe)
        if some.empty:
            style.nothing(ax, "no network without training error: no bound applies")
            continue
        order = np.log(some[list(BOUNDS)]).mean().sort_values().index
        panel(ax, some, ["gap", *order])
    deltas = ", ".join(f"{delta:g}" for delta in table["delta"].dropna().unique())
    about = (
        "A circle is a network without training error, as the bounds assume; rho is taken times "
        f"max ||x||, delta = {deltas}."
    )
    style.foot(figure, made_from, about, style.missing(table, "recipe_name", "n_train"))
    return figure
