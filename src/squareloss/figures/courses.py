"""Several runs beside each other: their quantities against the epoch, one curve a run."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from squareloss.figures import countings, style
from squareloss.tables.aggregate import TRAINED

COLUMNS = 2  # of quantities
THICK, THIN = 3.0, 1.0  # from the first curve to the last, so that none hides another


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


@dataclass(frozen=True)
class Curves:
    """How the runs of a table are told apart.

    A curve is a combination of the columns `by`, and `name` takes their values and gives its name.
    `facet`, where given, takes the values of `facets` and names a panel: each quantity has one for
    each, beside each other on one axis.
    """

    by: Sequence[str]
    name: Callable[..., str]
    facets: tuple[str, ...] = ()
    facet: Callable[..., str] | None = None


ERRORS = (
    Panel("train_error", "Training error", "training error (share)"),
    Panel("test_error", "Test error", "test error (share)"),
)
LOSS = Panel("train_loss", "Training loss", "training loss (without penalty)", log=True)
RHO = Panel("rho", r"Product norm $\rho$", r"$\rho$", log=True)
RHO_CONVOLUTIONS = Panel(
    "rho_convolutions", countings.AXIS, countings.AXIS, log=True, printed=(countings.RHO,)
)
NC1 = Panel("nc1", "NC1: variability collapse", r"$\mathrm{Tr}(\Sigma_W \Sigma_B^{+})$", log=True)


def only_snapshots(run: pd.DataFrame, column: str) -> bool:
    """Whether a column is measured at few epochs, as all that comes from snapshots."""
    measured = run[run["rho"].notna()].groupby("epoch")[column].count()
    return bool((measured == 0).any())


def start(decay: float, init: float) -> str:
    """What a legend calls a run that starts at a scale."""
    return rf"init {init:g}, $\lambda$ = {decay:g}"


def names_of(keys: Sequence[tuple[Hashable, ...]]) -> list[Hashable]:
    """What each of several runs is known by: its first value where it alone has that."""
    first = [key[0] for key in keys]
    return [key[0] if first.count(key[0]) == 1 else key for key in keys]


def draw(
    table: pd.DataFrame,
    made_from: str,
    panels: Sequence[Panel],
    curves: Curves,
    title: str,
    note: str = "",
    columns: int = COLUMNS,
) -> Figure:
    """One panel a quantity, `columns` in a row, and one curve a run.

    The table's runs must not differ in anything else than what `curves` names; a recipe stands for
    its settings. Where that is lambda, the runs without it are dashed, in the colour of their
    partner with it; of several values above 0 each has a colour.
    """
    by, facets = list(curves.by), curves.facets
    also = TRAINED if "recipe_name" in by else ()
    style.check_sweep(table, *by, *facets, *also)
    alone = table.loc[table["weight_decay"] > 0, "weight_decay"].nunique() > 1
    partners = [name for name in by if name != "weight_decay" or alone] or by
    keys = [key for key, _ in table.groupby(partners, sort=False)]
    known = dict(zip(keys, names_of(keys), strict=True))
    colours = style.colours(known.values())
    parts = list(table.groupby(list(facets), sort=False)) if facets else [((), table)]
    wide, high = min(len(panels), columns), -(-len(panels) // columns)
    right = 0.4 if len(panels) % wide else 2.0  # for the legend
    figure = style.canvas(2.75 * wide * len(parts) + right, 2.35 * high + 0.6)
    axes = figure.subplots(high, wide * len(parts), squeeze=False)
    cells = axes.reshape(high * wide, len(parts))
    for ax in cells[len(panels) :].flat:
        ax.remove()
    for row, panel in zip(cells, panels, strict=False):
        for ax, (key, part) in zip(row, parts, strict=True):
            if panel.log:
                ax.set_yscale("log")
            style.printed(ax, panel.printed, ls=":", label="the paper")
            groups = list(part.groupby(by, sort=False))
            for width, (values, run) in zip(
                np.linspace(THICK, THIN, len(groups)), groups, strict=True
            ):
                names = dict(zip(by, values, strict=True))
                style.curve(
                    ax,
                    run,
                    panel.column,
                    label=curves.name(*values),
                    color=colours[known[tuple(names[name] for name in partners)]],
                    ls="--" if names.get("weight_decay") == 0 else "-",
                    lw=width,
                    marker="o" if only_snapshots(run, panel.column) else "",
                    ms=3,
                )
            bottom, top = ax.get_ylim()
            if not panel.log and table[panel.column].min() >= 0:
                ax.set_ylim(bottom=max(bottom, -0.02 * top))
            ax.set_xscale("symlog", linthresh=1)  # shows epoch 0
            ax.set_xlim(-0.12, table["epoch"].max() * 1.3)
            ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            ax.set(title=panel.title, ylabel=panel.label, xlabel="epoch")
            if curves.facet:
                ax.set_title(f"{panel.title}\n{curves.facet(*key)}")
            if ax is not row[0]:
                ax.sharey(row[0])
                ax.set(ylabel="")
                ax.tick_params(labelleft=False)
        row[0].autoscale_view()
        if panel.log:
            style.short_ticks(row[0])
    if len(panels) % wide:  # the place of another panel is free
        legend(cells[len(panels) - 1, -1], figure.axes, free=True)
    else:
        legend(axes[0, -1], figure.axes)
    figure.suptitle(title)
    replicates = style.replicates(table, *(name for name in (*by, *facets) if name in style.SIGNS))
    style.foot(figure, made_from, replicates, note)
    return figure


def legend(ax: Axes, panels: Sequence[Axes], free: bool = False) -> None:
    """Right of a panel, the curves of several, each name once; `free`: over what is drawn there."""
    named: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    place = (1.25 if free else 1.02, 0.5)
    made = ax.legend(list(named.values()), list(named), loc="center left", bbox_to_anchor=place)
    made.set_in_layout(not free)
