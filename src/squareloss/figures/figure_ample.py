"""Section 4: bounds on the test error where they say something.

Networks so small, and data so ample, that bounds come below 1: dense ones of one to three layers,
and one whose patches do not overlap, on two classes of images of 4 x 4 pixels. A panel is a
network, a curve a bound (the median over random problems), crosses the measured test error of
single networks (0 at the foot). All networks have no training error.

To compare: a bound must lie above the error; above the dotted line it says nothing. All bounds fall
as 1/√N, but for the ramp loss on the training set that λ > 0 leaves.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.figure_bounds import TITLES
from squareloss.figures.style import Tabulation

FLOOR = 1e-5  # where an error of 0 is drawn: less than one of the test images


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Every bound of one network against N, and the errors."""
    for i, (name, title) in enumerate(TITLES.items()):
        course = rows[rows["bound"] == name].groupby("n_train")["value"].median()
        line = "-" if i < len(style.SERIES) else "--"
        colour = style.SERIES[i % len(style.SERIES)]
        ax.plot(course.index, course, line, marker="o", ms=3, color=colour, label=title)
    errors = rows.drop_duplicates(["replicate", "n_train"])
    ax.plot(
        errors["n_train"],
        errors["test_error"].clip(lower=FLOOR),
        "x",
        color=style.RED,
        label="measured test error",
    )
    ax.axhline(1, color="0.3", lw=1, ls=":")
    ax.set(xscale="log", yscale="log")


def tabulate(ample: pd.DataFrame) -> Tabulation:
    """Medians over the networks without training error: one row a network and N."""
    fitted = ample[ample["train_error"] == 0]
    keys = ["network", "n_train"]
    numbers = fitted.groupby(keys)[["rho", "test_error"]].median()
    values = fitted.groupby([*keys, "bound"])["value"].median().unstack("bound")
    numbers = numbers.join(values[list(TITLES)]).reset_index()
    text = numbers.map(lambda value: f"{value:.2g}" if isinstance(value, float) else str(value))
    return Tabulation(numbers, text.rename(columns=TITLES))


def draw(ample: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a network: bounds and errors against N."""
    fitted = ample[ample["train_error"] == 0]
    networks = list(fitted["network"].unique())
    figure = style.canvas(9.6, 7.4)
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for ax, name in zip(axes.flat, networks, strict=False):
        panel(ax, fitted[fitted["network"] == name])
        ax.set_title(name)
    for ax in axes[-1]:
        ax.set_xlabel("training images N")
    for ax in axes[:, 0]:
        ax.set_ylabel("test error, and bounds on it (share)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    count = ample["replicate"].nunique()
    about = (
        f"Networks of {count} random problems, delta = 0.05. An error of 0 is drawn at {FLOOR:g}."
    )
    style.foot(figure, made_from, about)
    return figure
