"""What all figures share: their look, medians and quartiles over replicates, the foot, their files.

Nothing here goes through pyplot, which would keep every figure in memory.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from squareloss.claims.select import LEARNT
from squareloss.errors import UserError
from squareloss.files import whole
from squareloss.source.catalog import misfit
from squareloss.spec import coordinates
from squareloss.tables.aggregate import TRAINED
from squareloss.tables.readable import markdown_table, number
from squareloss.tables.runs import RUN, last_epoch

# Seaborn's colour-blind safe palette, and a red that everybody can tell from its blue.
SERIES = sns.color_palette("colorblind").as_hex()
BLUE, ORANGE, GREEN = SERIES[:3]
RED = "#c4161c"
GREY = "0.55"
# What has one colour in every figure and study, whatever else is drawn beside it.
NAMED: dict[object, str] = {
    "square": BLUE,
    "cross_entropy": ORANGE,
    "wn": BLUE,
    "bn": ORANGE,
    "lm": GREEN,
    "none": SERIES[4],
    "sgd": BLUE,
    "gd": SERIES[5],
    0.1: SERIES[4],  # scales of a start
    0.9: BLUE,
    1.0: ORANGE,
    1.3: GREEN,
}
# How a foot names the columns in which runs differ.
SIGNS = {name: name for name in ("recipe_name", *TRAINED)}
SIGNS |= {"recipe_name": "recipe", **{name: axis.symbol for name, _, axis, _ in coordinates()}}
FOOT_SIZE = 6.5
DPI = 200  # of the pixels in a file, and of the layout: hinting makes text wider or narrower
LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "#$%&_{}"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "±": r"$\pm$",
    }
)
MARGIN = r"$y\,f_V(x)$"
FEW = 4  # replicates, of fewer of which quartiles would say nothing: they are drawn themselves


def use_style() -> None:
    """Fonts, sizes and lines of every figure; fonts are embedded as TrueType."""
    rc = {
        "font.family": "DejaVu Sans",
        "mathtext.fontset": "dejavusans",
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.labelsize": 8.5,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "figure.titlesize": 10,
        "axes.formatter.use_mathtext": True,
        "axes.formatter.limits": (-3, 6),
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "lines.linewidth": 1.3,
        "pdf.fonttype": 42,
    }
    sns.set_theme(context="paper", style="ticks", palette="colorblind", rc=rc)


def canvas(width: float, height: float) -> Figure:
    """An empty figure in the common style, `width` by `height` inches."""
    use_style()
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def foot(figure: Figure, *sentences: str) -> None:
    """Print how the figure was made below everything else, wrapped to its width."""
    width, height = figure.get_size_inches()
    text = textwrap.fill(" ".join(filter(None, sentences)), int(width * 21))
    lines = text.count("\n") + 1
    share = (0.1 + lines * FOOT_SIZE * 1.35 / 72) / height
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, share, 1, 1 - share))  # type: ignore[call-arg]
    # The user's text may contain "$", which is no formula here.
    label = figure.text(
        0.05 / width, 0.05 / height, text, size=FOOT_SIZE, color="0.35", va="bottom", ha="left"
    )
    label.set_parse_math(False)
    label.set_in_layout(False)


def settle(figure: Figure) -> None:
    """Lay the figure out, and round the places of its panels to a millionth of its size.

    The solver's answer varies in its tenth digit from one process to another, and so would a PDF.
    The grid is a power of two: margins are decimal fractions, which lie halfway between the points
    of a decimal grid, where the last digit decides.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(_on_grid(part.bbox_relative))
    for ax in figure.axes:
        ax.set_position(Bbox(_on_grid(ax.get_position(original=True))))


def _on_grid(box: Bbox) -> np.ndarray:
    return np.round(box.get_points() * 2**20) / 2**20


def save(figure: Figure, prefix: str) -> None:
    """Write PREFIX.png and PREFIX.pdf; the same figure gives the same bytes."""
    use_style()
    settle(figure)
    with whole(f"{prefix}.png") as path:
        figure.savefig(path)
    with whole(f"{prefix}.pdf") as path:
        figure.savefig(path, metadata={"CreationDate": None})


@dataclass(frozen=True)
class Tabulation:
    """A table twice: `numbers` in full for CSV, `text` rounded and headed for people."""

    numbers: pd.DataFrame
    text: pd.DataFrame


def latex(text: str) -> str:
    """Plain text as LaTeX: what has a meaning there is escaped."""
    return text.translate(LATEX)


