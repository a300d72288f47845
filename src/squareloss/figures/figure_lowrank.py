"""Section 6.1: rank of the layers against batch size, learning rate and lambda.

Number of singular values of V_k above three tolerances (colours), averaged over the layers before
the last, against batch size, learning rate and λ, at the end of training; medians, with bars
between the quartiles. Dashed: λ = 0. Dense networks with batch normalisation, plain SGD and decay
of every weight, as the authors measured it.

The paper states that λ > 0 gives lower rank, by a constraint that depends on the size of batches;
later work of its authors that larger rates do, too. With `config/long.yaml` the rank is lower in
small batches, by a few of 100, and at a large rate; λ hardly moves it.
"""

from math import prod
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.model.architecture import build, weight_shapes
from squareloss.tables.runs import last_epoch

VARIES = ("batch_size", "learning_rate", "weight_decay")
VARIED = {
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "weight_decay": r"$\lambda$",
}
TOLERANCES = ("1e-3", "1e-2", "4e-2")
COLOURS = dict(zip(TOLERANCES, style.SERIES, strict=False))


def full_rank(table: pd.DataFrame) -> float:
    """What a rank is of: the largest that the layers before the last can have, on average."""
    first = table.iloc[0]
    layers = build(first["network"], int(first["classes"]), first["width"], "stride")
    shapes = weight_shapes(layers, channels=3, side=32)[:-1]
    return sum(min(shape[0], prod(shape[1:])) for shape in shapes) / len(shapes)


def others(table: pd.DataFrame, varied: str) -> list[str]:
    """What else the sweep varies: each combination of these is a curve of its own."""
    return [name for name in VARIED if name != varied and table[name].nunique() > 1]


def panel(ax: Axes, last: pd.DataFrame, varied: str) -> None:
    """Median rank over replicates against what is varied, at each tolerance.

    A curve for each value of the rest, of those with the most points: the sweeps that vary this
    alone. Every other one has two points of another panel.
    """
    rest = others(last, varied)
    curves = dict(list(last.groupby(rest or ["recipe_name"])))
    most = max(rows[varied].nunique() for rows in curves.values())
    if most < 2:
        style.nothing(ax, "not varied\nby itself")
        return
    shown = {key: rows for key, rows in curves.items() if rows[varied].nunique() == most}
    held = [name for name in rest if len({rows[name].iloc[0] for rows in shown.values()}) == 1]
    for key, rows in shown.items():
        names = dict(zip(rest, key, strict=False))
        free = names.get("weight_decay") == 0
        # Dashed and thin over solid and thick, so that both are seen where they are equal.
        dash = {"ls": "--", "lw": 1, "zorder": 3} if free else {"ls": "-", "lw": 2.2}
        more = "".join(f", {VARIED[name]} = {names[name]:g}" for name in rest if name not in held)
        good = style.fits(rows)
        for tolerance, colour in COLOURS.items():
            column = f"rank_{tolerance}"
            stats = style.quartiles(rows[good], varied, column)
            bars = {"marker": "o", "ms": 3, "color": colour, "elinewidth": 1, "capsize": 2} | dash
            label = f"above {tolerance}{more}"
            shade: dict[str, Any] = {} if not free else {"mfc": "white"}
            ax.errorbar(
                stats.index, stats["median"], style.reach(stats), label=label, **bars, **shade
            )
            ax.plot(rows[~good][varied], rows[~good][column], ".", color=style.GREY, ms=4)
    first = next(iter(shown.values()))
    values = [f"{VARIED[name]} = {first[name].iloc[0]:g}" for name in held]
    ax.set_title(f"Against {VARIED[varied]}" + (f"\n({', '.join(values)})" if values else ""))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Ranks at three tolerances against batch size, learning rate and lambda (columns)."""
    style.check_sweep(table, *VARIES)
    last = last_epoch(table)
    figure = style.canvas(9.6, 4.2)
    axes = figure.subplots(1, len(VARIED), sharey=True)
    full = full_rank(table)
    axes[0].set_ylabel(
        f"rank of {full:g}: singular values of $V_k$\nabove a tolerance, mean over $k<L$"
    )
    for ax, (varied, name) in zip(axes, VARIED.items(), strict=True):
        if varied != "weight_decay":
            ax.set_xscale("log")
        values = sorted(table[varied].unique())
        ax.set_xticks(values, [f"{value:g}" for value in values], minor=False)
        ax.minorticks_off()
        ax.set_xlabel(name)
        panel(ax, last, varied)
        if ax.lines:
            ax.legend(loc="lower left", fontsize=6.5, handlelength=3)
    axes[0].set_ylim(0, 1.05 * full)
    figure.suptitle("Do small batches, large rates and weight decay lower the rank?")
    style.foot(figure, made_from, style.replicates(table, *VARIED))
    return figure
