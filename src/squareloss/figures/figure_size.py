"""Size: what the paper's width and N change.

The same quantities against the epoch for the paper's network and its number of images, for a part
of either, and for a part of both, with λ and without (dashed). A quantity has a panel for each N,
a width its colour. Fewer images come with smaller batches, so that an epoch has steps enough: what
N changes is what the two change together. ρ and the margins are there twice: with all layers
counted, as the paper's text has it, and with the convolutions alone, as the code of its authors
does. Black, dotted there: what the paper prints. Grey, dotted: what does not fit.

The paper prints ρ in the order of 500 (Section 3.5), margins of about 0.005 (Section 5.1) and their
standard deviation of about 1e-4 with λ (Figure 10), all at its full width and N. With
`config/paper-one.yaml` the widest network with λ has these orders, counting convolutions alone.
An eighth of the width does not fit.

The table: first what the paper prints, then the median over the replicates at the last epoch, and
their range if there are several.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import countings, courses, style
from squareloss.figures.courses import Panel
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

VARIES = ("width", "n_train", "batch_size", "weight_decay")
BY = [*VARIES]
PANELS = (
    courses.RHO,
    Panel("mean_margin", "Mean margin", f"mean of {style.MARGIN}", log=True),
    Panel("margin_sd", "Spread of the margins", f"sd of {style.MARGIN}", log=True),
    courses.LOSS,
    courses.ERRORS[1],
    courses.NC1,
    Panel("nc3", "NC3: self-duality", r"$\|W/\|W\| - M^\top/\|M\|\|$"),
    Panel("stable_rank", "Stable rank", "stable rank, mean over $k<L$"),
    courses.RHO_CONVOLUTIONS,
    Panel(
        "mean_difference_convolutions",
        "Margin, convolutions alone",
        "mean of $f_1 - f_2$",
        log=True,
        printed=(countings.TYPICAL_MARGIN,),
    ),
    Panel(
        "difference_sd_convolutions",
        "Spread, convolutions alone",
        "sd of $f_1 - f_2$",
        log=True,
        printed=(countings.SPREAD,),
    ),
)


def shown(table: pd.DataFrame) -> tuple[Panel, ...]:
    """The panels whose column a table has; those of before the convolutions' rho lack them."""
    return tuple(panel for panel in PANELS if panel.column in table)


def name(width: float, weight_decay: float) -> str:
    """What the legend calls a curve."""
    return rf"width {width:g}, $\lambda$ = {weight_decay:g}"


def images(n_train: int, batch_size: int) -> str:
    """What the title of a panel says of its runs."""
    return f"N = {n_train:,}, batches of {batch_size}"


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a size and lambda: each quantity at the last epoch, and first what is printed."""
    panels = shown(table)
    printed = [" to ".join(f"{value:g}" for value in panel.printed) for panel in panels]
    numbers, text = [], [["the paper", "", "", "", *printed]]
    for key, run in last_epoch(table).groupby(BY):
        row, cells = dict(zip(BY, key, strict=True)), []
        for panel in panels:
            ends, cell = style.spanned(run[panel.column])
            row |= {f"{panel.column}_{name}": value for name, value in ends.items()}
            cells.append(cell)
        numbers.append(row | {"replicates": int(np.isfinite(run["rho"]).sum())})
        width, n_train, batch_size, decay = key
        text.append([f"{width:g}", f"{n_train:,}", f"{batch_size}", f"{decay:g}", *cells])
    head = ["width", "N", "batch size", r"$\lambda$", *(panel.title for panel in panels)]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a quantity and N, a colour a width, dashed without lambda; the largest first."""
    return courses.draw(
        table.sort_values(BY, ascending=False, kind="stable"),
        made_from,
        panels=shown(table),
        curves=courses.Curves(
            ["width", "weight_decay"], name, facets=("n_train", "batch_size"), facet=images
        ),
        title="What do the width and N change?",
        note="The paper's size is that of the widest network and the largest N alone.",
    )
