"""Figures 6 and 7: rho, errors and the bound of Eq. 16 against the number of training samples."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from squareloss.figures import countings, style
from squareloss.figures.style import Tabulation
from squareloss.tables.readable import number
from squareloss.tables.runs import RUN, last_epoch

# Forms of Eq. 16; and the printed one with rho of the convolutions alone, where a table has that.
BOUNDS = {"eq16_eq12": r"Eq. 16, $\log(\rho + 1)$", "eq16_printed": "Eq. 16 as printed"}
CONVOLUTIONS = {"eq16_printed_convolutions": "Eq. 16, conv."}
VARIES = ("init_scale", "n_train")
BY = [*VARIES]
HEAD = {
    "rho": r"$\rho$",
    "rho_convolutions": r"$\rho$, conv.",
    "train_error": "train error",
    "test_error": "test error",
    "gap": "gap",
    **BOUNDS,
    **CONVOLUTIONS,
}


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
    last = last_epoch(table).set_index(keys)
    there = ["rho_convolutions", *CONVOLUTIONS] if countings.known(table) else []
    one = last[["rho", *BOUNDS, *there]].join(
        tail(table).groupby(keys)[["train_error", "test_error"]].mean()
    )
    one["gap"] = one["test_error"] - one["train_error"]
    one["applies"] = last["train_error"] == 0
    one = one.reset_index()
    one["rho_per_root_n"] = one["rho"] / np.sqrt(one["n_train"])
    if there:
        one["rho_convolutions_per_root_n"] = one["rho_convolutions"] / np.sqrt(one["n_train"])
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
        rows = one[one["applies"]] if name in {**BOUNDS, **CONVOLUTIONS} else one
        stats = style.quartiles(rows, BY, name)
        columns |= {f"{name}_{which}": stats[which] for which in ("median", "low", "high")}
    return pd.DataFrame(columns).reset_index()


def readable(means: pd.DataFrame) -> pd.DataFrame:
    """The summary as text, "n/a" where nothing finished or the bound's premise fails."""
    rows, shown = [], [name for name in HEAD if f"{name}_median" in means]
    for row in means.to_dict("records"):
        cells = [f"{row['init_scale']:g}", f"{row['n_train']:,}"]
        for name in shown:
            middle, low, high = (row[f"{name}_{which}"] for which in ("median", "low", "high"))
            exact = (lambda v: f"{v:.3f}") if "error" in name or name == "gap" else number
            several = f" ({exact(low)} to {exact(high)})" if low < high else ""
            cell = exact(middle) + several if np.isfinite(middle) else "n/a"
            some = 0 < row["bound_applies"] < row["finished"]
            if name in {**BOUNDS, **CONVOLUTIONS} and some:
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
    wide = {"init": 0.06, "$N$": 0.08, **{HEAD[name]: 0.165 for name in ("rho", *BOUNDS)}}
    widths = [wide.get(name, 0.15) for name in text.columns]
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


def gap_panel(ax: Axes, means: pd.DataFrame, colours: dict[float, str]) -> None:
    """(b) Bars of the generalisation gap for each N, one for each initialisation side by side."""
    sizes = sorted(means["n_train"].unique())
    width = 0.8 / len(colours)
    for i, (init, colour) in enumerate(colours.items()):
        rows = means[means["init_scale"] == init]
        x = [sizes.index(n) + (i - (len(colours) - 1) / 2) * width for n in rows["n_train"]]
        error = {"capsize": 3, "ecolor": "0.2"}
        ax.bar(
            x,
            rows["gap_median"],
            width * 0.92,
            yerr=np.nan_to_num(
                [rows["gap_median"] - rows["gap_low"], rows["gap_high"] - rows["gap_median"]]
            ),
            color=colour,
            error_kw=error,
            label=f"init {init:g}",
        )
    ax.axhline(0, color="0.3", lw=0.8)
    ax.set_xticks(range(len(sizes)), [f"{n:,}" for n in sizes])
    ax.set(xlabel="training samples $N$", ylabel="test error - train error (share)")
    ax.set_title("(b) Generalisation gap")
    ax.margins(y=0.1)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.13 * (high - low))  # room for the legend
    ax.legend(loc="upper center", ncols=len(colours))


