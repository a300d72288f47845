"""Figure 8: do the margins narrow as rho falls?

(a) Histograms of the margins y f_V(x) of all training samples of one replicate at the snapshot
epochs, old to new from light to dark, the last in red; each is scaled to its own peak. (b) The last
two snapshots on a scale of their own; the dashed line is 1/ρ, where all the margins are at
interpolation. (c) The course of ρ of that replicate, and median and quartiles of all that fit.
Initialisation scale 0.9, λ = 0.001.

In the paper (Lemma 1, Section 5.1) the histogram narrows around a single value, whose mean stays
below 1/ρ for λ > 0. With `config/long.yaml` margins narrow around one value, too, which grows as ρ
falls. The paper's margins are about 0.002 (Section 3.5) to 0.005 (Section 5.1), and
its ρ is in the order of 500. Axes below and on the left count all layers in ρ, as its text does;
those above and on the right count the convolutions alone, and take f_1 - f_2 for the margin, as the
code of its authors does. The paper's 0.005 and 500 stand there (dashed, at its own size).
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from squareloss.figures import countings, style

VARIES = ("weight_decay", "init_scale")  # of which it shows one run

INIT, DECAY = 0.9, 0.001
OVERLAP = 1.7  # height of a histogram, in distances between two


def keep(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the paper's run, or of the first run of `table` if it has not that one."""
    (decay,) = style.choose(table["weight_decay"], [DECAY])
    (init,) = style.choose(table.loc[table["weight_decay"] == decay, "init_scale"], [INIT])
    return frame[(frame["weight_decay"] == decay) & (frame["init_scale"] == init)]


