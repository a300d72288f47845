"""Precision: what rounding in the products of a training step does to where training ends.

A circle is a replicate at the last epoch, filled with weight decay and open without, grey if it
does not fit. A bar is the median of those that fit. The columns are recipes that differ in the
precision of the matrix products of a training step alone. The same replicate starts from the same
weights and sees the same batches in each. Weights and measurements are kept in float32 (in float64
for the recipe of that name).

SGD amplifies any rounding, so single replicates end elsewhere, as with another seed. A precision is
good enough where its circles scatter as those of float64 do. The paper names no precision. With
`config/precision-gpu.yaml` float32 does as float64, and tf32 and bfloat16 leave a spread of the
margins and a loss without weight decay that float64 does not have.

The table: the median over the replicates. In brackets a measure over that of the same replicate in
float64, the median of these ratios and its exact 95% interval (six replicates or more): a precision
shifts a measure if the interval leaves out 1. The CSV file has all of it in full.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.claims.statistics import median_interval
from squareloss.figures import style
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

VARIES = ("recipe_name", "weight_decay")
REFERENCE = "float64"
MEASURES = {
    "rho": r"$\rho$",
    "mean_margin": "mean margin",
    "margin_sd": "sd of the margins",
    "train_loss": "training loss",
    "test_error": "test error (share)",
    "nc1": "NC1",
    "nc3": "NC3",
    "stable_rank": "stable rank, mean over $k<L$",
    "update_norm": r"$\|V_k - V_k$ one epoch before$\|$",
}


def panel(ax: Axes, last: pd.DataFrame, measure: str, recipes: list[str]) -> None:
    """One measure: the replicates of each recipe, the values of lambda side by side.

    The axis is a log one where the values differ by more than a factor of 10.
    """
    decays = style.decays(last)
    positive = last[measure][last[measure] > 0]
    log = positive.max() > 10 * positive.min()
    labels = {decay: rf"$\lambda$ = {decay:g}" for decay in decays}
    for i, decay in enumerate(decays):
        rows = last[(last["weight_decay"] == decay) & ((last[measure] > 0) | (not log))]
        shift = 0.15 * (2 * i - len(decays) + 1)
        good = style.fits(rows)
        for some, colour in ((rows[good], style.BLUE), (rows[~good], style.GREY)):
            x = [recipes.index(name) + shift for name in some["recipe_name"]]
            look: dict[str, Any] = {
                "mec": colour,
                "mfc": colour if decay > 0 else "none",
                "alpha": 0.7,
            }
            ax.plot(x, some[measure], "o", ms=4, label=labels.pop(decay, None), **look)
        middle = rows[good].groupby("recipe_name")[measure].median()
        places = np.array([recipes.index(str(name)) + shift for name in middle.index])
        ax.hlines(middle, places - 0.12, places + 0.12, color="0.2", lw=1.2, zorder=3)
    ax.set_yscale("log" if log else "linear")
    ax.set(title=MEASURES[measure])
    ax.set_xticks(range(len(recipes)), recipes)
    ax.set_xlim(-0.5, len(recipes) - 0.5)


def ratios(last: pd.DataFrame) -> pd.DataFrame:
    """Every measure over that of the same replicate and lambda in float64, by recipe and lambda.

    NaN where that is 0 or was not trained.
    """
    keys = ["weight_decay", "replicate"]
    columns = list(MEASURES)
    exact = last.loc[last["recipe_name"] == REFERENCE, [*keys, *columns]]
    paired = last[keys].merge(exact, on=keys, how="left")[columns].replace(0, np.nan)
    last = last.reset_index(drop=True)
    return last[["weight_decay", "recipe_name"]].join(last[columns] / paired)


def compared(ratio: float, low: float, high: float) -> str:
    """A median ratio with its interval in brackets; without what is not defined."""
    if np.isnan(ratio):
        return ""
    return f" (ratio {ratio:.3g}{'' if np.isnan(low) else f', {low:.3g} to {high:.3g}'})"


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a recipe and lambda: medians, and ratios to float64 with their intervals."""
    by = ["weight_decay", "recipe_name"]
    last = last_epoch(table)
    median, groups = last.groupby(by)[list(MEASURES)].median(), ratios(last).groupby(by)
    full: dict[str, pd.Series] = {}
    text: dict[str, list[str]] = {}
    for name, label in MEASURES.items():
        ratio = groups[name].median()
        spans = groups[name].apply(lambda values: median_interval(values.dropna().to_numpy()))
        low, high = (spans.str[i] for i in (0, 1))
        full |= {name: median[name], f"{name}_ratio": ratio}
        full |= {f"{name}_ratio_low": low, f"{name}_ratio_high": high}
        text[label] = [
            f"{value:.3g}" + ("" if recipe == REFERENCE else compared(*against))
            for (_, recipe), value, *against in zip(
                median.index, median[name], ratio, low, high, strict=True
            )
        ]
    head = {"weight_decay": r"$\lambda$", "recipe_name": "precision"}
    readable = pd.DataFrame(text, index=median.index).reset_index()
    readable["weight_decay"] = readable["weight_decay"].map("{:g}".format)
    return Tabulation(pd.DataFrame(full).reset_index(), readable.rename(columns=head))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a measure, a column a precision."""
    style.check_sweep(table, *VARIES)
    last = last_epoch(table)
    recipes = sorted(table["recipe_name"].unique())
    figure = style.canvas(9.6, 6.6)
    axes = figure.subplots(3, 3)
    for ax, measure in zip(axes.flat, MEASURES, strict=True):
        panel(ax, last, measure, recipes)
    for ax in axes[-1]:
        ax.set_xlabel("precision of the products")
    for ax in axes[:, 0]:
        ax.set_ylabel("at the last epoch")
    axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.suptitle("Does the precision of the products change where training ends?")
    about = "Bars: medians. Values of 0 have no place on a log axis."
    by = ("weight_decay", "recipe_name")
    style.foot(figure, made_from, style.unfitted(table, *by), style.missing(table, *by), about)
    return figure
