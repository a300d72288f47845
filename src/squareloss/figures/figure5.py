"""Figure 5: does test accuracy fall with 1/rho, with weight decay and without?

One colour for each initialisation scale. Dots are single replicates at the last epoch, grey if they
did not fit, and squares the means of those that did. The line is the regression over these means.
Left λ = 0.001, right λ = 0. Above, ρ counts all layers, as the paper's text does; below, the
convolutions alone, as the code of its authors does. All panels have one range of accuracy.

The paper finds that accuracy falls with 1/ρ for λ = 0.001 (R² = 0.94, p = 0.031, slope -18.968) and
no such relation for λ = 0 (R² = 0.004, p = 0.92, slope -2.915). Its p-values belong to regressions
over the 4 and the 5 means, so the panels print the number of means. The slope has the scale of ρ,
so the paper's stands below, where its ρ is found at its own size; at other sizes compare sign and
significance. With `config/long.yaml` accuracy falls with 1/ρ without weight decay; with it this is
undecided.

The table: R², p-value (two-sided, of slope 0), slope and number of initialisations for test
accuracy against 1/ρ over the means of the initialisations, in both countings of ρ, beside the
paper's values. "n/a" where fewer than three initialisations have a replicate that fits.
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
    """Means `x` of 1/rho and `y` of test accuracy over the replicates of a start that fit."""
    columns = {counting: "x", "test_accuracy": "y"}
    good = case[style.fits(case)]
    return good.groupby("init_scale")[list(columns)].mean().rename(columns=columns)


def fitted(case: pd.DataFrame, counting: str = LAYERS) -> Regression:
    """Regression over the means of the initialisations, as the paper's p-values imply."""
    means = per_init(case, counting)
    return regress(means["x"], means["y"])


def written(line: Regression) -> list[str]:
    """R^2, p, slope and number of points as short text."""
    texts = [f"{line.r_squared:.3f}", f"{line.p_value:#.3g}", f"{line.slope:#.3g}"]
    return [text.rstrip(".").replace("nan", "n/a") for text in texts] + [str(line.points)]


def quoted(line: Regression) -> list[str]:
    """The same of the paper, with the digits that it prints."""
    return [f"{value:g}" for value in (line.r_squared, line.p_value, line.slope, line.points)]


def tabulate(table: pd.DataFrame) -> Tabulation:
    """Our regressions in each counting and the paper's, one row each."""
    numbers, text = [], []
    for decay in style.decays(table):
        case = points(table[table["weight_decay"] == decay])
        lines = [(OURS[counting], fitted(case, counting)) for counting in counted(table)]
        rows = [(source, line, written(line)) for source, line in lines]
        if decay in PAPER:
            rows.append(("paper", PAPER[decay], quoted(PAPER[decay])))
        for source, line, cells in rows:
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
            text.append([f"{decay:g}", source, *cells])
    head = [r"$\lambda$", "source", "$R^2$", "$p$", "slope", "initialisations"]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def panel(
    ax: Axes, case: pd.DataFrame, counting: str, paper: list[Regression], colours: dict[float, str]
) -> None:
    """One lambda in one counting: replicates, means, the line through them and its numbers.

    `paper`: the paper's line, if it is to stand here.
    """
    means = per_init(case, counting)
    good = style.fits(case)
    lost = case[~good]
    ax.plot(lost[counting], lost["test_accuracy"], ".", color=style.GREY, ms=5)
    for init, colour in sorted(colours.items()):
        some = case[good & (case["init_scale"] == init)]
        ax.plot(some[counting], some["test_accuracy"], ".", color=colour, alpha=0.6, ms=5)
        # A start that this lambda lacks is an empty line, so one legend names those of both panels.
        x, y = means[means.index == init].to_numpy().T
        ax.plot(x, y, "s", ms=8, color=colour, mec="white", label=f"init {init:g}")
    line = fitted(case, counting)
    if math.isfinite(line.slope):
        ends = pd.Series([means["x"].min(), means["x"].max()])
        ax.plot(ends, line.intercept + line.slope * ends, color="0.3", lw=1.2, zorder=1)
    rows = [f"{'':6} {'R²':>7} {'p':>7} {'slope':>8} {'inits':>5}"]
    lines = [("ours", written(line)), *(("paper", quoted(theirs)) for theirs in paper)]
    for source, (r, p, slope, n) in lines:
        rows.append(f"{source:6} {r:>7} {p:>7} {slope:>8} {n:>5}")
    words: dict[str, Any] = {"family": "DejaVu Sans Mono", "size": 7, "va": "bottom", "ha": "right"}
    ax.text(1, 1.02, "\n".join(rows), transform=ax.transAxes, **words)
    ax.set_xlabel(AXES[counting])
    ax.margins(0.1)
    if means.empty:
        style.nothing(ax)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 5: a column for each value of lambda, a row for each counting of rho."""
    style.check_sweep(table, *VARIES)
    decays = style.decays(table)
    inits = sorted(table["init_scale"].unique())
    last = last_epoch(table)
    drawn = set(last.loc[style.fits(last), "init_scale"])
    colours = {init: colour for init, colour in style.colours(inits).items() if init in drawn}
    rows = counted(table)
    figure = style.canvas(4.1 * len(decays), 3.1 * len(rows) + 0.9)
    axes = figure.subplots(len(rows), len(decays), squeeze=False, sharey=True)
    few = False
    for column, decay in zip(axes.T, decays, strict=True):
        case = points(table[table["weight_decay"] == decay])
        for ax, counting in zip(column, rows, strict=True):
            paper = [PAPER[decay]] if decay in PAPER and counting == rows[-1] else []
            panel(ax, case, counting, paper, colours)
            ax.set_title(rf"$\lambda$ = {decay:g}")
            few = few or fitted(case, counting).points == 3
    for ax in axes[:, 0]:
        ax.set_ylabel("test accuracy (share)")
    figure.suptitle(r"Does test accuracy fall with $1/\rho$?")
    if colours:
        axes[0, -1].legend()
    unfitted = style.unfitted(table, *VARIES)
    squares = "means of those that fit" if unfitted else "their means"
    about = (
        f"Dots: single replicates at the last epoch; squares: {squares}; line: the regression "
        "over these means, as in the paper."
    )
    note = "Three means leave one degree of freedom: such a p says little." if few else ""
    style.foot(figure, made_from, about, note, unfitted, style.missing(table, *VARIES))
    return figure
