"""Size: what the paper's width and N change.

The same quantities against the epoch for the paper's network and its number of images, for a part
of either, and for a part of both, with λ and without (dashed). Dotted, or as a band: what the paper
prints.

To compare: Section 3.2 has ρ in the order of 500 and a largest margin of about 0.002, Section 5.1
margins of about 0.005, and Figure 10 their standard deviation of about 1e-4 with λ.

The table: first what the paper prints, then the median over the replicates at the last epoch, and
their range if there are several.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses
from squareloss.figures.courses import Panel
from squareloss.figures.hits import MARGINS, RHO, SPREAD
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

BY = ["width", "n_train", "batch_size", "weight_decay"]
PANELS = (
    Panel("rho", r"Product norm $\rho$", r"$\rho$", log=True, printed=(RHO,)),
    Panel("mean_margin", "Mean margin", r"mean of $y_n f_n$", log=True, printed=MARGINS),
    Panel("margin_sd", "Spread of the margins", "sd of $y_n f_n$", log=True, printed=(SPREAD,)),
    Panel("train_loss", "Training loss", "training loss (without penalty)", log=True),
    Panel("test_error", "Test error", "test error (share)"),
    courses.NC1,
    Panel("nc3", "NC3: self-duality", r"$\|W/\|W\| - M^\top/\|M\|\|$"),
    Panel("stable_rank", "Stable rank", "stable rank, mean over $k<L$"),
)


def name(width: float, n_train: int, batch_size: int, weight_decay: float) -> str:
    """What the legend calls a curve."""
    return (
        rf"width {width:g}, N = {n_train:,}, batches of {batch_size}, $\lambda$ = {weight_decay:g}"
    )


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a size and lambda, the largest first: each quantity at the last epoch."""
    columns = [panel.column for panel in PANELS]
    groups = last_epoch(table).groupby(BY)[columns]
    middle, low, high = (
        stat.sort_index(ascending=False) for stat in (groups.median(), groups.min(), groups.max())
    )
    ends = {"": middle, "_least": low, "_largest": high}
    numbers = pd.concat([stat.add_suffix(end) for end, stat in ends.items()], axis="columns")
    text = pd.DataFrame(
        {
            panel.title: [
                f"{m:.3g}" + (f" ({a:.3g} to {b:.3g})" if a < b else "")
                for m, a, b in zip(*(stat[panel.column] for stat in ends.values()), strict=True)
            ]
            for panel in PANELS
        },
        index=middle.index,
    ).reset_index()
    text[["n_train", "batch_size"]] = text[["n_train", "batch_size"]].map("{:,}".format)
    text[["width", "weight_decay"]] = text[["width", "weight_decay"]].map("{:g}".format)
    printed = {p.title: " to ".join(f"{value:g}" for value in p.printed) for p in PANELS}
    text = pd.concat([pd.DataFrame([{"width": "the paper"} | printed]), text]).fillna("")
    text = text[[*BY, *printed]]
    head = {"n_train": "N", "batch_size": "batch size", "weight_decay": r"$\lambda$"}
    return Tabulation(numbers.reset_index(), text.rename(columns=head))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a quantity, a curve a size and lambda."""
    return courses.draw(
        table,
        made_from,
        panels=PANELS,
        by=BY,
        label=name,
        title="What width and N change",
        note="Dotted: the paper.",
    )