def bound_panel(ax: Axes, one: pd.DataFrame, colours: dict[float, str]) -> None:
    """(c) Each replicate's bound against rho / sqrt(N); grey where the premise fails.

    A bound with rho of the convolutions stands at that rho.
    """
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel=r"$\rho / \sqrt{N}$", ylabel="upper bound on the test error (share)")
    ax.set_title("(c) Bound of Eq. 16")
    shown = {name: label for name, label in {**BOUNDS, **CONVOLUTIONS}.items() if name in one}
    for (name, label), marker in zip(shown.items(), "ox^", strict=False):
        x = "rho_convolutions_per_root_n" if name in CONVOLUTIONS else "rho_per_root_n"
        size = 3.5 if marker == "x" else 5
        look: dict[str, Any] = {
            "ls": "none",
            "marker": marker,
            "mfc": "none",
            "ms": size,
            "mew": 0.8,
        }
        for init, colour in colours.items():
            rows = one[one["init_scale"] == init]
            for holds, shade in ((True, colour), (False, "0.65")):
                some = rows[rows["applies"] == holds]
                ax.plot(some[x], some[name], mec=shade, **look)
        ax.plot([], [], mec="0.2", label=label, **look)
    finite = one[np.isfinite(one["rho_per_root_n"]) & np.isfinite(one["eq16_eq12"])]
    if finite.empty:
        style.nothing(ax)
        return
    top = finite.loc[finite["rho_per_root_n"].idxmax()]
    least = one.filter(like="per_root_n").min(axis=None)
    ends = np.array([least, top["rho_per_root_n"]])
    ax.plot(
        ends,
        top["eq16_eq12"] / top["rho_per_root_n"] * ends,
        color="0.3",
        lw=1,
        ls="--",
        zorder=0,
        label="slope 1",
    )
    ax.axhline(1, color=style.RED, lw=1, ls=":", zorder=0, label="vacuous above 1")
    if not finite["applies"].all():
        ax.plot([], [], "s", color="0.65", ms=5, label="train error > 0: does not apply")
    low, high = ax.get_xlim()
    if high < 2 * low:  # so few N that the labels between two powers of ten would overlap
        ax.set_xlim(low / 2, high * 2)
    ax.legend()


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
    """Draw Figure 6 or 7: (a) the table, (b) the gap, (c) the bound against rho / sqrt(N)."""
    style.check_sweep(table, *VARIES)
    one = outcomes(table)
    means = summary(one)
    inits = sorted(table["init_scale"].unique())
    colours = dict(zip(inits, style.SERIES, strict=False))
    recipe, decay = table["recipe_name"].iloc[0], table["weight_decay"].iloc[0]
    heights = [0.22 * (len(means) + 1), 3.3]
    figure = style.canvas(11.2 if countings.known(table) else 9.4, sum(heights) + 1.1)
    axes = figure.subplot_mosaic([["a", "a"], ["b", "c"]], height_ratios=heights)
    table_panel(axes["a"], readable(means))
    axes["a"].set_title(rf"(a) {recipe}, $\lambda$ = {decay:g}")
    gap_panel(axes["b"], means, colours)
    bound_panel(axes["c"], one, colours)
    if started := stuck(means, int(table["classes"].iloc[0])):
        figure.suptitle(started, color=style.RED, size=8.5)
    deltas = ", ".join(f"{delta:g}" for delta in table["delta"].dropna().unique())
    about = (
        "rho and bounds: last epoch; errors: averaged over the last 100 epochs (the last tenth "
        f"of a run of fewer than 1,000). The bounds take rho times max ||x|| and delta = {deltas}, "
        "and assume no training error: n/a where there is some."
    )
    conv = "Conv.: rho without the norms of the dense layers, as in the authors' code."
    note = conv if countings.known(table) else ""
    style.foot(figure, made_from, style.replicates(table, *BY), about, note)
    return figure
