"""Every number that the paper prints of its networks, beside ours in both countings of rho.

Made of the tables `figure_numbers` and `figure7` of a study of the paper's own size: the last
epoch, medians over the replicates. All but Figure 5's lines are compared at scale 0.9, the one that
Figure 8 names. Figures 6 and 7 are of 0.1, which their rows say. A number agrees if it is within a
factor of sqrt(10).
"""

import math
from math import prod

import pandas as pd

from squareloss.figures import countings
from squareloss.figures.figure5 import CONVOLUTIONS, LAYERS, PAPER, fitted, points
from squareloss.model.architecture import build, weight_shapes
from squareloss.tables.readable import markdown_table, number
from squareloss.tables.runs import last_epoch

START = 0.9
HEAD = [
    "number",
    "place",
    "the paper",
    "by the text: all layers",
    "by the code: convolutions alone",
]


def parameters(network: str) -> int:
    """Weights of a network for two classes, one frozen norm a layer, and rho."""
    shapes = weight_shapes(build(network, 2, 1, "stride"), channels=3, side=32)
    return sum(prod(shape) for shape in shapes) + len(shapes) + 1


def beside(printed: float, value: float) -> str:
    """A number of ours and by which factor it is off the paper's; bold within sqrt(10)."""
    if not value > 0:
        return number(value)
    factor = max(value / printed, printed / value)
    text = f"{number(value)}, off by {factor:.2g}"
    return f"**{text}**" if countings.in_order_of(printed, value) else text


def signed(printed: float, value: float) -> str:
    """The same of a slope below 0, which one of the other sign is not beside."""
    if math.isnan(value) or value >= 0:
        return number(value)
    return beside(-printed, -value).replace(number(-value), number(value), 1)


def measured(table: pd.DataFrame) -> list[list[str]]:
    """rho, margins, spreads and Eq. 16 of the start that Figure 8 names."""
    last = last_epoch(table)
    last = last.assign(
        largest=last["max_margin"] * last["rho"] / last["rho_convolutions"],
    )[last["init_scale"] == START]
    with_decay = last[last["weight_decay"] == 1e-3].median(numeric_only=True)
    without = last[last["weight_decay"] == 0].median(numeric_only=True)
    rows = [
        ("rho", "Section 3.5", "in the order of 500", countings.RHO, "rho", "rho_convolutions"),
        (
            "largest margin",
            "Section 3.5",
            "about 0.002",
            countings.LARGEST_MARGIN,
            "max_margin",
            "largest",
        ),
        (
            "typical margin; by the code f_1 - f_2",
            "Section 5.1",
            "about 0.005",
            countings.TYPICAL_MARGIN,
            "mean_margin",
            "mean_difference_convolutions",
        ),
        (
            "sd of the margins; by the code of f_1 - f_2",
            "Figure 10",
            "about 1e-4",
            countings.SPREAD,
            "margin_sd",
            "difference_sd_convolutions",
        ),
        (
            "Eq. 16",
            f"Figure 6, start 0.1 (ours: {START})",
            'vacuous "only" by an order of magnitude: 10',
            countings.VACUOUS,
            "eq16_printed",
            "eq16_printed_convolutions",
        ),
    ]
    found = [
        [name, place, paper, beside(value, with_decay[text]), beside(value, with_decay[code])]
        for name, place, paper, value, text, code in rows
    ]
    spreads = [number(without[name]) for name in ("margin_sd", "difference_sd_convolutions")]
    return [*found, ["sd without decay", "Figure 10", "essentially zero", *spreads]]


def three_layers(figure7: pd.DataFrame) -> list[str]:
    """Eq. 16 of Figure 7's network, with the most images that there are, and its training error.

    The bound assumes that there is none. The paper's figure has a column of training errors, whose
    values are in a picture.
    """
    last = last_epoch(figure7)
    rows = last[(last["init_scale"] == START) & (last["n_train"] == last["n_train"].max())]
    middle = rows.median(numeric_only=True)
    found = [middle[name] for name in ("eq16_printed", "eq16_printed_convolutions")]
    error = number(middle["train_error"])
    place = f"Figure 7, start 0.1 (ours: {START}, training error {error})"
    cells = [beside(countings.ALMOST_VACUOUS, value) for value in found]
    return ["Eq. 16, three layers", place, "almost not vacuous: 1", *cells]


def regressions(table: pd.DataFrame) -> list[list[str]]:
    """Figure 5's lines over the starts that there are; n/a for fewer than three."""
    rows = []
    for decay, paper in PAPER.items():
        case = points(table[table["weight_decay"] == decay])
        lines = [fitted(case, counting) for counting in (LAYERS, CONVOLUTIONS)]
        place = f"Figure 5, lambda = {decay:g}, {paper.points} starts (ours: {lines[0].points})"
        for name, printed, ours in (
            ("R^2", paper.r_squared, [line.r_squared for line in lines]),
            ("p", paper.p_value, [line.p_value for line in lines]),
        ):
            rows.append([name, place, f"{printed:g}", *(number(value) for value in ours)])
        cells = [signed(paper.slope, line.slope) for line in lines]
        rows.append(["slope", place, f"{paper.slope:g}", *cells])
    return rows


def counts() -> list[list[str]]:
    """Numbers of parameters, which no counting of rho changes."""
    six, three = (f"{parameters(name):,}" for name in ("cnn6", "cnn3"))
    return [
        ["parameters, six layers", "Figure 6", "3519335", six, six],
        ["parameters, three layers", "Figure 7", "about 20K", three, three],
    ]


def printed(table: pd.DataFrame, figure7: pd.DataFrame, recipe: str) -> str:
    """The table in Markdown: the runs of a recipe in `table`, and Figure 7's runs."""
    own = table[table["recipe_name"] == recipe]
    rows = [*measured(own), three_layers(figure7), *regressions(own), *counts()]
    return markdown_table(HEAD, rows)
