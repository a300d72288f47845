r"""Section 4: how far from vacuous the bounds are, the paper's and the literature's.

Every bound on the test error of the same networks, which have no training error, and the measured
generalisation gap. Beside the paper's Eq. 16, 19, 24, 25 and Theorem 7: Golowich et al. and
Neyshabur et al. with the network taken as dense, Bartlett et al.'s spectral bound and the parameter
count, the last two with their unknown constants set to 1, which favours them. Norms are multiplied
by max \|\|x\|\|.

The paper states that kernels counted once give bounds orders of magnitude below those of the dense
network, and calls its own vacuous "only" by an order of magnitude. With `config/long.yaml` the
first holds, and every bound is above 1, which says nothing. Right: how many training images would
bring each network's bound to 1, its norms being as they are: all bounds fall as 1/√N, but for the
ramp loss on the training set, which is a part of Theorem 3's.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.style import Tabulation
from squareloss.tables.readable import number
from squareloss.tables.runs import last_epoch
from squareloss.theory.bounds import BOUNDS

VARIES = ("recipe_name", "network", "width", "n_train", "batch_size")
IMAGES = "_images"  # of the columns that say how many images would bring a bound to 1
TITLES = {bound.name: bound.title for bound in BOUNDS.values()}


def fitted(table: pd.DataFrame) -> pd.DataFrame:
    """Last rows of the networks without training error, with their generalisation gap."""
    last = last_epoch(table)
    last = last[last["train_error"] == 0]
    return last.assign(gap=last["test_error"] - last["train_error"])


def enough(rows: pd.DataFrame) -> pd.DataFrame:
    """N at which each network's bounds would be 1."""
    return pd.DataFrame(
        {
            name: bound.images_for_one(rows[name], rows["ramp_loss"], rows["n_train"])
            for name, bound in BOUNDS.items()
        }
    )


def words(rows: pd.DataFrame) -> str:
    """What a panel's network is: its name, width and the largest norm of its images."""
    first, norm = rows.iloc[0], rows["max_norm"].median()
    width = f" at {first['width']:g} x width" if first["width"] != 1 else ""
    return f"{first['network']}{width}, images of norm at most {norm:.3g}"


def shift(n: int, colours: dict[int, str]) -> float:
    """Below or above a row's middle, so that no N hides another."""
    return 0.22 * (list(colours).index(n) - (len(colours) - 1) / 2)


def panel(ax: Axes, rows: pd.DataFrame, order: list[str], colours: dict[int, str]) -> None:
    """Every bound of every network that fits, and the measured gap, on one axis; a colour an N."""
    for n in sorted(rows["n_train"].unique()):
        some = rows[rows["n_train"] == n]
        for y, name in enumerate(order):
            label = f"N = {n:,}" if y == 0 else None
            values = some[name][some[name] > 0]
            places = [y + shift(n, colours)] * len(values)
            ax.plot(values, places, "o", ms=3.5, mfc="none", mec=colours[n], label=label)
    ax.axvline(1, color=style.RED, lw=1, ls=":", label="vacuous above 1")
    ax.set_xscale("log")
    ax.set_yticks(range(len(order)), [TITLES.get(name, "measured gap") for name in order])
    ax.set_xlabel("bound on the test error (share), and the gap that was measured")
    ax.legend()


def images_panel(ax: Axes, rows: pd.DataFrame, order: list[str], colours: dict[int, str]) -> None:
    """How many images each network's bounds would take to reach 1."""
    for n in rows["n_train"].unique():
        some = enough(rows[rows["n_train"] == n])
        for y, name in enumerate(order):
            if name in some:
                places = [y + shift(n, colours)] * len(some)
                ax.plot(some[name], places, "o", ms=3.5, mfc="none", mec=colours[n])
    ax.set_xscale("log")
    ax.set_xlabel("training images at which the bound would be 1")


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Median of every bound over the replicates that fit, one row a network and N."""
    rows = fitted(table)
    needed = enough(rows).add_suffix(IMAGES)
    columns = ["gap", *BOUNDS, *needed]
    middle = rows.join(needed).groupby(["recipe_name", "n_train"])[columns].median().reset_index()
    text = middle.map(lambda value: number(value) if isinstance(value, float) else str(value))
    titles = TITLES | {f"{name}{IMAGES}": f"{title}: N for 1" for name, title in TITLES.items()}
    return Tabulation(middle, text.rename(columns=titles))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """One panel a network: bounds from the tightest down, the measured gap on top."""
    style.check_sweep(table, *VARIES)
    rows = fitted(table)
    recipes = sorted(table["recipe_name"].unique())
    colours = dict(zip(sorted(table["n_train"].unique()), style.SERIES, strict=False))
    figure = style.canvas(11.5, 3.4 * len(recipes) + 0.4)
    axes = figure.subplots(len(recipes), 2, sharey="row", squeeze=False, width_ratios=[3, 2])
    for (left, right), recipe in zip(axes, recipes, strict=True):
        some = rows[rows["recipe_name"] == recipe]
        left.set_title(words(table[table["recipe_name"] == recipe]))
        if some.empty:
            style.nothing(left, "no network without training error: no bound applies")
            right.set_axis_off()
            continue
        order = ["gap", *np.log(some[list(BOUNDS)]).median().sort_values().index]
        panel(left, some, order, colours)
        images_panel(right, some, order, colours)
        left.invert_yaxis()
    figure.suptitle("Which bound says anything about these networks?")
    deltas = ", ".join(f"{delta:g}" for delta in table["delta"].dropna().unique())
    about = (
        "A circle is a network without training error, as the bounds assume; rho is taken times "
        f"max ||x||, delta = {deltas}."
    )
    by, last = ("recipe_name", "n_train"), last_epoch(table)
    erring = style.lost(last, last["train_error"] > 0, *by)
    left = f"Not drawn, since they have training error: {erring}." if erring else ""
    style.foot(figure, made_from, about, left, style.missing(table, *by))
    return figure
