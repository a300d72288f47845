"""Sections 3.5, 4, 5.1 and 6.2: the numbers that the paper prints, beside ours in two countings.

Each row is a run at its last epoch, with its weight decay λ and its initialisation scale. Open
circles count all layers in ρ, as the paper's text does. Filled ones count the convolutions alone,
as the code of its authors does; diamonds are f_1 - f_2 over that ρ, which the code calls the
margin. Small marks are single replicates, grey if they do not fit; large ones are the medians of
those that do. Red: what the paper prints, at its own size alone. What is 0 or negative has no place
on a log axis.

To compare: Section 3.5 says that the largest margin is about 0.002 and that ρ is in the order of
500, Section 5.1 that margins are about 0.005, Figure 10 that their standard deviation is about 1e-4
with weight decay and essentially zero without, and Figure 6 that bounds are vacuous but "only" by
an order of magnitude: of Eq. 16 that is 10. Figure 6 is of a start of 0.1 and Figure 10 of six; the
others name none.

The table: median over the replicates, in brackets the smallest and largest.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from squareloss.figures import countings, style
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

VARIES = ("recipe_name", "weight_decay", "init_scale")
BY = [*VARIES]


class Quantity(NamedTuple):
    """A number of the paper: its name, what is printed, and our columns by the kind of mark."""

    label: str
    paper: str
    printed: tuple[float, ...]
    columns: dict[str, str]  # a key of `LOOKS` -> column


QUANTITIES = (
    Quantity(
        r"product norm $\rho$",
        "in the order of 500",
        (countings.RHO,),
        {"layers": "rho", "convolutions": "rho_convolutions"},
    ),
    Quantity(
        "mean margin",
        "about 0.002, about 0.005",
        countings.MARGINS,
        {
            "layers": "mean_margin",
            "convolutions": "mean_margin_convolutions",
            "difference": "mean_difference_convolutions",
        },
    ),
    Quantity(
        "sd of the margins",
        "about 1e-4; without decay about 0",
        (countings.SPREAD,),
        {
            "layers": "margin_sd",
            "convolutions": "margin_sd_convolutions",
            "difference": "difference_sd_convolutions",
        },
    ),
    Quantity(
        "bound of Eq. 16",
        'vacuous "only" by an order of magnitude',
        (countings.VACUOUS,),
        {"layers": "eq16_printed", "convolutions": "eq16_printed_convolutions"},
    ),
)
# Kind of mark -> its name, marker, and whether it is filled.
LOOKS = {
    "layers": (r"all layers in $\rho$ (the text)", "o", False),
    "convolutions": ("convolutions alone (the authors' code)", "o", True),
    "difference": (r"the same, of $f_1 - f_2$", "D", True),
}


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Last epoch of each replicate that fits."""
    last = last_epoch(table)
    return last[style.fits(last)]


