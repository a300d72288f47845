"""Section 6.1: rank of the layers against batch size, learning rate and lambda.

Number of singular values of V_k above three tolerances (rows), averaged over the layers before the
last, against batch size, learning rate and λ (columns), at the end of training. Dense networks with
batch normalisation, plain SGD and decay of every weight, as the authors measured it.

To compare: smaller batches, larger rates and larger λ give lower rank; λ = 0 gives no such bias.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.tables.runs import last_epoch

VARIED = {
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "weight_decay": r"$\lambda$",
}
TOLERANCES = ("1e-3", "1e-2", "4e-2")


def others(table: pd.DataFrame, varied: str) -> list[str]:
    """What else the sweep varies: each combination of these is a curve of its own."""
    return [name for name in VARIED if name != varied and table[name].nunique() > 1]


def panel(ax: Axes, last: pd.DataFrame, varied: str, column: str) -> None:
    """Mean rank over replicates and layers against what is varied.

    A curve for each value of the rest, of those with the most points: the sweeps that vary this
    alone. Every other one has two points of another panel.
    """
    curves = dict(list(last.groupby(others(last, varied) or ["recipe_name"])))
    most = max(rows[varied].nunique() for rows in curves.values())
    if most < 2:
        style.nothing(ax, "not varied\nby itself")
        return
    for key, rows in curves.items():
        if rows[varied].nunique() == most:
            stats = style.mean_sd(rows, varied, column)
            names = zip(others(last, varied), key, strict=False)
            label = ", ".join(f"{VARIED[name]} = {value:g}" for name, value in names)
            ax.errorbar(
                stats.index, stats["mean"], stats["sd"], marker="o", ms=3, label=label or "all runs"
            )


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Ranks at three tolerances (rows) against batch size, learning rate and lambda (columns)."""
    style.check_sweep(table, *VARIED)
    last = last_epoch(table)
    figure = style.canvas(9.6, 7.4)
    axes = figure.subplots(len(TOLERANCES), len(VARIED), sharex="col", sharey="row")
    for row, tolerance in zip(axes, TOLERANCES, strict=True):
        row[0].set_ylabel(f"rank: singular values of $V_k$\nabove {tolerance}, mean over $k<L$")
        for ax, varied in zip(row, VARIED, strict=True):
            if varied != "weight_decay":
                ax.set_xscale("log")
            values = sorted(table[varied].unique())
            ax.set_xticks(values, [f"{value:g}" for value in values], minor=False)
            ax.minorticks_off()
            panel(ax, last, varied, f"rank_{tolerance}")
    for ax, name in zip(axes[-1], VARIED.values(), strict=True):
        ax.set_xlabel(name)
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low, high + 0.45 * (high - low))  # room for the legends
    for ax, varied in zip(axes[0], VARIED.values(), strict=True):
        ax.set_title(f"against {varied}")
        if ax.lines:
            ax.legend(loc="upper left")
    figure.suptitle("Rank of the layers at the end of training")
    style.foot(figure, made_from, style.replicates(table, *VARIED))
    return figure
