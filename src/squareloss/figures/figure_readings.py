"""Readings: what the paper leaves open, and which of its statements each reading meets.

What its text leaves open is read in several ways. A row is one of them, a circle a replicate, grey
if it does not fit. Below, on the right, stands which of the paper's statements each reading meets.
The paper's numbers are not drawn: ρ, margins and slopes depend on the width and N, and can be
compared at the paper's own size only. The page docs/readings.md says which reading the study of the
paper uses, and why.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from squareloss.figures import style
from squareloss.figures.reading_statements import HITS, SCALE, Reading, readings, residual
from squareloss.figures.style import Tabulation

VARIES = ("recipe_name", "weight_decay", "learning_rate", "init_scale")


class Measure(NamedTuple):
    """A number of a trained network."""

    title: str
    of: Callable[[pd.DataFrame], pd.Series]
    log: bool = True


MEASURES = {
    "train_error": Measure("training error\n(share)", lambda t: t["train_error"], False),
    "residual": Measure("rms of $f(x_n) - y_n$:\n0 interpolates", residual),
    "mean_margin": Measure("mean margin", lambda t: t["mean_margin"]),
    "margin_sd": Measure("sd of the margins", lambda t: t["margin_sd"]),
    "rho": Measure("$\\rho$", lambda t: t["rho"]),
    "test_error": Measure("test error\n(share)", lambda t: t["test_error"], False),
}


def panel(ax: Axes, found: list[Reading], measure: Measure) -> None:
    """One measure: a dot a replicate, a line of text's height a reading."""
    if measure.log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    for y, reading in enumerate(found):
        rows = reading.at(SCALE)
        good = style.fits(rows)
        for some, colour in ((rows[good], style.BLUE), (rows[~good], style.GREY)):
            values = measure.of(some)
            shown = values[values > 0] if measure.log else values.dropna()
            ax.plot(shown, [y] * len(shown), "o", ms=5, mfc="none", color=colour)
    low, high = ax.get_xlim()
    if measure.log and high < 100 * low:  # too few powers of ten to read a value by
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 20 * low else (1, 3)))
        ax.xaxis.set_major_formatter(_short)
    elif not measure.log:
        ax.set_xlim(left=max(low, -0.02))  # a share is not below 0
    ax.set_xlabel(measure.title)
    ax.grid(axis="y", lw=0.4)


def _short(value: float, _: float) -> str:
    """The label of a tick, narrow: 500, 0.002, 5e-5."""
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def slope_panel(ax: Axes, found: list[Reading]) -> None:
    """Slopes of Figure 5 on a scale that has both signs."""
    for decay, marker in [(True, "s"), (False, "D")]:
        slopes = [reading.regression(decay).slope for reading in found]
        face, label = (style.BLUE, "λ > 0") if decay else ("none", "λ = 0")
        ax.plot(slopes, range(len(found)), marker, ms=5, mfc=face, color=style.BLUE, label=label)
    ax.axvline(0, color="0.6", lw=0.8)
    ax.set_xscale("symlog", linthresh=1)
    ax.margins(x=0.1)
    ax.set_xticks([-100, -1, 0, 1, 100], ["-100", "-1", "0", "1", "100"])
    ax.set_xlabel("slope of Figure 5 (symlog)")
    ax.grid(axis="y", lw=0.4)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def hits_panel(ax: Axes, found: list[Reading]) -> None:
    """A column a test: filled where a reading passes, a cross where it fails, else not measured."""
    looks = {True: {"marker": "o", "color": style.BLUE}, False: {"marker": "x", "color": style.RED}}
    for x, hit in enumerate(HITS):
        for y, reading in enumerate(found):
            passed = hit.of(reading)
            if passed is not None:
                ax.plot(x, y, ms=5, **looks[passed])
    ax.set_xticks(
        range(len(HITS)),
        [hit.name for hit in HITS],
        rotation=30,
        ha="right",
        rotation_mode="anchor",
    )
    ax.set_xlim(-0.7, len(HITS) - 0.3)
    ax.set_title("The paper's statements: met (dot) or not (cross)")
    ax.grid(axis="y", lw=0.4)


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a reading: medians over the replicates at one start, the regressions, the tests."""
    numbers = []
    for reading in readings(table):
        some = reading.at(SCALE)
        row: dict[str, object] = {"reading": reading.name, "replicates": len(some)}
        row |= {name: measure.of(some).median() for name, measure in MEASURES.items()}
        for decay, name in [(True, "with decay"), (False, "without")]:
            line = reading.regression(decay)
            row |= {f"slope {name}": line.slope, f"R2 {name}": line.r_squared}
        passed = {hit.name: hit.of(reading) for hit in HITS}
        row |= {"met": sum(value is True for value in passed.values())}
        row |= {"of": sum(value is not None for value in passed.values())}
        row |= {f"met: {name}": value for name, value in passed.items()}
        numbers.append(row)
    frame = pd.DataFrame(numbers)
    text = frame.map(_written)
    paper = {f"met: {hit.name}": hit.paper for hit in HITS}
    paper |= {"reading": "the paper"}
    last = {name: paper.get(name, "") for name in text.columns}
    return Tabulation(frame, pd.concat([text, pd.DataFrame([last])], ignore_index=True))


def _written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A row a reading, a panel a number, and which statements it meets."""
    style.check_sweep(table, *VARIES)
    found = readings(table)
    starts = pd.concat([reading.at(SCALE) for reading in found])
    shown = [measure for measure in MEASURES.values() if (measure.of(starts).dropna() != 0).any()]
    empty = [measure.title for measure in MEASURES.values() if measure not in shown]
    figure = style.canvas(10.5, 0.5 * len(found) + 4.2)
    rows = figure.add_gridspec(2, 1)
    grid = rows[0].subgridspec(1, len(shown))
    above = [figure.add_subplot(grid[0, i]) for i in range(len(shown))]
    for ax, measure in zip(above, shown, strict=True):
        panel(ax, found, measure)
    grid = rows[1].subgridspec(1, 2, width_ratios=[1, 2])
    below = [figure.add_subplot(grid[0, i]) for i in range(2)]
    slope_panel(below[0], found)
    hits_panel(below[1], found)
    for row in (above, below):
        for ax in row:
            ax.set_yticks(np.arange(len(found)), [reading.name for reading in found])
            ax.set_ylim(len(found) - 0.5, -0.5)
            ax.tick_params(labelleft=ax is row[0])
    left = "".join(f"; 0 in all of them: {name}" for name in empty).replace("\n", " ")
    figure.suptitle("Which of the paper's statements does each reading of its text meet?")
    about = (
        "Readings by layer norms, images, what decays, and what differs besides; λ and rate where "
        "not the usual ones. Circles: single replicates at the last epoch with λ > 0, scale "
        f"{SCALE:g}{left}; values at or below 0 have no place on a log axis."
    )
    style.foot(figure, made_from, about)
    return figure
