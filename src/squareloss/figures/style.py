"""What all figures share: their look, mean and sd over replicates, the foot, and their files.

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
from matplotlib.transforms import Bbox

from squareloss.errors import UserError
from squareloss.files import whole
from squareloss.readable import markdown_table, number
from squareloss.spec import coordinates
from squareloss.tables.aggregate import TRAINED
from squareloss.tables.runs import RUN, last_epoch

# Seaborn's colour-blind safe palette, and a red that everybody can tell from its blue.
SERIES = sns.color_palette("colorblind").as_hex()
BLUE, ORANGE, GREEN = SERIES[:3]
RED = "#c4161c"
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
LOG_AXES = "On log axes: the mean of what is positive, and thin lines for the replicates."


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

    A recipe is a name for its settings, so several are taken where a setting is varied, one for
    each value of it. Raises `UserError` naming the column.
    """
    settings = [name for name in TRAINED if name in table]
    for name in (*RUN, *settings):
        values = table[name].unique()
        if name not in ("recipe_name", *varied) and len(values) > 1:
            raise UserError(f"this figure takes one {name}, but its table has {_listed(values)}")
    if "recipe_name" not in varied:
        keys = [name for name in settings if name in varied]
        for rows in [rows for _, rows in table.groupby(keys)] if keys else [table]:
            recipes = rows["recipe_name"].unique()
            if len(recipes) > 1:
                shown = _listed(recipes)
                raise UserError(f"this figure takes one recipe_name, but its table has {shown}")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


def choose(values: pd.Series, wanted: Sequence[float]) -> list[float]:
    """The `wanted` values that occur, or the first of those that do, as many as were wanted."""
    there = sorted(values.unique())
    return [value for value in wanted if value in there] or there[: len(wanted)]


def decays(table: pd.DataFrame) -> list[float]:
    """Values of lambda, the largest first, as in the paper's panels."""
    return sorted(table["weight_decay"].unique(), reverse=True)


def mean_sd(table: pd.DataFrame, by: str | list[str], column: str) -> pd.DataFrame:
    """Columns `mean`, `sd` and `count` of the finite values by group; sd of a single one is 0."""
    finite = table[np.isfinite(table[column])]
    stats = finite.groupby(by)[column].agg(mean="mean", sd="std", count="count")
    return stats.fillna({"sd": 0.0})


def curve(ax: Axes, table: pd.DataFrame, column: str, **line: Any) -> None:
    """Mean of `column` against the epoch, with a band of one sd over the replicates.

    On a log axis, where mean - sd may be negative, the replicates themselves as thin lines.
    """
    stats = mean_sd(table, "epoch", column)
    (drawn,) = ax.plot(stats.index, stats["mean"], **line)
    colour = drawn.get_color()
    if ax.get_yscale() == "log":
        dashes = drawn.get_linestyle()
        for _, one in table[np.isfinite(table[column])].groupby("replicate"):
            points = one["epoch"], one[column]
            ax.plot(*points, color=colour, ls=dashes, lw=0.6, alpha=0.55, zorder=1)
    else:
        band = stats["mean"] - stats["sd"], stats["mean"] + stats["sd"]
        ax.fill_between(stats.index, *band, color=colour, alpha=0.25, lw=0)
    if stats.empty:
        nothing(ax)


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


def power(value: float) -> str:
    """A number as math text with its power of ten, e.g. 1.09 x 10^-4."""
    if not np.isfinite(value):
        return "n/a"
    digits, exponent = f"{value:.2e}".split("e")
    return rf"${digits}\times10^{{{int(exponent)}}}$"


def replicates(table: pd.DataFrame, *by: str) -> str:
    """How many replicates the means are over, and which are missing, as sentences.

    Of one replicate there is no mean and no spread, and how many there are is said by `made_from`.
    """
    count = table.groupby(RUN)["replicate"].nunique()
    low, high = count.min(), count.max()
    number = f"{low}" if low == high else f"{low} to {high}"
    text = f"Mean ± sd over {number} replicates." if high > 1 else ""
    return " ".join(filter(None, [text, missing(table, *by)]))


def missing(table: pd.DataFrame, *by: str) -> str:
    """Which runs, named by their columns `by`, lack replicates at the end, as a sentence or ""."""
    last = last_epoch(table)
    keys = [*RUN, *(name for name in by if name not in RUN)]
    count = table.groupby(keys)["replicate"].nunique()
    finite = np.isfinite(last["rho"]).groupby([last[name] for name in keys]).sum()
    counts = pd.DataFrame({"all": count, "finite": finite}).reset_index()
    lacking = []
    for row in counts[counts["finite"] < counts["all"]].to_dict("records"):
        names = ", ".join(
            f"{SIGNS[name]} = {row[name] if isinstance(row[name], str) else f'{row[name]:g}'}"
            for name in by
        )
        share = f"{row['all'] - row['finite']} of {row['all']}"
        lacking.append(f"{names}: {share}" if names else share)
    return f"Missing because they diverged: {'; '.join(lacking)}." if lacking else ""
