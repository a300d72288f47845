"""Figure 5: test accuracy against 1/rho, with and without weight decay.

One colour for each initialisation scale; squares are means at the last epoch with one standard
deviation over replicates both ways, dots single replicates. The line is the regression over the
means of the initialisations. Left λ = 0.001, right λ = 0.

To compare: the paper prints R² = 0.94, p = 0.031, slope -18.968 for λ = 0.001 and R² = 0.004, p =
0.92, slope -2.915 for λ = 0. These p-values belong to regressions over the 4 and the 5 means, so
the panels print the number of means beside ours. The slope has the scale of ρ: compare its sign and
its significance before its value.

The table: R², p-value (two-sided, of slope 0), slope and number of initialisations for test
accuracy against 1/ρ over the means of the initialisations, beside the paper's values: R² = 0.94, p
= 0.031, slope -18.968 for λ = 0.001; R² = 0.004, p = 0.92, slope -2.915 for λ = 0. "n/a" where
fewer than three initialisations finished.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.claims.regression import Regression, regress
from squareloss.figures import style
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

# What the paper prints for each lambda. Its p-values belong to 4 and 5 initialisations.
PAPER = {
    0.001: Regression(-18.968, math.nan, 0.94, 0.031, 4),
    0.0: Regression(-2.915, math.nan, 0.004, 0.92, 5),
}


def points(table: pd.DataFrame) -> pd.DataFrame:
    """Last epoch of each replicate, with `inverse_rho` and `test_accuracy`."""
    last = last_epoch(table)
    return last.assign(inverse_rho=1 / last["rho"], test_accuracy=1 - last["test_error"])


def per_init(case: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd of x = 1/rho and y = test accuracy for each initialisation."""
    x = style.mean_sd(case, "init_scale", "inverse_rho")
    y = style.mean_sd(case, "init_scale", "test_accuracy")
    return x.add_suffix("_x").join(y.add_suffix("_y"))


def fitted(case: pd.DataFrame) -> Regression:
    """Regression over the means of the initialisations, as the paper's p-values imply."""
    means = per_init(case)
    return regress(means["mean_x"], means["mean_y"])


def written(line: Regression) -> list[str]:
    """R^2, p, slope and number of points as short text."""
    values = (f"{line.r_squared:.3g}", f"{line.p_value:.3g}", f"{line.slope:.5g}")
    return [text.replace("nan", "n/a") for text in values] + [str(line.points)]


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Our regressions and the paper's, one row each."""
    numbers, text = [], []
    for decay in style.decays(table):
        ours = fitted(points(table[table["weight_decay"] == decay]))
        rows = [("this study", ours)] + [("paper", PAPER[decay])] * (decay in PAPER)
        for source, line in rows:
            numbers.append(
                {
                    "weight_decay": decay,
                    "source": source,
                    "r_squared": line.r_squared,
                    "p_value": line.p_value,
                    "slope": line.slope,
                    "points": line.points,
                }
            )
            text.append([f"{decay:g}", source, *written(line)])
    head = [r"$\lambda$", "source", "$R^2$", "$p$", "slope", "initialisations"]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def panel(ax: Axes, case: pd.DataFrame, decay: float, colours: dict[float, str]) -> None:
    """One value of lambda: replicates, means with error bars both ways, the line, its numbers."""
    means = per_init(case)
    for i, (init, row) in enumerate(means.sort_values("mean_x").iterrows()):
        colour = colours[float(str(init))]
        dots = case[case["init_scale"] == init]
        ax.plot(dots["inverse_rho"], dots["test_accuracy"], ".", color=colour, alpha=0.4, ms=5)
        ax.errorbar(
            row["mean_x"],
            row["mean_y"],
            xerr=row["sd_x"],
            yerr=row["sd_y"],
            fmt="s",
            ms=6,
            capsize=3,
            color=colour,
            label=f"{init:g}",
        )
        # Neighbours may be close, so labels alternate: below to the left, above to the right.
        label: dict[str, Any] = (
            {"xytext": (5, 4), "ha": "left", "va": "bottom"}
            if i % 2
            else {"xytext": (-5, -4), "ha": "right", "va": "top"}
        )
        label |= {"textcoords": "offset points", "size": 7.5, "weight": "bold"}
        ax.annotate(f"{init:g}", (row["mean_x"], row["mean_y"]), **label)
    line = fitted(case)
    if math.isfinite(line.slope):
        ends = pd.Series([means["mean_x"].min(), means["mean_x"].max()])
        ax.plot(ends, line.intercept + line.slope * ends, color="0.3", lw=1.2, zorder=1)
    rows = [f"{'':6} {'R²':>7} {'p':>7} {'slope':>8} {'inits':>5}"]
    for source, one in [("ours", line)] + [("paper", PAPER[decay])] * (decay in PAPER):
        r, p, slope, n = written(one)
        rows.append(f"{source:6} {r:>7} {p:>7} {slope:>8} {n:>5}")
    ax.text(
        0.5,
        1.02,
        "\n".join(rows),
        transform=ax.transAxes,
        family="DejaVu Sans Mono",
        size=7,
        va="bottom",
        ha="center",
    )
    ax.set_xlabel(r"$1/\rho$")
    ax.margins(0.1)
    if means.empty:
        style.nothing(ax)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 5: a panel for each value of lambda."""
    style.check_sweep(table, "weight_decay", "init_scale")
    decays = style.decays(table)
    inits = sorted(table["init_scale"].unique())
    colours = {init: style.SERIES[i % len(style.SERIES)] for i, init in enumerate(inits)}
    figure = style.canvas(4.1 * len(decays), 4.3)
    axes = figure.subplots(1, len(decays), squeeze=False)[0]
    for ax, decay in zip(axes, decays, strict=True):
        panel(ax, points(table[table["weight_decay"] == decay]), decay, colours)
        ax.set_title(rf"$\lambda$ = {decay:g}", pad=34)
        ax.set_ylabel("test accuracy (share)")
    about = (
        "Dots: single replicates at the last epoch; squares: means, numbered by the "
        "initialisation scale; line: regression over these means."
    )
    counted = style.replicates(table, "weight_decay", "init_scale")
    style.foot(figure, made_from, counted, about)
    return figure
