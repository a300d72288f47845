"""Figure 10: margins at the end of training, for each initialisation.

Histograms of the margins of all training samples at the last epoch, over all replicates; a row for
each initialisation scale, left λ = 0.001, right λ = 0. The two panels of a row share their axis;
the rows do not, since the margins of different initialisations differ by orders of magnitude.
Printed in each panel: mean, and standard deviation within a replicate, both averaged over the
replicates.

The second line of numbers is the same in the counting of the authors' code: f_1 - f_2 over the
norms of the convolutions alone.

To compare (Section 6.2): in the paper the margins with weight decay look Gaussian with a standard
deviation of about 1e-4 (N = 10,000, 10 runs, batch 128), and those without it take a range of
smaller values, each with essentially zero variance.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import countings, style
from squareloss.tables.runs import last_epoch

VARIES = ("weight_decay", "init_scale")


def keep(margins: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a part's last epoch: the margins of all snapshots would not fit together."""
    return margins[margins["epoch"] == margins["epoch"].max()]


def within(margins: pd.DataFrame) -> pd.Series:
    """Mean, sd within a replicate, and how many replicates: each averaged over the replicates."""
    each = margins.groupby("replicate")["margin"].agg(["mean", "std"])
    return pd.Series({"mean": each["mean"].mean(), "sd": each["std"].mean(), "count": len(each)})


def authors(run: pd.DataFrame) -> str:
    """Mean and sd of f_1 - f_2 over rho of the convolutions, averaged over the replicates."""
    if not countings.known(run):
        return ""
    names = ["mean_difference_convolutions", "difference_sd_convolutions"]
    mean, sd = last_epoch(run)[names].mean()
    return f"convolutions alone, $f_1 - f_2$: mean {style.power(mean)},  sd {style.power(sd)}"


def panel(ax: Axes, margins: pd.DataFrame, run: pd.DataFrame, edges: np.ndarray) -> None:
    """One run: histogram over the samples of all replicates, with mean and sd in words."""
    if margins.empty:
        style.nothing(ax, "not run, or every replicate diverged")
        return
    ax.hist(margins["margin"], edges.tolist(), color=style.BLUE, histtype="stepfilled", alpha=0.85)
    numbers = within(margins)
    text = (
        f"replicates: {numbers['count']:.0f},  all layers: mean {style.power(numbers['mean'])},  "
        f"sd {style.power(numbers['sd'])}"
    )
    text = "\n".join(filter(None, [text, authors(run)]))
    ax.text(1, 1.03, text, transform=ax.transAxes, ha="right", va="bottom", size=7.5)


def draw(table: pd.DataFrame, margins: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 10: a row for each initialisation, a column for each lambda."""
    style.check_sweep(table, *VARIES)
    decays = style.decays(table)
    inits = sorted(table["init_scale"].unique())
    finite = margins[np.isfinite(margins["margin"])]
    figure = style.canvas(4.3 * len(decays), 1.6 * len(inits) + 0.9)
    axes = figure.subplots(len(inits), len(decays), squeeze=False, sharex="row")
    for row, init in zip(axes, inits, strict=True):
        # Both values of lambda have one scale, so that their widths can be compared. Each row has
        # its own, since the margins of two initialisations differ by orders of magnitude.
        rows = finite[finite["init_scale"] == init]
        low, high = np.quantile(rows["margin"], [0.001, 0.999]) if len(rows) else (0.0, 1.0)
        room = max(0.15 * (high - low), 1e-9)
        edges = np.linspace(low - room, high + room, 121)
        for ax, decay in zip(row, decays, strict=True):
            run = table[(table["weight_decay"] == decay) & (table["init_scale"] == init)]
            panel(ax, rows[rows["weight_decay"] == decay], run, edges)
            ax.set_xlim(edges[0], edges[-1])
        row[0].set_ylabel(f"init {init:g}\nsamples")
    for ax, decay in zip(axes[0], decays, strict=True):
        ax.set_title(rf"$\lambda$ = {decay:g}", pad=28)  # above the two lines of numbers
    for ax in axes[-1]:
        ax.set_xlabel("margin $y_n f_n$ at the last epoch")
    about = (
        "Histograms over all training samples of all replicates; each row has its own axes. "
        "sd: within a replicate, averaged over replicates. Convolutions alone: rho without the "
        "norms of the dense layers, as in the authors' code. The paper finds an sd of about 1e-4 "
        "for lambda = 0.001, and essentially none for lambda = 0."
    )
    style.foot(figure, made_from, about, style.missing(table, "weight_decay", "init_scale"))
    return figure