def runs(table: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Recipe, weight decay and scale of each run, the larger decay first."""
    keys = table[BY].drop_duplicates()
    order = {name: place for place, name in enumerate(keys["recipe_name"].unique())}
    found = [(str(name), decay, init) for name, decay, init in keys.itertuples(index=False)]
    return sorted(found, key=lambda run: (order[run[0]], -run[1], run[2]))


def rows_of(table: pd.DataFrame, run: tuple[str, float, float]) -> pd.DataFrame:
    """The rows of one run."""
    same = [table[name] == value for name, value in zip(BY, run, strict=True)]
    return table[np.logical_and.reduce(same)]


def drawn(table: pd.DataFrame, quantity: Quantity) -> dict[str, str]:
    """The columns of a quantity that a table has."""
    return {kind: name for kind, name in quantity.columns.items() if name in table}


def tabulate(table: pd.DataFrame) -> Tabulation:
    """A row a run and counting: each quantity's median and range, and first what is printed."""
    found = measured(table)
    numbers, text = [], [["the paper", "", "", "", *(q.paper for q in QUANTITIES)]]
    kinds = [kind for kind in LOOKS if any(kind in drawn(table, q) for q in QUANTITIES)]
    for run in runs(table):
        rows = rows_of(found, run)
        for kind in kinds:
            row: dict[str, object] = dict(zip(BY, run, strict=True)) | {"counts": kind}
            cells = []
            for quantity in QUANTITIES:
                column = drawn(table, quantity).get(kind)
                values = rows[column] if column else pd.Series(dtype=float)
                ends, cell = style.spanned(values)
                name = quantity.columns["layers"]
                row |= {f"{name}_{end}": value for end, value in ends.items()}
                cells.append(cell if column else "")
            numbers.append(row | {"replicates": len(rows)})
            recipe, decay, init = run
            text.append([recipe, f"{decay:g}", f"{init:g}", LOOKS[kind][0], *cells])
    head = ["recipe", r"$\lambda$", "initialisation", "counts", *(q.label for q in QUANTITIES)]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def panel(ax: Axes, table: pd.DataFrame, quantity: Quantity) -> None:
    """One quantity: a line of text's height a run."""
    if countings.own_size(table):
        if len(quantity.printed) == 2:
            ax.axvspan(*quantity.printed, color=style.RED, alpha=0.2, lw=0)
        for value in quantity.printed:
            ax.axvline(value, color=style.RED, lw=1.3)
    last = last_epoch(table)
    ax.set_xscale("log")
    for y, run in enumerate(runs(table)):
        rows = rows_of(last, run)
        good = style.fits(rows)
        for kind, column in drawn(table, quantity).items():
            positive = rows[column] > 0
            _, marker, filled = LOOKS[kind]
            for which, colour in ((good, style.BLUE), (~good, style.GREY)):
                values = rows.loc[which & positive, column]
                look: dict[str, Any] = {
                    "marker": marker,
                    "color": colour,
                    "mfc": colour if filled else "white",
                }
                ax.plot(values, [y] * len(values), ls="none", ms=2.5, alpha=0.35, **look)
                if which is good and len(values):
                    ax.plot([values.median()], [y], ls="none", ms=6, **look)
    ax.set_xlabel(quantity.label)
    ax.grid(axis="y", lw=0.4)
    if not np.isfinite(last["rho"]).any():
        style.nothing(ax)


def names(table: pd.DataFrame) -> list[str]:
    """What stands beside the rows; the recipe only where there are several."""
    several = table["recipe_name"].nunique() > 1
    return [
        (f"{recipe}, " if several else "") + rf"$\lambda$ = {decay:g}, init {init:g}"
        for recipe, decay, init in runs(table)
    ]


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw a panel for each quantity, a row for each run."""
    style.check_sweep(table, *VARIES)
    labels = names(table)
    figure = style.canvas(11, 0.27 * len(labels) + 1.9)
    title = "Which counting of $\\rho$ gives the paper's numbers?"
    figure.suptitle(title, x=0.01, ha="left")  # the legend is on the right
    axes = figure.subplots(1, len(QUANTITIES), sharey=True)
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        panel(ax, table, quantity)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.5, -0.5)
    shown = [kind for kind in LOOKS if any(kind in drawn(table, q) for q in QUANTITIES)]
    handles = [
        Line2D([], [], marker=LOOKS[kind][1], color=style.BLUE, ls="none", label=LOOKS[kind][0],
               mfc=style.BLUE if LOOKS[kind][2] else "white")
        for kind in shown
    ]  # fmt: skip
    about = "The paper's numbers are not drawn: they can be compared at its own size only."
    if countings.own_size(table):
        handles.append(Line2D([], [], color=style.RED, lw=1.3, label="the paper"))
        about = ""
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    several = table["replicate"].nunique() > 1
    marks = "Small marks: replicates; large ones: medians." if several else ""
    lost = style.unfitted(table, *BY[1:]), style.missing(table, *BY[1:])
    style.foot(figure, made_from, "Last epoch; Eq. 16 as printed.", marks, *lost, about)
    return figure
