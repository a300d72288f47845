"""Figure 5: test accuracy against 1/rho, with and without weight decay.

One colour for each initialisation scale; squares are means at the last epoch with one standard
deviation over replicates both ways, dots single replicates. The line is the regression over the
means of the initialisations. Left λ = 0.001, right λ = 0. Above, ρ counts all layers, as the
paper's text does; below, the convolutions alone, as the code of its authors does.

To compare: the paper prints R² = 0.94, p = 0.031, slope -18.968 for λ = 0.001 and R² = 0.004, p =
0.92, slope -2.915 for λ = 0. These p-values belong to regressions over the 4 and the 5 means, so
the panels print the number of means beside ours. The slope has the scale of ρ, so the paper's
stands below, where its ρ is found at its own size; at other sizes compare sign and significance.

The table: R², p-value (two-sided, of slope 0), slope and number of initialisations for test
accuracy against 1/ρ over the means of the initialisations, in both countings of ρ, beside the
paper's values: R² = 0.94, p = 0.031, slope -18.968 for λ = 0.001; R² = 0.004, p = 0.92, slope
-2.915 for λ = 0. "n/a" where fewer than three initialisations finished.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.claims.regression import Regression, regress
from squareloss.figures import countings, style
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

VARIES = ("weight_decay", "init_scale")
# What the paper prints for each lambda. Its p-values belong to 4 and 5 initialisations.
PAPER = {
    0.001: Regression(-18.968, math.nan, 0.94, 0.031, 4),
    0.0: Regression(-2.915, math.nan, 0.004, 0.92, 5),
}
LAYERS = "inverse_rho"
CONVOLUTIONS = "inverse_rho_convolutions"
# A counting of rho -> the name of our numbers in it, and its axis.
OURS = {LAYERS: "this study", CONVOLUTIONS: "this study, convolutions alone"}
AXES = {LAYERS: r"$1/\rho$, all layers", CONVOLUTIONS: r"$1/\rho$, convolutions alone"}


def points(table: pd.DataFrame) -> pd.DataFrame:
    """Last epoch of each replicate, with `test_accuracy` and 1/rho in each counting there is."""
    last = last_epoch(table)
    found = last.assign(inverse_rho=1 / last["rho"], test_accuracy=1 - last["test_error"])
    if countings.known(table):
        found[CONVOLUTIONS] = 1 / last["rho_convolutions"]
    return found


def counted(table: pd.DataFrame) -> list[str]:
    """The countings of rho that a table has."""
    return [LAYERS, CONVOLUTIONS] if countings.known(table) else [LAYERS]


def per_init(case: pd.DataFrame, counting: str = LAYERS) -> pd.DataFrame:
    """Mean and sd of x = 1/rho and y = test accuracy for each initialisation."""
    x = style.mean_sd(case, "init_scale", counting)
    y = style.mean_sd(case, "init_scale", "test_accuracy")
    return x.add_suffix("_x").join(y.add_suffix("_y"))


def fitted(case: pd.DataFrame, counting: str = LAYERS) -> Regression:
    """Regression over the means of the initialisations, as the paper's p-values imply."""
    means = per_init(case, counting)
    return regress(means["mean_x"], means["mean_y"])


def written(line: Regression) -> list[str]:
    """R^2, p, slope and number of points as short text."""
    values = (f"{line.r_squared:.3g}", f"{line.p_value:.3g}", f"{line.slope:.5g}")
    return [text.replace("nan", "n/a") for text in values] + [str(line.points)]


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Our regressions in each counting and the paper's, one row each."""
    numbers, text = [], []
    for decay in style.decays(table):
        case = points(table[table["weight_decay"] == decay])
        rows = [(OURS[counting], fitted(case, counting)) for counting in counted(table)]
        rows += [("paper", PAPER[decay])] * (decay in PAPER)
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


def panel(
    ax: Axes, case: pd.DataFrame, counting: str, paper: list[Regression], colours: dict[float, str]
) -> None:
    """One lambda in one counting: replicates, means with error bars both ways, the line's numbers.

    `paper`: the paper's line, if it is to stand here.
    """
    means = per_init(case, counting)
    for i, (init, row) in enumerate(means.sort_values("mean_x").iterrows()):
        colour = colours[float(str(init))]
        dots = case[case["init_scale"] == init]
        ax.plot(dots[counting], dots["test_accuracy"], ".", color=colour, alpha=0.4, ms=5)
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
    line = fitted(case, counting)
    if math.isfinite(line.slope):
        ends = pd.Series([means["mean_x"].min(), means["mean_x"].max()])
        ax.plot(ends, line.intercept + line.slope * ends, color="0.3", lw=1.2, zorder=1)
    rows = [f"{'':6} {'R²':>7} {'p':>7} {'slope':>8} {'inits':>5}"]
    for source, one in [("ours", line), *(("paper", theirs) for theirs in paper)]:
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
    ax.set_xlabel(AXES[counting])
    ax.margins(0.1)
    if means.empty:
        style.nothing(ax)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 5: a column for each value of lambda, a row for each counting of rho."""
    style.check_sweep(table, *VARIES)
    decays = style.decays(table)
    inits = sorted(table["init_scale"].unique())
    colours = {init: style.SERIES[i % len(style.SERIES)] for i, init in enumerate(inits)}
    rows = counted(table)
    figure = style.canvas(4.1 * len(decays), 3.8 * len(rows) + 0.5)
    axes = figure.subplots(len(rows), len(decays), squeeze=False)
    for column, decay in zip(axes.T, decays, strict=True):
        case = points(table[table["weight_decay"] == decay])
        for ax, counting in zip(column, rows, strict=True):
            paper = [PAPER[decay]] if decay in PAPER and counting == rows[-1] else []
            panel(ax, case, counting, paper, colours)
            ax.set_ylabel("test accuracy (share)")
        column[0].set_title(rf"$\lambda$ = {decay:g}", pad=34)
    about = (
        "Dots: single replicates at the last epoch; squares: means, numbered by the "
        "initialisation scale; line: regression over these means."
    )
    replicates = style.replicates(table, "weight_decay", "init_scale")
    style.foot(figure, made_from, replicates, about)
    return figure
