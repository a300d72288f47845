"""Section 4: bounds on the test error where they say something.

Networks so small, and data so ample, that bounds come below 1: dense ones of one to three layers,
and one whose patches do not overlap, on two classes of images of 4 x 4 pixels. A panel is a
network, a row a bound, ordered by its median in all of them; a circle is the median over random
problems, a bar goes from quartile to quartile, a colour is an N. Networks with a training error are
left out.

A bound must lie above the measured test error, whose median each panel's title gives; right of the
dotted line it says nothing. All bounds fall as 1/√N, but for the ramp loss on the training set that
λ > 0 leaves. The paper's bounds are vacuous for its own networks. Here most come below 1 with
20,000 images, and yet far above the measured error.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import style
from squareloss.figures.figure_bounds import TITLES
from squareloss.figures.style import Tabulation


def panel(ax: Axes, rows: pd.DataFrame, order: list[str], colours: dict[int, str]) -> None:
    """Every bound of one network, a row each; the values of N above each other."""
    for i, (n, colour) in enumerate(colours.items()):
        stats = style.quartiles(rows[rows["n_train"] == n], "bound", "value").reindex(order)
        shift = 0.2 * (2 * i / max(len(colours) - 1, 1) - 1)
        y = np.arange(len(order)) + shift
        look: dict[str, Any] = {
            "fmt": "o",
            "ms": 4.5,
            "lw": 1,
            "color": colour,
            "label": f"N = {n:,}",
        }
        ax.errorbar(stats["median"], y, xerr=style.reach(stats), **look)
    ax.axvline(1, color=style.RED, lw=1, ls=":", label="vacuous above 1")
    error = rows.drop_duplicates(["replicate", "n_train"])["test_error"].median()
    ax.set_title(f"{rows['network'].iloc[0]}: median test error {error:.2g}")
    ax.set_xscale("log")
    ax.grid(axis="y", lw=0.4)


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
    """A panel a network: bounds, a colour an N."""
    fitted = ample[ample["train_error"] == 0]
    networks = list(fitted["network"].unique())
    logs = np.log(fitted["value"]).groupby(fitted["bound"]).median()
    order = [str(name) for name in logs[list(TITLES)].sort_values().index]
    colours = dict(zip(sorted(fitted["n_train"].unique()), style.SERIES, strict=False))
    figure = style.canvas(9.2, 6.6)
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for ax in axes.flat[len(networks) :]:
        ax.remove()
    for ax, name in zip(axes.flat, networks, strict=False):
        panel(ax, fitted[fitted["network"] == name], order, colours)
        ax.set_xlabel("bound on the test error (share)")
    axes[0, 0].set_yticks(range(len(order)), [TITLES[name] for name in order])
    axes[0, 0].set_ylim(len(order) - 0.5, -0.5)
    axes[0, 0].legend(loc="upper right", fontsize=6.5)
    figure.suptitle("With small networks and many images, which bounds come below 1?")
    about = (
        f"Medians and quartiles of {ample['replicate'].nunique()} random problems, delta = 0.05; "
        "networks without training error."
    )
    style.foot(figure, made_from, about)
    return figure