def save_table(table: Tabulation, prefix: str) -> None:
    """Write PREFIX.csv (numbers), PREFIX.md and PREFIX.tex (text)."""
    head = [str(name) for name in table.text.columns]
    body = [[str(cell) for cell in row] for row in table.text.itertuples(index=False)]
    # Cells may hold a user's text, such as the name of a recipe, and are escaped. The head is ours
    # and may hold formulas.
    rows = [" & ".join(row) + r" \\" for row in (head, *([latex(c) for c in row] for row in body))]
    lines = [rf"\begin{{tabular}}{{{'l' * len(head)}}}", r"\hline", rows[0], r"\hline", *rows[1:]]
    lines += [r"\hline", r"\end{tabular}"]
    texts = {
        "csv": table.numbers.to_csv(index=False, lineterminator="\n"),
        "md": markdown_table(head, body),
        "tex": "\n".join(lines) + "\n",
    }
    for suffix, text in texts.items():
        with whole(f"{prefix}.{suffix}") as path:
            path.write_text(text, encoding="utf-8")


def check_sweep(table: pd.DataFrame, *varied: str) -> None:
    """Refuse a table whose runs differ in more than `varied`: to compare them would mean nothing.

    Raises `UserError` naming the column.
    """
    settings = [name for name in TRAINED if name in table]
    recipes = table.drop_duplicates("recipe_name").set_index("recipe_name", drop=False)
    found = misfit(
        {name: table[name].unique().tolist() for name in RUN},
        recipes[settings].to_dict("index"),  # type: ignore[arg-type]
        varied,
    )
    if found:
        name, values = found
        shown = ", ".join(str(value) for value in values)
        raise UserError(f"this figure takes one {name}, but its table has {shown}")


def choose(values: pd.Series, wanted: Sequence[float]) -> list[float]:
    """The `wanted` values that occur, or the first of those that do, as many as were wanted."""
    there = sorted(values.unique())
    return [value for value in wanted if value in there] or there[: len(wanted)]


def decays(table: pd.DataFrame) -> list[float]:
    """Values of lambda, the largest first, as in the paper's panels."""
    return sorted(table["weight_decay"].unique(), reverse=True)


def quartiles(table: pd.DataFrame, by: str | list[str], column: str) -> pd.DataFrame:
    """Columns `low`, `median`, `high` (quartiles) and `count` of the finite values by group."""
    groups = table[np.isfinite(table[column])].groupby(by)[column]
    stats = {"low": groups.quantile(0.25), "median": groups.median(), "high": groups.quantile(0.75)}
    return pd.DataFrame(stats | {"count": groups.count()})


def reach(stats: pd.DataFrame) -> np.ndarray:
    """How far quartiles lie below and above their median: the error bars of `errorbar`."""
    return np.array([stats["median"] - stats["low"], stats["high"] - stats["median"]])


def fits(table: pd.DataFrame) -> pd.Series:
    """For each row, whether its replicate ended with a training error below `LEARNT`."""
    one = [table[name] for name in (*RUN, "replicate")]
    last = table["epoch"] == table["epoch"].groupby(one).transform("max")
    return table["train_error"].where(last).groupby(one).transform("max") < LEARNT


def colours(names: Iterable[object]) -> dict[Any, str]:
    """A colour for each name: its own in every figure if it is in `NAMED`, else one left over."""
    names = list(names)
    known = {name: NAMED[name] for name in names if name in NAMED}
    left = [colour for colour in SERIES if colour not in known.values()] or SERIES
    others = [name for name in dict.fromkeys(names) if name not in known]
    return known | {name: left[i % len(left)] for i, name in enumerate(others)}


def curve(ax: Axes, table: pd.DataFrame, column: str, **line: Any) -> None:
    """Median of `column` against the epoch over the replicates that fit, and a band of quartiles.

    Fewer than `FEW` replicates are thin lines in place of the band. A replicate that does not fit
    is dotted and grey, and leaves the axis to the others.
    """
    good = fits(table) if "train_error" in table else pd.Series(True, table.index)
    finite = np.isfinite(table[column])
    table, good = table[finite], good[finite]
    if table.empty:
        nothing(ax)
        return
    if ax.get_yscale() == "log":
        table = table.assign(**{column: table[column].where(table[column] > 0, 0.0)})
    stats = quartiles(table[good], "epoch", column)
    if not stats.empty:
        (drawn,) = ax.plot(stats.index, stats["median"], **line)
        if stats["count"].max() >= FEW:
            edges = stats["low"], stats["high"]
            ax.fill_between(stats.index, *edges, color=drawn.get_color(), alpha=0.25, lw=0)
        elif stats["count"].max() > 1:
            look: dict[str, Any] = {"color": drawn.get_color(), "ls": drawn.get_linestyle()}
            for _, one in table[good].groupby("replicate"):
                ax.plot(one["epoch"], one[column], lw=0.6, alpha=0.55, zorder=1, **look)
    limits = ax.dataLim.frozen()
    for i, (_, one) in enumerate(table[~good].groupby("replicate")):
        label = line.get("label") if stats.empty and i == 0 else None
        look = {"color": GREY, "ls": ":", "lw": 1, "label": label, "zorder": 1}
        ax.plot(one["epoch"], one[column], **look)
    if np.isfinite(limits.width):
        ax.dataLim.set(limits)


