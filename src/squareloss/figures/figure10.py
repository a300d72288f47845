"""Figure 10: are the margins of a network nearly equal, with weight decay and without?

Histograms of the margins of all training samples at the last epoch, each over the mean of its
replicate: 0 is that mean. A row for each initialisation scale, left λ = 0.001, right λ = 0. The
panels of a column share their axis. Replicates that do not fit are left out and counted in the
foot.

Printed in each panel: mean and standard deviation of the margins within a replicate, the medians
over the replicates. The second line of numbers is the same in the counting of the authors' code:
f_1 - f_2 over the norms of the convolutions alone.

In the paper (Section 6.2) the margins with weight decay look Gaussian with a standard deviation of
about 1e-4 (N = 10,000, 10 runs, batch 128), and those without it take a range of smaller values,
each with essentially zero variance. With `config/long.yaml` margins without weight decay are
smaller and spread by less than a thousandth of their mean, those with it by about a hundredth.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import countings, style
from squareloss.tables.runs import last_epoch

VARIES = ("weight_decay", "init_scale")

TAIL = 0.005  # share of the samples of a column that lie outside its axis, on either side


def keep(margins: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a part's last epoch: the margins of all snapshots would not fit together."""
    return margins[margins["epoch"] == margins["epoch"].max()]


def fitted(margins: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Finite margins of the replicates that fit, and `deviation`: over the replicate's mean, - 1.

    `margins` and `table` may be of several runs.
    """
    keys = ["weight_decay", "init_scale", "replicate"]
    good = table.loc[style.fits(table), keys].drop_duplicates()
    found = margins[np.isfinite(margins["margin"])].merge(good, on=keys)
    values = found["margin"].astype("float64")
    mean = values.groupby([found[name] for name in keys]).transform("mean")
    return found.assign(deviation=values / mean - 1)


def within(margins: pd.DataFrame) -> pd.Series:
    """Mean and sd of the margins within a replicate, the medians over replicates; how many."""
    each = margins.groupby("replicate")["margin"].agg(["mean", "std"])
    return pd.Series(
        {"mean": each["mean"].median(), "sd": each["std"].median(), "count": len(each)}
    )


def authors(run: pd.DataFrame) -> str:
    """Mean and sd of f_1 - f_2 over rho of the convolutions, the medians over the replicates."""
    if not countings.known(run):
        return ""
    names = ["mean_difference_convolutions", "difference_sd_convolutions"]
    mean, sd = last_epoch(run)[names].median()
    return f"convolutions alone, $f_1 - f_2$: mean {style.power(mean)},  sd {style.power(sd)}"


def edges_of(margins: pd.DataFrame) -> np.ndarray:
    """Edges of the bins of a column, around nearly all of its deviations."""
    if margins.empty:
        return np.linspace(-1, 1, 121)
    reach = np.abs(np.quantile(margins["deviation"], [TAIL, 1 - TAIL])).max()
    reach = 1.15 * max(reach, 1e-9)
    return np.linspace(-reach, reach, 121)


def panel(ax: Axes, margins: pd.DataFrame, run: pd.DataFrame, edges: np.ndarray) -> None:
    """One run: histogram over the samples of all replicates, with mean and sd in words."""
    if margins.empty:
        style.nothing(ax, "not run, or no replicate fits")
        ax.set_yticks([])
        return
    look = {"color": style.BLUE, "histtype": "stepfilled", "alpha": 0.85}
    ax.hist(margins["deviation"], edges.tolist(), **look)
    numbers = within(margins)
    text = (
        f"replicates: {numbers['count']:.0f},  all layers: mean {style.power(numbers['mean'])},  "
        f"sd {style.power(numbers['sd'])}"
    )
    good = run[style.fits(run)]
    text = "\n".join(filter(None, [text, authors(good)]))
    ax.text(1, 1.03, text, transform=ax.transAxes, ha="right", va="bottom", size=7.5)


def draw(table: pd.DataFrame, margins: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 10: a row for each initialisation, a column for each lambda."""
    style.check_sweep(table, *VARIES)
    decays = style.decays(table)
    inits = sorted(table["init_scale"].unique())
    drawn = fitted(margins, table)
    figure = style.canvas(4.3 * len(decays), 1.6 * len(inits) + 1.1)
    axes = figure.subplots(len(inits), len(decays), squeeze=False)
    for column, decay in zip(axes.T, decays, strict=True):
        same = drawn[drawn["weight_decay"] == decay]
        edges = edges_of(same)
        for ax, init in zip(column, inits, strict=True):
            run = table[(table["weight_decay"] == decay) & (table["init_scale"] == init)]
            panel(ax, same[same["init_scale"] == init], run, edges)
            ax.set_xlim(edges[0], edges[-1])
            ax.locator_params(axis="x", nbins=6)
        column[0].set_title(rf"$\lambda$ = {decay:g}", pad=28)  # above the two lines of numbers
        column[-1].set_xlabel(f"margin {style.MARGIN} / mean of its replicate - 1")
    for ax, init in zip(axes[:, 0], inits, strict=True):
        ax.set_ylabel(f"init {init:g}\nsamples")
    figure.suptitle("Are the margins of a network nearly equal?")
    about = (
        "Histograms over all training samples of all replicates that fit, last epoch; each column "
        "has one axis. Mean and sd: within a replicate, medians over replicates. Convolutions "
        "alone: rho without the norms of the dense layers, as in the authors' code. The paper "
        "finds an sd of about 1e-4 for lambda = 0.001, and essentially none for lambda = 0."
    )
    unfitted = style.unfitted(table, *VARIES, drawn="Left out")
    style.foot(figure, made_from, about, unfitted, style.missing(table, *VARIES))
    return figure
