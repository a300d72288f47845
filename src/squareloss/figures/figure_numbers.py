"""Sections 3.5, 5.1 and 6.2: numbers that the paper prints, beside ours.

ρ, mean margin, standard deviation of the margins and test accuracy at the last epoch, against the
initialisation scale, with and without weight decay. Dots are single replicates, lines join their
medians. Dashed, or as a band: what the paper prints. What is 0 or negative has no place on a log
axis.

To compare: Section 3.5 says that the largest margin is about 0.002 and that ρ is in the order of
500, Section 5.1 that margins are about 0.005, and Figure 10 that their standard deviation is about
1e-4 with weight decay and essentially zero without. The test accuracies of Figure 5 are in a
picture.

The table: median over the replicates, in brackets the smallest and largest.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.errors import UserError
from squareloss.figures import style
from squareloss.figures.figure5 import points
from squareloss.figures.reading_statements import MARGINS, RHO, SPREAD
from squareloss.figures.style import Tabulation


class Quantity(NamedTuple):
    """A column, its name with the unit, what the paper prints of it, and that as numbers."""

    column: str
    label: str
    paper: str
    printed: tuple[float, ...]  # none, one, or the ends of a range
    log: bool = True


QUANTITIES = (
    Quantity("rho", r"product norm $\rho$", "in the order of 500", (RHO,)),
    Quantity("mean_margin", r"mean margin $y_n f_n$", "0.002 to 0.005", MARGINS),
    Quantity("margin_sd", "sd of the margins", "1e-4; without decay about 0", (SPREAD,)),
    Quantity("test_accuracy", "test accuracy (share)", "in a picture", (), log=False),
)


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Last epoch of each replicate that did not diverge, with `test_accuracy`."""
    last = points(table)
    return last[np.isfinite(last["rho"])]


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a run: each quantity's median and range, and first what the paper prints."""
    found = measured(table)
    numbers, text = [], [["paper", "", "", *(quantity.paper for quantity in QUANTITIES)]]
    for decay in style.decays(table):
        for init in sorted(table["init_scale"].unique()):
            run = found[(found["weight_decay"] == decay) & (found["init_scale"] == init)]
            row: dict[str, float] = {"weight_decay": decay, "init_scale": init}
            cells = []
            for column, *_ in QUANTITIES:
                ends, cell = style.spanned(run[column])
                row |= {f"{column}_{name}": value for name, value in ends.items()}
                cells.append(cell)
            numbers.append(row | {"replicates": len(run)})
            text.append(["this study", f"{decay:g}", f"{init:g}", *cells])
    head = ["source", r"$\lambda$", "initialisation", *(q.label for q in QUANTITIES)]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def panel(ax: Axes, found: pd.DataFrame, quantity: Quantity, decays: list[float]) -> None:
    """One quantity against the initialisation scale."""
    style.printed(ax, quantity.printed, ls="--", label="the paper")
    for decay, colour, shift in zip(
        decays, (style.BLUE, style.ORANGE), (-0.006, 0.006), strict=False
    ):
        run = found[found["weight_decay"] == decay]
        values = run[quantity.column]
        ax.plot(run["init_scale"] + shift, values, ".", color=colour, alpha=0.45, ms=5)
        middle = values.groupby(run["init_scale"]).median()
        ax.plot(middle.index + shift, middle, "-", color=colour, label=rf"$\lambda$ = {decay:g}")
    ax.set(xlabel="initialisation scale", ylabel=quantity.label)
    if quantity.log:
        ax.set_yscale("log")
    if found.empty:
        style.nothing(ax)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw a panel for each quantity, with weight decay and without."""
    style.check_sweep(table, "weight_decay", "init_scale")
    decays = style.decays(table)
    if len(decays) > 2:
        raise UserError(f"this figure takes two values of weight_decay, not {len(decays)}")
    figure = style.canvas(10.5, 3.1)
    axes = figure.subplots(1, len(QUANTITIES))
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        panel(ax, measured(table), quantity, decays)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    about = (
        "Dots: single replicates at the last epoch; lines: their medians; grey: the paper. "
        "What is 0 or negative has no place on a log axis."
    )
    style.foot(figure, made_from, style.missing(table, "weight_decay", "init_scale"), about)
    return figure
