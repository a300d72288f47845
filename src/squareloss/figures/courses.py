"""Several runs beside each other: their quantities against the epoch, one curve a run."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from squareloss.figures import style

COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """One quantity against the epoch.

    `printed`: what the paper prints of it, none, a number or the ends of a range.
    """

    column: str
    title: str
    label: str
    log: bool = False
    printed: tuple[float, ...] = ()


ERRORS = (
    Panel("train_error", "Training error", "training error (share)"),
    Panel("test_error", "Test error", "test error (share)"),
)
LOSS = Panel("train_loss", "Training loss", "training loss (without penalty)", log=True)
RHO = Panel("rho", r"Product norm $\rho$", r"$\rho$", log=True)
NC1 = Panel("nc1", "NC1: variability collapse", r"$\mathrm{Tr}(\Sigma_W \Sigma_B^{+})$", log=True)


def only_snapshots(run: pd.DataFrame, column: str) -> bool:
    """Whether a column is measured at few epochs, as all that comes from snapshots."""
    measured = run[run["rho"].notna()].groupby("epoch")[column].count()
    return bool((measured == 0).any())


def draw(
    table: pd.DataFrame,
    made_from: str,
    panels: tuple[Panel, ...],
    by: list[str],
    label: Callable[..., str],
    title: str,
    note: str = "",
) -> Figure:
    """One panel a quantity, four in a row, and one curve a combination of the columns `by`.

    `label` takes the values of `by` and gives the curve's name. The table's runs must not differ in
    anything else. Where `by` has lambda, the runs without it are dashed, in the colour of their
    partner with it.
    """
    style.check_sweep(table, *by)
    partners = [name for name in by if name != "weight_decay"] or by
    groups = [key for key, _ in table.groupby(partners, sort=False)]
    wide, high = min(len(panels), COLUMNS), -(-len(panels) // COLUMNS)
    figure = style.canvas(2.7 * wide + 2, 2.6 * high + 0.7)
    axes = figure.subplots(high, wide, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for ax, panel in zip(axes.flat, panels, strict=False):
        if panel.log:
            ax.set_yscale("log")
        style.printed(ax, panel.printed, ls=":")
        for key, run in table.groupby(by, sort=False):
            names = dict(zip(by, key, strict=True))
            partner = tuple(names[name] for name in partners)
            values = run[run[panel.column] > 0] if panel.log else run
            style.curve(
                ax,
                values,
                panel.column,
                label=label(*key),
                color=style.SERIES[groups.index(partner)],
                ls="--" if names.get("weight_decay") == 0 else "-",
                marker="o" if only_snapshots(run, panel.column) else "",
                ms=3,
            )
        bottom, top = ax.get_ylim()
        if not panel.log and table[panel.column].min() >= 0:  # as mean - sd may not be
            ax.set_ylim(bottom=max(bottom, -0.02 * top))
        ax.set_xscale("symlog", linthresh=1)  # shows epoch 0
        ax.set_xlim(-0.12, table["epoch"].max() * 1.3)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.set(title=panel.title, ylabel=panel.label, xlabel="epoch")
    axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.suptitle(title)
    replicates = style.replicates(table, *(name for name in by if name in style.SIGNS))
    style.foot(figure, made_from, replicates, style.LOG_AXES, note)
    return figure
