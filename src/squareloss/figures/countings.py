"""rho in figures: all layers, as the paper's text has it, and beside it the convolutions alone.

The authors' public code multiplies the norms of the convolutions and no others, and takes the
difference of the two outputs over that product for the margin (docs/errata.md). Where norms are
frozen the two countings differ by a constant of the run, so that a second axis shows the other one.

What the paper prints of rho and the margins is drawn at its own size only, since both grow or fall
with the width and N. It stands on the axis of the convolutions, where its numbers are found.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from squareloss.figures import style

RHO = 500  # "in the order of", Section 3.5
LARGEST_MARGIN = 0.002  # about, Section 3.5
TYPICAL_MARGIN = 0.005  # about, Section 5.1
MARGINS = (LARGEST_MARGIN, TYPICAL_MARGIN)
SPREAD = 1e-4  # of the margins with weight decay, Figure 10
VACUOUS = 10  # of Eq. 16: vacuous, but "only" by an order of magnitude, Figure 6
ALMOST_VACUOUS = 1  # of Eq. 16, where a bound begins to say something: "almost not", Figure 7
AXIS = r"$\rho$, convolutions alone"
NOTE = (
    "Convolutions alone: rho without the norms of the dense layers, as in the authors' code, whose "
    "margin is f_1 - f_2 over that rho."
)


def in_order_of(printed: float, value: float) -> bool:
    """Whether a value is within a factor of sqrt(10) of what is printed; both positive."""
    return value > 0 and abs(math.log10(value / printed)) <= 0.5


def own_size(table: pd.DataFrame) -> bool:
    """Whether all runs are of the paper's network at its full width and number of images."""
    size = (table["network"] == "cnn6") & (table["width"] == 1) & (table["n_train"] == 10_000)
    return bool(size.all())


def known(table: pd.DataFrame) -> bool:
    """Whether a table has the columns of the convolutions, and values in them.

    Tables of before these columns and networks without convolutions have none.
    """
    return "rho_convolutions" in table and bool(table["rho_convolutions"].notna().any())


def dense_norms(table: pd.DataFrame) -> float:
    """rho over rho of the convolutions: the product of the dense layers' norms.

    The median over the rows, since replicates differ by a few per cent. NaN where it is not known,
    and where norms move so much that one number does not stand for all rows.
    """
    if not known(table):
        return math.nan
    ratio = (table["rho"] / table["rho_convolutions"]).dropna()
    steady = bool(ratio.max() <= 1.25 * ratio.min())
    return float(ratio.median()) if steady else math.nan


def second_axis(ax: Axes, side: str, factor: float, label: str) -> None:
    """An axis on the "right" or at the "top" that shows `factor` times the values of the first."""
    functions = (lambda value: value * factor, lambda value: value / factor)
    if side == "right":
        right = ax.secondary_yaxis("right", functions=functions)
        right.set_ylabel(label)
        right.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        return
    top = ax.secondary_xaxis("top", functions=functions)
    top.set_xlabel(label, loc="left")  # on the right is the power of ten
    top.xaxis.set_major_locator(MaxNLocator(5))


def rho_axis(ax: Axes, dense: float, printed: bool = False) -> None:
    """A second axis for a panel whose y axis is rho: the convolutions alone; the paper's 500.

    `dense`: the product of the dense layers' norms.
    """
    if printed:
        style.printed(ax, (RHO * dense,), ls="--", label=f"the paper: {RHO} (right axis)")
    second_axis(ax, "right", 1 / dense, AXIS)
