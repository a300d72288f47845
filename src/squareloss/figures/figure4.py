"""Figure 4: margin and test error against the share of random labels.

1/ρ and test error (on clean labels) at the last epoch against the share of training samples whose
labels were made random: medians, bars between the quartiles, and single replicates as dots.

In the paper (Section 4.2) 1/ρ, and so the margin, falls with the share while the test error rises:
shares of 20 %, 40 %, 60 % and 80 %, initialisation scale 1, λ = 0.001, 10 runs. It reports that its
network does not converge with 100 % random labels. With `config/long.yaml` the test error rises at
every step, and 1/ρ falls by less than single replicates differ.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from squareloss.figures import style
from squareloss.tables.runs import last_epoch

VARIES = ("label_noise",)


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 4: 1/rho and test error of the last epoch for each share of random labels."""
    style.check_sweep(table, *VARIES)
    last = last_epoch(table)
    last = last.assign(inverse_rho=1 / last["rho"])
    good = style.fits(last)
    shares = sorted(table["label_noise"].unique())
    figure = style.canvas(7.2, 3.2)
    panels = [
        ("inverse_rho", r"$1/\rho$", "(a) Does the margin fall?", style.BLUE),
        (
            "test_error",
            "test error (share)",
            "(b) Does the test error rise, on clean labels?",
            style.RED,
        ),
    ]
    for ax, (column, label, title, colour) in zip(figure.subplots(1, 2), panels, strict=True):
        stats = style.quartiles(last[good], "label_noise", column)
        bars = {"fmt": "o-", "ms": 5, "capsize": 4, "color": colour}
        ax.errorbar(stats.index, stats["median"], style.reach(stats), **bars)
        for some, shade in ((last[good], colour), (last[~good], style.GREY)):
            ax.plot(some["label_noise"], some[column], ".", color=shade, alpha=0.5, ms=5, zorder=3)
        finite = last[np.isfinite(last[column])]
        for share in sorted(set(shares) - set(finite["label_noise"])):
            where = ax.get_xaxis_transform()
            text = "all diverged"
            ax.text(share, 0.04, text, transform=where, rotation=90, ha="center", color="0.4")
        ax.set(xlabel="share of training samples with random labels", ylabel=label)
        ax.set_title(title, loc="center")
        ax.set_xticks(shares)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        room = 0.06 * max(shares[-1] - shares[0], 0.1)
        ax.set_xlim(shares[0] - room, shares[-1] + room)
        if finite.empty:
            style.nothing(ax)
    about = "Dots: single replicates, last epoch."
    style.foot(figure, made_from, style.replicates(table, "label_noise"), about)
    return figure