def complete(margins: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The first replicate that fits, else the first with finite margins at the end; or no rows."""
    finite = margins[np.isfinite(margins["margin"])]
    done = finite[finite["epoch"] == margins["epoch"].max()]
    fitted = table.loc[style.fits(table), "replicate"]
    good = done[done["replicate"].isin(fitted)]
    return finite[finite["replicate"] == (done if good.empty else good)["replicate"].min()]


def ridges(ax: Axes, margins: pd.DataFrame, colours: dict[int, str]) -> None:
    """Histograms of all snapshots, each scaled to its own peak, the last in front."""
    values = {epoch: rows["margin"].to_numpy() for epoch, rows in margins.groupby("epoch")}
    limits = np.array([np.quantile(v, [0.01, 0.99]) for v in values.values()])
    low, high = limits[:, 0].min(), limits[:, 1].max()
    edges = np.linspace(low - 0.03 * (high - low), high + 0.03 * (high - low), 121)
    for i, (epoch, colour) in enumerate(colours.items()):
        counts, _ = np.histogram(values[epoch], edges)
        height = -i + OVERLAP * counts / max(counts.max(), 1)
        ax.stairs(height, edges, baseline=-i, fill=True, color=colour, alpha=0.85, zorder=i)
        ax.stairs(height, edges, baseline=-i, color="white", lw=0.6, zorder=i)
    ax.set_yticks([-i for i in range(len(colours))], [f"{epoch:,}" for epoch in colours])
    ax.set(xlabel=f"margin {style.MARGIN}", ylabel="epoch (each histogram scaled to its own peak)")
    ax.set_xlim(edges[0], edges[-1])


def close_up(ax: Axes, margins: pd.DataFrame, colours: dict[int, str], rho: float) -> None:
    """Densities of the last two snapshots on a scale of their own, and where interpolation is."""
    values = {epoch: rows["margin"].to_numpy() for epoch, rows in margins.groupby("epoch")}
    last = list(colours)[-2:]
    # Nearly all of the last, and most of the one before, which may lie elsewhere.
    ranges = [(values[last[-1]], 0.002), *((values[epoch], 0.1) for epoch in last[:-1])]
    limits = np.array([np.quantile(v, [tail, 1 - tail]) for v, tail in ranges])
    low, high = limits[:, 0].min(), limits[:, 1].max()
    edges = np.linspace(low - 0.4 * (high - low), high + 0.4 * (high - low), 61)
    for epoch in last:
        final = epoch == last[-1]
        ax.hist(
            values[epoch],
            edges.tolist(),
            density=True,
            histtype="stepfilled" if final else "step",
            color=colours[epoch],
            alpha=0.8 if final else 1,
            lw=0 if final else 1.3,
            label=f"epoch {epoch:,}",
        )
    inside = edges[0] < 1 / rho < edges[-1]
    where = "interpolation" if inside else "off this scale"
    look: dict[str, Any] = {"color": "0.2", "ls": "--", "lw": 1}
    ax.plot([], [], label=rf"$1/\rho$ = {style.power(1 / rho)} ({where})", **look)
    room = 1.45  # above the histograms, for the legend
    if inside:
        ax.axvline(1 / rho, ymax=1 / room, **look)
    ax.set(xlabel=f"margin {style.MARGIN}", ylabel="density (one scale for all)", yticks=[])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0, ax.get_ylim()[1] * room)
    ax.legend(loc="upper left", frameon=True, facecolor="white", edgecolor="none", framealpha=0.9)


def difference_axis(ax: Axes, dense: float, printed: bool = False) -> None:
    """On top, for a panel of margins: f_1 - f_2 over rho of the convolutions; the paper's 0.005.

    `dense`: the product of the dense layers' norms. A margin is half of f_1 - f_2.
    """
    countings.second_axis(
        ax, "top", 2 * dense, r"$f_1 - f_2$ over $\rho$ of the convolutions alone"
    )
    if printed:
        value = countings.TYPICAL_MARGIN
        x, (low, high) = value / (2 * dense), ax.get_xlim()
        ax.axvline(x, color="0.3", lw=1, ls="--", zorder=99)
        ax.set_xlim(min(low, 0.95 * x), max(high, 1.05 * x))
        text, place = f"the paper: {value:g} ", (x, 0.97)
        words: dict[str, Any] = {"ha": "right", "va": "top", "size": 7.5, "color": "0.3"}
        ax.text(*place, text, transform=ax.get_xaxis_transform(), **words)


def draw(table: pd.DataFrame, margins: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 8: margins at the snapshots, the last ones closer, and rho."""
    table, margins = keep(table, table), keep(margins, table)
    style.check_sweep(table, *VARIES)
    one = complete(margins, table)
    epochs = [int(epoch) for epoch in sorted(one["epoch"].unique())]
    shades = colormaps["cividis_r"](np.linspace(0.1, 1, max(len(epochs) - 1, 1)))
    colours: dict[int, str] = dict(zip(epochs, shades, strict=False)) | {
        epoch: style.RED for epoch in epochs[-1:]
    }
    figure = style.canvas(11, 5)
    figure.suptitle(r"Do the margins narrow as $\rho$ falls?")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.5, 1.15, 1])
    run = table.iloc[0]
    left.set_title(
        rf"(a) Margins of the training set, $\lambda$ = {run['weight_decay']:g}, "
        f"init {run['init_scale']:g}"
    )
    middle.set_title("(b) The last two snapshots, closer")
    right.set_title(r"(c) Course of $\rho$")
    about = ""
    if one.empty:
        style.nothing(left)
        style.nothing(middle)
    else:
        replicate = one["replicate"].iloc[0]
        course = table[table["replicate"] == replicate].set_index("epoch")["rho"]
        ridges(left, one, colours)
        close_up(middle, one, colours, course.loc[epochs[-1]])
        right.plot(course.index, course, color="0.35", lw=0.8, label=f"replicate {replicate}")
        about = f"Margins: replicate {replicate} (a run of one seed), not pooled."
    if one.empty or table["replicate"].nunique() > 1:  # a single one is drawn by itself
        style.curve(right, table, "rho", color=style.BLUE, label="median and quartiles")
    dense = countings.dense_norms(table) if table["classes"].iloc[0] == 2 else math.nan
    note = ""
    if not one.empty and not math.isnan(dense):
        difference_axis(left, dense, printed=countings.own_size(table))
        difference_axis(middle, dense)
        countings.rho_axis(right, dense, printed=countings.own_size(table))
        note = countings.NOTE
    right.set(xlabel="epoch", ylabel=r"$\rho$")
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.legend()
    style.foot(figure, made_from, about, style.replicates(table), note)
    return figure
