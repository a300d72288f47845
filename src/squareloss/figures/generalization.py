"""Figures 6 and 7: rho, errors and the bound of Eq. 16 against the number of training samples."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from matplotlib.transforms import Bbox

from squareloss.figures import countings, style
from squareloss.figures.style import Tabulation
from squareloss.tables.readable import number
from squareloss.tables.runs import RUN, last_epoch

# Eq. 16 as printed; and with rho of the convolutions alone, where a table has that.
BOUND, CONVOLUTIONS = "eq16_printed", "eq16_printed_convolutions"
BOUNDS = ("eq16_eq12", BOUND, CONVOLUTIONS)
VARIES = ("init_scale", "n_train")
BY = [*VARIES]
HEAD = {
    "rho": r"$\rho$",
    "rho_convolutions": r"$\rho$, conv.",
    "train_error": "train error",
    "test_error": "test error",
    "gap": "gap",
    "eq16_eq12": "",  # hardly differs from the next, and is in the table's numbers alone
    BOUND: "Eq. 16",
    CONVOLUTIONS: "Eq. 16, conv.",
}
Places = dict[tuple[float, int], float]


def tail(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the last 100 epochs, or of the last tenth of a run of fewer than 1,000 epochs."""
    end = table.groupby(RUN)["epoch"].transform("max")
    length = (end // 10).clip(lower=1, upper=100)
    return table[table["epoch"] > end - length]


def outcomes(table: pd.DataFrame) -> pd.DataFrame:
    """One row a replicate: rho and bounds of the last epoch, errors averaged over the tail.

    `applies` says whether the bounds' premise holds: no training error at the last epoch.
    """
    keys = [*BY, "replicate"]
    last = last_epoch(table)
    last = last.assign(fits=style.fits(last)).set_index(keys)
    names = [name for name in ("rho", "rho_convolutions", *BOUNDS) if name in last]
    if not countings.known(table):
        names = [name for name in names if "convolutions" not in name]
    one = last[names].join(tail(table).groupby(keys)[["train_error", "test_error"]].mean())
    one["gap"] = one["test_error"] - one["train_error"]
    one["applies"] = last["train_error"] == 0
    one["fits"] = last["fits"]
    one = one.reset_index()
    # A replicate that diverged has no outcome, although errors were measured in its early epochs.
    lost = ~np.isfinite(one["rho"])
    one.loc[lost, ["train_error", "test_error", "gap"]] = np.nan
    return one


def summary(one: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles by initialisation and N; bounds only over replicates they apply to."""
    columns: dict[str, pd.Series] = {"replicates": one.groupby(BY)["replicate"].nunique()}
    columns["finished"] = one.groupby(BY)["rho"].count()
    columns["bound_applies"] = one.groupby(BY)["applies"].sum()
    for name in (name for name in HEAD if name in one):
        rows = one[one["applies"]] if name in BOUNDS else one
        stats = style.quartiles(rows, BY, name)
        columns |= {f"{name}_{which}": stats[which] for which in ("median", "low", "high")}
    return pd.DataFrame(columns).reset_index()


def readable(means: pd.DataFrame) -> pd.DataFrame:
    """The summary as text, "n/a" where nothing finished or the bound's premise fails."""
    shown = [name for name, head in HEAD.items() if head and f"{name}_median" in means]
    rows = []
    for row in means.to_dict("records"):
        cells = [f"{row['init_scale']:g}", f"{row['n_train']:,}"]
        for name in shown:
            middle, low, high = (row[f"{name}_{which}"] for which in ("median", "low", "high"))
            exact = (lambda v: f"{v:.3f}") if "error" in name or name == "gap" else number
            several = f" ({exact(low)} to {exact(high)})" if low < high else ""
            cell = exact(middle) + several if np.isfinite(middle) else "n/a"
            some = 0 < row["bound_applies"] < row["finished"]
            if name in BOUNDS and some:
                cell += f" ({row['bound_applies']} of {row['finished']})"
            cells.append(cell)
        rows.append(cells)
    return pd.DataFrame(rows, columns=["init", "$N$", *(HEAD[name] for name in shown)])


def tabulate(table: pd.DataFrame) -> Tabulation:
    """The table of panel (a)."""
    means = summary(outcomes(table))
    return Tabulation(means, readable(means))


def table_panel(ax: Axes, text: pd.DataFrame) -> None:
    """(a) The table, as text that fills the panel."""
    ax.axis("off")
    widths = [2 + max(map(len, (str(name).strip("$"), *text[name]))) for name in text]  # in letters
    cells = ax.table(
        text.to_numpy().tolist(),
        colLabels=list(text.columns),
        colWidths=widths,
        bbox=Bbox([[0, 0], [1, 1]]),
        cellLoc="center",
    )
    cells.auto_set_font_size(False)
    cells.set_fontsize(7)
    for (row, _), cell in cells.get_celld().items():
        cell.set_edgecolor("0.8")
        cell.visible_edges = "horizontal"
        if row == 0:
            cell.set_facecolor("0.93")
            cell.get_text().set_fontweight("bold")
        elif cell.get_text().get_text() == "n/a":
            cell.get_text().set_color("0.6")


def places(means: pd.DataFrame) -> Places:
    """Where each initialisation and N stands: around the tick of N, side by side."""
    sizes = sorted(means["n_train"].unique())
    width = 0.8 / means.groupby("n_train")["init_scale"].nunique().max()
    found: Places = {}
    for n in sizes:
        inits = sorted(means.loc[means["n_train"] == n, "init_scale"])
        for i, init in enumerate(inits):
            found[init, n] = sizes.index(n) + (i - (len(inits) - 1) / 2) * width
    return found


def ticks(ax: Axes, means: pd.DataFrame) -> None:
    """A tick for each N."""
    sizes = sorted(means["n_train"].unique())
    ax.set_xticks(range(len(sizes)), [f"{n:,}" for n in sizes])
    ax.set_xlim(-0.6, len(sizes) - 0.4)
    ax.set_xlabel("training samples $N$")


def dots(ax: Axes, one: pd.DataFrame, column: str, x: float, **look: Any) -> None:
    """Single replicates of one initialisation and N; grey those for which `shown` is False."""
    for shown, changed in ((True, {}), (False, {"color": style.GREY})):
        values = one[column][one["shown"] == shown]
        ax.plot([x] * len(values), values, ls="none", **(look | changed))


def gap_panel(ax: Axes, one: pd.DataFrame, means: pd.DataFrame, colours: dict[float, str]) -> None:
    """(b) Bars of the median gap for each N, and the replicates; grey what does not fit."""
    place = places(means)
    width = 0.92 * 0.8 / means.groupby("n_train")["init_scale"].nunique().max()
    for init, colour in colours.items():
        rows = means[means["init_scale"] == init].rename(columns=lambda c: c.removeprefix("gap_"))
        middles = [place[init, n] for n in rows["n_train"]]
        bars = {"capsize": 3, "ecolor": "0.2"}
        reach = np.nan_to_num(style.reach(rows))
        ax.bar(
            middles,
            rows["median"],
            width,
            yerr=reach,
            color=colour,
            alpha=0.55,
            error_kw=bars,
            label=f"init {init:g}",
        )
    for (init, n), x in place.items():
        some = one[(one["init_scale"] == init) & (one["n_train"] == n)]
        look = {"marker": ".", "ms": 4, "color": colours[init], "zorder": 3}
        dots(ax, some.assign(shown=some["fits"]), "gap", x, **look)
    ax.axhline(0, color="0.3", lw=0.8)
    ticks(ax, means)
    ax.set(ylabel="test error - train error (share)")
    ax.set_title("(b) Does the gap fall with $N$?")
    ax.margins(y=0.1)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.13 * (high - low))  # room for the legend
    ax.legend(loc="upper center", ncols=len(colours))


def bound_panel(
    ax: Axes, one: pd.DataFrame, means: pd.DataFrame, colours: dict[float, str]
) -> None:
    """(c) Eq. 16 over the gap for each N: medians, quartiles, replicates; grey: does not apply."""
    place = places(means)
    names = {
        BOUND: (r"all layers in $\rho$", "white"),
        CONVOLUTIONS: ("convolutions alone", None),
    }
    names = {name: look for name, look in names.items() if name in one}
    one = one.assign(shown=one["applies"])
    for name, (label, face) in names.items():
        ratios = one.assign(ratio=(one[name] / one["gap"]).where(one["gap"] > 0))
        stats = style.quartiles(ratios[ratios["applies"]], BY, "ratio")
        for (init, n), x in place.items():
            some = ratios[(ratios["init_scale"] == init) & (ratios["n_train"] == n)]
            dots(ax, some, "ratio", x + 0.06, marker=".", ms=3, alpha=0.5, color=colours[init])
            if (init, n) in stats.index:
                row = stats.loc[[(init, n)]]
                look: dict[str, Any] = {
                    "marker": "o",
                    "ms": 6,
                    "color": colours[init],
                    "capsize": 3,
                }
                bar = style.reach(row)
                ax.errorbar([x], row["median"], bar, mfc=face or colours[init], **look)
        ax.plot([], [], "o", ms=6, color="0.3", mfc=face or "0.3", label=label)
    if not one["applies"].all():
        ax.plot([], [], ".", color=style.GREY, ms=6, label="train error > 0: does not apply")
    ticks(ax, means)
    ax.set(ylabel="bound of Eq. 16 / gap")
    ax.set_title("(c) How many times the gap is the bound?")
    if not np.isfinite(one["gap"]).any():
        style.nothing(ax)
        return
    if len(names) > 1:
        ax.set_yscale("log")
        style.short_ticks(ax)
        ax.legend(loc="center left")
    else:
        ax.set_ylim(0, 1.1 * ax.get_ylim()[1])
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.legend(loc="lower left")


def stuck(means: pd.DataFrame, classes: int) -> str:
    """Names the initialisations whose training error stays near that of guessing."""
    chance = 1 - 1 / classes
    rows = means[means["train_error_median"] > 0.8 * chance]
    if rows.empty:
        return ""
    cases = [
        f"init {init:g} with N = " + ", ".join(f"{n:,}" for n in group["n_train"])
        for init, group in rows.groupby("init_scale")
    ]
    return f"Training does not start (train error near chance, {chance:g}): {'; '.join(cases)}"


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 6 or 7: (a) the table, (b) the gap, (c) the bound over the gap."""
    style.check_sweep(table, *VARIES)
    one = outcomes(table)
    means = summary(one)
    inits = sorted(table["init_scale"].unique())
    colours = style.colours(inits)
    heights = [0.22 * (len(means) + 1), 3.1]
    figure = style.canvas(9.4, sum(heights) + 1.3)
    axes = figure.subplot_mosaic([["a", "a"], ["b", "c"]], height_ratios=heights)
    table_panel(axes["a"], readable(means))
    axes["a"].set_title(
        rf"(a) Medians and quartiles, $\lambda$ = {table['weight_decay'].iloc[0]:g}"
    )
    gap_panel(axes["b"], one, means, colours)
    bound_panel(axes["c"], one, means, colours)
    title = "Does the gap fall with $N$, and does the bound of Eq. 16 follow?"
    started = stuck(means, int(table["classes"].iloc[0]))
    figure.suptitle("\n".join(filter(None, [title, started])), color=style.RED if started else None)
    deltas = ", ".join(f"{delta:g}" for delta in table["delta"].dropna().unique())
    about = (
        "Small dots: single replicates. rho and bounds: last epoch; errors: averaged over the last "
        "100 epochs (the last tenth of a run of fewer than 1,000). The bounds take rho times "
        f"max ||x|| and delta = {deltas}, and assume no training error: n/a where there is some."
    )
    conv = "Conv.: rho without the norms of the dense layers, as in the authors' code."
    note = conv if countings.known(table) else ""
    style.foot(figure, made_from, style.replicates(table, *BY, drawn="Grey"), about, note)
    return figure
