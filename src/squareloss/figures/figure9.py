r"""Figure 9: neural collapse while training.

NC1, variability within the classes relative to that between them, as Tr(Σ_W Σ_B⁺) and as the ratio
of the traces; NC2, equal norms (standard deviation over mean) and equal angles (mean of \|cos +
1/(C-1)\|) of the class means (red) and of the classifiers (blue); NC3, distance between normalised
classifiers and class means, for the trained classifier, for the one that least squares finds on the
same features, and for that on features all at their class means; NC4, share of samples whose
prediction is not that of the nearest class mean; and the training error, against the epoch at the
snapshots. Medians and quartiles of the replicates that fit; those that do not are grey and dotted.
Of several runs the panels show the classifiers' measures, a colour a run. In the paper: λ = 5e-4,
learning rate 0.067 with a stepped decay, 750 epochs, two classes.

In the paper all conditions fall towards 0 once the training error is 0; with SGD and λ > 0, NC1
gets small but not to 0. With `config/long.yaml` twelve of sixteen replicates fit; their classifiers
get equal norms and opposite directions, but NC1 stays near 0.7 and NC3 above 1.

For two classes the equiangularity of the centred class means is an identity
(always cos = -1), and so are equal norms of the means of equally large classes: the panels say so,
and these curves are no evidence of collapse. Where the trained classifier's NC3 is that of least
squares, the classifier is the best for these features. How far this lies above the third curve is
the work of their scatter within the classes, from which least squares turns the classifier away;
what the third leaves above 0, that of the class means, whose mean is not orthogonal to their
differences.

The table: the median over the replicates that fit at the last epoch, and the least and greatest in
brackets; the square of NC3 too, which some authors report.
"""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from squareloss.figures import courses, style
from squareloss.figures.style import Tabulation
from squareloss.tables.runs import RUN, last_epoch

MEANS, WEIGHTS = style.RED, style.BLUE
# Title, label of the y axis, whether it is a log axis, and (column, label, colour) of each curve.
PANELS = [
    (
        "NC1: variability collapse",
        "within / between classes",
        True,
        [
            ("nc1", r"$\mathrm{Tr}(\Sigma_W \Sigma_B^{+})$", style.BLUE),
            ("nc1_trace", r"$\mathrm{Tr}(\Sigma_W)/\mathrm{Tr}(\Sigma_B)$", style.ORANGE),
        ],
    ),
    (
        "NC2: equal norms",
        "sd / mean of the norms",
        False,
        [
            ("nc2_equinorm_means", "class means", MEANS),
            ("nc2_equinorm_weights", "classifiers", WEIGHTS),
        ],
    ),
    (
        "NC2: equal angles",
        r"mean $|\cos + 1/(C-1)|$",
        False,
        [
            ("nc2_angle_means", "class means", MEANS),
            ("nc2_angle_weights", "classifiers", WEIGHTS),
        ],
    ),
    (
        "NC3: self-duality",
        r"$\|\,W/\|W\| - M^\top/\|M\|\,\|_F$",
        False,
        [
            ("nc3", "trained classifier", style.BLUE),
            ("nc3_least_squares", "least squares", style.ORANGE),
            ("nc3_collapsed", "the same, if collapsed", style.GREEN),
        ],
    ),
    (
        "NC4: nearest class mean",
        "share that differs from it",
        False,
        [("nc4", "", style.BLUE)],
    ),
    (
        "Training error",
        "training error (share)",
        False,
        [("train_error", "", style.BLUE)],
    ),
]
# For two classes these hold by geometry alone, so they are no evidence of collapse.
IDENTITIES = {
    "NC2: equal norms": "C = 2: centred means of equally large\nclasses always have equal norms",
    "NC2: equal angles": "C = 2: the angle of two centred means\nis an identity: always cos = -1",
}

# What the table gives of each run, and its head there.
TABULATED = {
    "nc1": "NC1",
    "nc1_trace": "NC1, traces",
    "nc2_equinorm_weights": "NC2, norms of classifiers",
    "nc2_angle_weights": "NC2, angles of classifiers",
    "nc3": "NC3",
    "nc3_squared": "NC3 squared",
    "nc3_least_squares": "NC3 of least squares",
    "nc3_collapsed": "NC3 of least squares, if collapsed",
    "least_squares_cosine": "cosine with least squares",
    "nc4": "NC4",
    "train_error": "training error",
    "test_error": "test error",
}


