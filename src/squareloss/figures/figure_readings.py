"""Readings: what the paper leaves open, beside the numbers it prints.

What its text leaves open is read in eleven ways; a row is one of them, a circle a replicate. Red is
what the paper prints: margins of 0.002 to 0.005 with a standard deviation of about 1e-4, ρ in the
order of 500, and the slopes of Figure 5. The page docs/readings.md says which reading the study of
the paper uses, and why.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.figure5 import PAPER, fitted, points
from squareloss.figures.style import Tabulation
from squareloss.regression import Regression
from squareloss.tables.runs import last_epoch

SCALE = 0.9  # the start of Figures 8 and 10


class Measure(NamedTuple):
    """A number of a trained network, and the range in which the paper has it."""

    title: str
    of: Callable[[pd.DataFrame], pd.Series]
    paper: tuple[float, float] | None = None
    log: bool = True


MEASURES = {
    "train_error": Measure("training error\n(share)", lambda t: t["train_error"], None, False),
    "gap": Measure("$|1 - \\rho\\mu|$:\n0 interpolates", lambda t: (1 - t["rho"] * t["mu"]).abs()),
    # Sections 3.5 and 5.1; Figure 10; "in the order of 500" of Section 3.5.
    "mean_margin": Measure("mean margin", lambda t: t["mean_margin"], (0.002, 0.005)),
    "margin_sd": Measure("sd of the margins", lambda t: t["margin_sd"], (1e-4, 1e-4)),
    "rho": Measure("$\\rho$", lambda t: t["rho"], (500, 500)),
    "test_error": Measure("test error\n(share)", lambda t: t["test_error"], None, False),
}


def at_scale(table: pd.DataFrame) -> pd.DataFrame:
    """Last rows of the replicates that start at `SCALE` with the largest lambda."""
    last = last_epoch(table)
    return last[
        (last["weight_decay"] == last["weight_decay"].max())
        & (last["init_scale"] == style.choose(last["init_scale"], [SCALE])[0])
    ]


def regressions(rows: pd.DataFrame) -> dict[float, Regression]:
    """Figure 5's regression for each lambda of one reading."""
    return {
        decay: fitted(points(rows[rows["weight_decay"] == decay])) for decay in style.decays(rows)
    }


def panel(ax: Axes, rows: pd.DataFrame, order: list[str], measure: Measure) -> None:
    """One measure: a dot a replicate, a line of text's height a reading."""
    if measure.paper:
        low, high = measure.paper
        ax.axvspan(low, high, color=style.RED, alpha=0.25, lw=1.5)
    if measure.log:
        ax.set_xscale("log")
    for y, recipe in enumerate(order):
        values = measure.of(rows[rows["recipe_name"] == recipe])
        shown = values[values > 0] if measure.log else values.dropna()
        ax.plot(shown, [y] * len(shown), "o", ms=5, mfc="none", color=style.BLUE)
    ax.set_xlabel(measure.title)
    ax.grid(axis="y", lw=0.4)


def slope_panel(ax: Axes, table: pd.DataFrame, order: list[str]) -> None:
    """Slopes of Figure 5 on a scale that has both signs; the paper's as red lines."""
    signs = {decay: marker for decay, marker in zip(style.decays(table), "sD", strict=False)}
    for decay, marker in signs.items():
        slopes = [regressions(table[table["recipe_name"] == r])[decay].slope for r in order]
        face = style.BLUE if decay > 0 else "none"
        label = f"λ = {decay:g}"
        ax.plot(slopes, range(len(order)), marker, ms=5, mfc=face, color=style.BLUE, label=label)
        if decay in PAPER:
            line = "-" if decay > 0 else ":"
            ax.axvline(PAPER[decay].slope, color=style.RED, lw=1.5, ls=line, alpha=0.6)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xticks([-100, -1, 0, 1, 100], ["-100", "-1", "0", "1", "100"])
    ax.set_xlabel("slope of Figure 5\n(symlog)")
    ax.grid(axis="y", lw=0.4)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a reading: medians over the replicates at one start, and both regressions."""
    rows = at_scale(table)
    numbers = []
    for recipe in table["recipe_name"].unique():
        some = rows[rows["recipe_name"] == recipe]
        fit = (some["train_error"] == 0).sum()
        row: dict[str, object] = {"reading": recipe, "replicates": len(some), "fitted": fit}
        row |= {name: measure.of(some).median() for name, measure in MEASURES.items()}
        for decay, line in regressions(table[table["recipe_name"] == recipe]).items():
            row |= {f"slope at {decay:g}": line.slope, f"R2 at {decay:g}": line.r_squared}
        numbers.append(row)
    frame = pd.DataFrame(numbers)
    text = frame.map(lambda value: f"{value:.3g}" if isinstance(value, float) else str(value))
    paper = dict.fromkeys(text.columns, "")
    paper |= {"reading": "the paper", "mean_margin": "0.002 to 0.005", "margin_sd": "1e-4"}
    paper |= {"rho": "500"}
    for decay, line in PAPER.items():
        paper |= {f"slope at {decay:g}": f"{line.slope:g}", f"R2 at {decay:g}": f"{line.r_squared}"}
    known = {name: value for name, value in paper.items() if name in text.columns}
    return Tabulation(frame, pd.concat([text, pd.DataFrame([known])], ignore_index=True))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A row a reading, a panel a number; what the paper prints is red."""
    style.check_sweep(table, "recipe_name", "weight_decay", "init_scale")
    order = list(table["recipe_name"].unique())
    rows = at_scale(table)
    figure = style.canvas(12.5, 0.32 * len(order) + 1.7)
    axes = figure.subplots(1, len(MEASURES) + 1, sharey=True)
    for ax, measure in zip(axes, MEASURES.values(), strict=False):
        panel(ax, rows, order, measure)
    slope_panel(axes[-1], table, order)
    axes[0].set_yticks(np.arange(len(order)), order)
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    decay, scale = rows["weight_decay"].iloc[0], rows["init_scale"].iloc[0]
    about = (
        "Readings by layer norms, images, what decays, and what differs besides. Circles: single "
        f"replicates at the last epoch, λ = {decay:g}, scale {scale:g}; values at or below 0 have "
        "no place on a log axis. Red: what the paper prints (slopes: solid with weight decay, "
        "dotted without)."
    )
    style.foot(figure, made_from, about)
    return figure
