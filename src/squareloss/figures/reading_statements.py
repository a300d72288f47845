"""What the paper says of its networks, as tests that a reading of its text passes or fails.

A reading is a recipe with a weight decay and a learning rate, beside the same without weight decay.
Everything is measured at the last epoch, and medians are over replicates. These are statements
alone: rho, margins and slopes grow or fall with the width and N, so that the paper's numbers can be
compared at its own size only (`figure_numbers`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from squareloss.claims.regression import Regression
from squareloss.figures.figure5 import fitted, points
from squareloss.tables.runs import last_epoch

SCALE = 0.9  # the start of Figures 8 and 10
FIGURE5 = 0.8  # its smallest start


@dataclass(frozen=True)
class Reading:
    """One reading: its name, and the last rows of its runs with and without weight decay."""

    name: str
    decayed: pd.DataFrame
    free: pd.DataFrame

    def rows(self, decay: bool = True) -> pd.DataFrame:
        """Last rows with weight decay, or without."""
        return self.decayed if decay else self.free

    def at(self, scale: float, decay: bool = True) -> pd.DataFrame:
        """The replicates that started at a scale; empty if there is no such run."""
        rows = self.rows(decay)
        return rows[rows["init_scale"] == scale]

    def median(self, column: str, scale: float = SCALE, decay: bool = True) -> float:
        """The median of a column over the replicates of a start; NaN without such a run."""
        return float(self.at(scale, decay)[column].median())

    def regression(self, decay: bool) -> Regression:
        """Figure 5's line through the means of the starts; NaN for fewer than three."""
        rows = self.rows(decay)
        return fitted(points(rows[rows["init_scale"] >= FIGURE5]))

    def apart(self, decay: bool) -> float:
        """|log of rho(1.3) / rho(0.9)|, the two starts of Figure 3."""
        ratio = self.median("rho", 1.3, decay) / self.median("rho", SCALE, decay)
        return abs(math.log(ratio)) if ratio > 0 else math.nan


def readings(table: pd.DataFrame) -> list[Reading]:
    """The readings of a table, in its order; named by the recipe, and what else tells them apart.

    The settings that most readings share are not named.
    """
    last = last_epoch(table)
    decayed = last[last["weight_decay"] > 0]
    keys = ["recipe_name", "weight_decay", "learning_rate"]
    usual = {name: decayed[keys].drop_duplicates()[name].mode().max() for name in keys[1:]}
    found = []
    for recipe, decay, rate in decayed[keys].drop_duplicates().itertuples(index=False):
        name = str(recipe)
        name += f", λ = {decay:g}" if decay != usual["weight_decay"] else ""
        name += f", rate {rate:g}" if rate != usual["learning_rate"] else ""
        same = last[(last["recipe_name"] == recipe) & (last["learning_rate"] == rate)]
        with_decay = same[same["weight_decay"] == decay]
        found.append(Reading(name, with_decay, same[same["weight_decay"] == 0]))
    return found


class Hit(NamedTuple):
    """A test: its name, what the paper says and where, what is measured, when it is passed."""

    name: str
    paper: str
    value: Callable[[Reading], float]  # NaN: the reading lacks the runs
    passed: Callable[[float], bool]

    def of(self, reading: Reading) -> bool | None:
        """Whether a reading passes; None if it was not measured."""
        value = self.value(reading)
        return None if math.isnan(value) else bool(self.passed(value))


def _fitted(reading: Reading) -> float:
    return float((reading.at(SCALE)["train_error"] == 0).mean())


def residual(rows: pd.DataFrame) -> pd.Series:
    """Root mean square of f(x_n) - y_n over training samples and outputs: 0 interpolates.

    It means the same with one-hot targets, where a network that interpolates has 1 - rho mu = 1/2.
    """
    return rows["train_loss"] ** 0.5


def _without(column: str) -> Callable[[Reading], float]:
    """A column without weight decay, as a share of what it is with it."""
    return lambda reading: reading.median(column, decay=False) / reading.median(column)


def _nearer(decayed: float, free: float) -> float:
    """A distance as a share of another; NaN where there is none that could shrink."""
    return decayed / free if free else math.nan


def _falls(reading: Reading) -> float:
    """The p-value of Figure 5's slope with weight decay, 1 if it rises."""
    line = reading.regression(decay=True)
    return 1.0 if line.slope >= 0 else line.p_value


HITS = [
    Hit("fits", "training error 0 in every replicate", _fitted, lambda share: share == 1),
    Hit(
        "interpolates",
        "|f(x_n) - y_n| small: root mean square at most 0.05 (ours)",
        lambda r: float(residual(r.at(SCALE)).median()),
        lambda value: value <= 0.05,
    ),
    Hit(
        "no spread without decay",
        "essentially zero variance, Figure 10: at most a tenth (ours)",
        _without("margin_sd"),
        lambda share: share <= 0.1,
    ),
    Hit(
        "smaller without decay",
        "smaller margins, Figure 10",
        _without("mean_margin"),
        lambda share: share < 1,
    ),
    Hit(
        "starts nearer with decay",
        "weaker dependence on the start, Section 1: half the distance in log rho (ours)",
        lambda r: _nearer(r.apart(True), r.apart(False)),
        lambda share: share <= 0.5,
    ),
    Hit(
        "0.1 trains",
        "Figure 6: training error at most 0.05 (ours)",
        lambda r: r.median("train_error", 0.1),
        lambda error: error <= 0.05,
    ),
    Hit(
        "slope falls",
        "Figure 5: accuracy falls with 1/rho, p below 0.05",
        _falls,
        lambda p: p < 0.05,
    ),
    Hit(
        "no slope without decay",
        "Figure 5: no such relation, p of 0.05 or more",
        lambda r: r.regression(False).p_value,
        lambda p: p >= 0.05,
    ),
]
