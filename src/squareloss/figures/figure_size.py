"""Size: what the paper's width and N change.

The same quantities against the epoch for the paper's network and its number of images, for a part
of either, and for a part of both, with λ and without (dashed). A quantity has a panel for each N,
a width its colour. Fewer images come with smaller batches, so that an epoch has steps enough: what
N changes is what the two change together. Black, dotted, or as a band: what the paper prints.

The paper prints ρ in the order of 500 and a largest margin of about 0.002 (Section 3.5), margins of
about 0.005 (Section 5.1), and their standard deviation of about 1e-4 with λ (Figure 10). With
`config/paper-one.yaml` the widest network has the largest ρ and the smallest margins, and a quarter
of the width comes nearest to the printed margins. An eighth of the width does not fit.

The table: first what the paper prints, then the median over the replicates at the last epoch, and
their range if there are several.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses, style
from squareloss.figures.courses import Panel
from squareloss.figures.reading_statements import MARGINS, RHO, SPREAD
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import last_epoch

BY = ["width", "n_train", "batch_size", "weight_decay"]
PANELS = (
    Panel("rho", r"Product norm $\rho$", r"$\rho$", log=True, printed=(RHO,)),
    Panel("mean_margin", "Mean margin", r"mean of $y_n f_n$", log=True, printed=MARGINS),
    Panel("margin_sd", "Spread of the margins", "sd of $y_n f_n$", log=True, printed=(SPREAD,)),
    courses.LOSS,
    courses.ERRORS[1],
    courses.NC1,
    Panel("nc3", "NC3: self-duality", r"$\|W/\|W\| - M^\top/\|M\|\|$"),
    Panel("stable_rank", "Stable rank", "stable rank, mean over $k<L$"),
)


def name(width: float, weight_decay: float) -> str:
    """What the legend calls a curve."""
    return rf"width {width:g}, $\lambda$ = {weight_decay:g}"


def images(n_train: int, batch_size: int) -> str:
    """What the title of a panel says of its runs."""
    return f"N = {n_train:,}, batches of {batch_size}"


def tabulate(table: pd.DataFrame) -> Tabulation:
    """One row a size and lambda: each quantity at the last epoch, and first what is printed."""
    printed = [" to ".join(f"{value:g}" for value in panel.printed) for panel in PANELS]
    numbers, text = [], [["the paper", "", "", "", *printed]]
    for key, run in last_epoch(table).groupby(BY):
        row, cells = dict(zip(BY, key, strict=True)), []
        for panel in PANELS:
            ends, cell = style.spanned(run[panel.column])
            row |= {f"{panel.column}_{name}": value for name, value in ends.items()}
            cells.append(cell)
        numbers.append(row | {"replicates": int(np.isfinite(run["rho"]).sum())})
        width, n_train, batch_size, decay = key
        text.append([f"{width:g}", f"{n_train:,}", f"{batch_size}", f"{decay:g}", *cells])
    head = ["width", "N", "batch size", r"$\lambda$", *(panel.title for panel in PANELS)]
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text, columns=head))


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """A panel a quantity and N, a colour a width, dashed without lambda; the largest first."""
    return courses.draw(
        table.sort_values(BY, ascending=False, kind="stable"),
        made_from,
        panels=PANELS,
        by=["width", "weight_decay"],
        label=name,
        title="Which width and N come near what the paper prints?",
        facet=images,
        facet_by=("n_train", "batch_size"),
        note="Black, dotted, or a band: the paper.",
    )