def panel(ax: Axes, table: pd.DataFrame, name: str, curves: Sequence[tuple[str, str, str]]) -> None:
    """One condition against the epoch; snapshots are marked, an evaluated course is a line."""
    for column, label, colour in curves:
        if column not in table:  # made before that was measured
            continue
        snapshots = "" if column == "train_error" else "o"
        style.curve(ax, table, column, color=colour, label=label or None, marker=snapshots, ms=3.5)
    ax.set_xscale("symlog", linthresh=1)  # shows epoch 0
    ax.set_xlim(-0.12, table["epoch"].max() * 1.3)
    ax.set(title=name, xlabel="epoch")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


# Of several runs one measure a panel.
SEVERAL = (
    courses.NC1,
    courses.Panel("nc2_equinorm_weights", "NC2: equal norms", "sd / mean, classifiers"),
    courses.Panel("nc2_angle_weights", "NC2: equal angles", r"mean $|\cos + 1/(C-1)|$"),
    courses.Panel("nc3", "NC3: self-duality", r"$\|\,W/\|W\| - M^\top/\|M\|\,\|_F$"),
    courses.Panel("nc4", "NC4: nearest class mean", "share that differs from it"),
    courses.ERRORS[0],
)


def block(part: Figure, table: pd.DataFrame) -> None:
    """The six panels of one run."""
    classes = int(table["classes"].iloc[0])
    for ax, (name, label, log, curves) in zip(part.subplots(2, 3).flat, PANELS, strict=True):
        if log:
            ax.set_yscale("log")
        panel(ax, table, name, curves)
        ax.set_ylabel(label)
        note = IDENTITIES.get(name, "") if classes == 2 else ""
        above = note or len(curves) > 2  # the curves leave room for the legend
        if not log:
            # Where an identity holds, rounding errors of 1e-16 must not fill the panel.
            top = max(ax.get_ylim()[1], 1e-3)
            ax.set_ylim(-0.03 * top, top * (1.55 if above else 1.05))
        ax.text(0.03, 0.97, note, transform=ax.transAxes, va="top", size=7, color="0.3")
        if note:
            ax.legend(loc="upper left", bbox_to_anchor=(0, 0.86), ncols=2)
        elif len(curves) > 1:
            ax.legend(loc="upper right" if above else "best")


def tabulate(table: pd.DataFrame) -> Tabulation:
    """A row a run: each measure at the last epoch, over its replicates that fit."""
    last = last_epoch(table)
    numbers, text = [], []
    for _, run in last.groupby(RUN):
        names = run[RUN].iloc[0].to_dict()
        row = {"recipe": names["recipe_name"], "λ": f"{names['weight_decay']:g}"}
        count, run = len(run), run[style.fits(run)]
        names |= {"replicates": count, "fitted": len(run)}
        row |= {"fitted": f"{len(run)} of {count}"}
        for column, head in TABULATED.items():
            low, middle, high = run[column].min(), run[column].median(), run[column].max()
            names |= {column: middle, f"{column}_least": low, f"{column}_greatest": high}
            row[head] = f"{middle:.2g} ({low:.2g} to {high:.2g})" if len(run) else "n/a"
        numbers.append(names)
        text.append(row)
    return Tabulation(pd.DataFrame(numbers), pd.DataFrame(text))


def named(varied: list[str], *values: object) -> str:
    """A run among several: its recipe, and in what else the runs differ."""
    pairs = zip(varied, values, strict=True)
    return ", ".join(
        str(value) if name == "recipe_name" else f"{style.SIGNS[name]} = {value:g}"
        for name, value in pairs
    )


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 9: NC1 to NC4 and the training error, of one run or of several together."""
    varied = [name for name in RUN if table[name].nunique() > 1]
    if varied:
        return courses.draw(
            table,
            made_from,
            panels=SEVERAL,
            curves=courses.Curves(varied, partial(named, varied)),
            title="Which of the runs collapse?",
        )
    figure = style.canvas(9.6, 5.4)
    block(figure, table)
    first = table.iloc[0]
    figure.suptitle(
        rf"Do features and classifiers collapse? {first['classes']} classes, $\lambda$ = "
        rf"{first['weight_decay']:g}, learning rate {first['learning_rate']:g}"
    )
    style.foot(figure, made_from, style.replicates(table))
    return figure