def nothing(ax: Axes, why: str = "no finite values\n(every replicate diverged)") -> None:
    """Say on an empty panel why it is empty."""
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color="0.4")


def printed(ax: Axes, values: Sequence[float], **line: Any) -> None:
    """What the paper prints of a quantity, across a panel: a number, or a range's two ends."""
    if len(values) == 2:
        ax.axhspan(*values, color="0.5", alpha=0.25, lw=0)
    for value in values:
        ax.axhline(value, color="0.3", lw=1, **line)


def spanned(values: pd.Series) -> tuple[dict[str, float], str]:
    """Median, least and largest of the finite values, and the same as a cell of a table."""
    values = values[np.isfinite(values)]
    ends = {"median": values.median(), "least": values.min(), "largest": values.max()}
    several = f" ({number(values.min())} to {number(values.max())})" if len(values) > 1 else ""
    return ends, number(values.median()) + several if len(values) else "n/a"


def short_ticks(ax: Axes) -> None:
    """Ticks 1, 2, 5 as plain numbers on a log axis too short for powers of ten.

    Between them are more on an axis that is shorter still.
    """
    low, high = ax.get_ylim()
    if high < 100 * low:
        subs = (1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)
        ax.yaxis.set_major_locator(LogLocator(subs=subs))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def power(value: float) -> str:
    """A number as math text with its power of ten, e.g. 1.09 x 10^-4."""
    if not np.isfinite(value):
        return "n/a"
    digits, exponent = f"{value:.2e}".split("e")
    return rf"${digits}\times10^{{{int(exponent)}}}$"


def replicates(table: pd.DataFrame, *by: str, drawn: str = "Grey, in no median") -> str:
    """What is drawn of how many replicates, which are missing and which do not fit, as sentences.

    Of one replicate there are no quartiles, and how many there are is said by `made_from`. `drawn`
    says how the figure shows those that do not fit.
    """
    count = table.groupby(RUN)["replicate"].nunique()
    low, high = count.min(), count.max()
    number = f"{low}" if low == high else f"{low} to {high}"
    text = f"Median and quartiles of {number} replicates." if high > 1 else ""
    those = [unfitted(table, *by, drawn=drawn if text else "Grey"), missing(table, *by)]
    return " ".join(filter(None, [text, *those]))


def unfitted(table: pd.DataFrame, *by: str, drawn: str = "Grey") -> str:
    """Which runs, named by their columns `by`, have replicates that end unfitted, as a sentence.

    `drawn` says how the figure shows them.
    """
    last = last_epoch(table)
    lacking = lost(last, last["train_error"] >= LEARNT, *by)
    about = f"{drawn}: replicates that did not fit (training error {LEARNT:g} or more)"
    return f"{about}: {lacking}." if lacking else ""


def missing(table: pd.DataFrame, *by: str) -> str:
    """Which runs, named by their columns `by`, lack replicates at the end, as a sentence or ""."""
    last = last_epoch(table)
    lacking = lost(last, ~np.isfinite(last["rho"]), *by)
    return f"Missing because they diverged: {lacking}." if lacking else ""


def lost(last: pd.DataFrame, which: pd.Series, *by: str) -> str:
    """How many replicates of each run are among `which`: "λ = 0.001: 1 of 3; ..."."""
    keys = [*RUN, *(name for name in by if name not in RUN)]
    groups = which.groupby([last[name] for name in keys])
    counts = pd.DataFrame({"all": groups.count(), "lost": groups.sum()}).reset_index()
    lacking = []
    for row in counts[counts["lost"] > 0].to_dict("records"):
        names = ", ".join(
            f"{SIGNS[name]} = {row[name] if isinstance(row[name], str) else f'{row[name]:g}'}"
            for name in by
        )
        share = f"{row['lost']} of {row['all']}"
        lacking.append(f"{names}: {share}" if names else share)
    return "; ".join(lacking)
