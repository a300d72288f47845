"""Section 6.2: the noise of SGD."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.select import comparable, ends, fits, fitted_at_end, where


def sgd(figure_sgdnoise: pd.DataFrame) -> pd.DataFrame:
    """The runs of SGD; gradient descent is in the same table."""
    return where(figure_sgdnoise, optimizer="sgd")


def of_decay(figure_sgdnoise: pd.DataFrame, column: str, optimizer: str = "sgd") -> pd.Series:
    """Of an optimiser: a noise at the end with weight decay less that without."""
    table = where(figure_sgdnoise, optimizer=optimizer)
    zero, decay = ends(table, "weight_decay")
    with_decay, without = (fitted_at_end(table, column, weight_decay=wd) for wd in (decay, zero))
    return with_decay - without


def drift_of_descent(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """What is `of_decay` of the weights under descent, over as many steps as SGD's epoch has.

    An epoch of descent is one step; so late its steps go in one direction, and add up.
    """
    table = sgd(figure_sgdnoise)
    steps = np.ceil(table["n_train"].max() / table["batch_size"].max())
    return steps * of_decay(figure_sgdnoise, "update_norm", "gd")


def slope(table: pd.DataFrame) -> pd.Series:
    """Slope of log ||V_k - V_k one epoch before|| over log epoch, last two snapshots of one run."""

    def of_replicate(rows: pd.DataFrame) -> float:
        late = rows[rows["update_norm"] > 0].sort_values("epoch").tail(2)
        if len(late) < 2:
            return np.nan
        return float(np.diff(np.log(late["update_norm"]))[0] / np.diff(np.log(late["epoch"]))[0])

    slopes = {replicate: of_replicate(rows) for replicate, rows in table.groupby("replicate")}
    return fits(table, pd.Series(slopes, dtype=float))


def run_of(figure_sgdnoise: pd.DataFrame, optimizer: str, decay: bool) -> pd.DataFrame:
    """One run: an optimiser, with weight decay or without."""
    table = where(figure_sgdnoise, optimizer=optimizer)
    zero, largest = ends(table, "weight_decay")
    return where(table, weight_decay=largest if decay else zero)


def ratio_to_largest(table: pd.DataFrame) -> pd.Series:
    """||V_k - V_k one epoch before|| at the end over its largest value, of one run."""
    return fitted_at_end(table, "update_norm") / table.groupby("replicate")["update_norm"].max()


ALWAYS = (
    "In the presence of regularisation SGD does not converge to a perfect equilibrium: there is"
    " always, at least generically, SGD noise, in the weights and in the margins."
)
DISAPPEARS = "For lambda = 0 SGD noise is expected to essentially disappear, as Figure 10 shows."
RATE = ". The learning rate at the end is nearly that of the start, as the paper's (Figure 3)"
HALF_WAY = "0 is level and -1 falls as 1/epoch; this is the middle"


@claim(
    "noise-of-decay",
    "Section 1, paragraph 7; Section 6.2",
    "lambda > 0: SGD's noise in the weights is above that of lambda = 0 at the end",
    says=ALWAYS,
    control="lambda = 0, which is subtracted; and the same of gradient descent with these lambdas,"
    " over as many steps, since weights that still drift are no noise",
    controlled=drift_of_descent,
    above=0,
    because=f"a difference{RATE}",
    premise=FITTED,
)
def noise_in_weights(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """||V_k - V_k one epoch before|| at the end, lambda > 0 minus lambda = 0."""
    return of_decay(figure_sgdnoise, "update_norm")


@claim(
    "noise-levels-off",
    "Section 1, paragraph 7; Section 6.2",
    "lambda > 0: SGD's noise in the weights levels off",
    says=ALWAYS,
    control="the slope with lambda = 0",
    controlled=lambda figure_sgdnoise: slope(run_of(figure_sgdnoise, "sgd", decay=False)),
    above=-0.5,
    because=HALF_WAY,
    premise=FITTED,
    limit=True,
)
def slope_of_noise(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """Slope of log ||V_k - V_k one epoch before|| over log epoch, last two snapshots."""
    return slope(run_of(figure_sgdnoise, "sgd", decay=True))


@claim(
    "noise-vanishes",
    "Section 6.2",
    "lambda = 0: SGD's noise in the weights vanishes",
    says=DISAPPEARS,
    control="the same with lambda > 0",
    controlled=lambda figure_sgdnoise: ratio_to_largest(run_of(figure_sgdnoise, "sgd", decay=True)),
    below=0.01,
    because="two orders of magnitude",
    premise=FITTED,
    limit=True,
)
def noise_without_decay(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """||V_k - V_k one epoch before|| at the end over its largest value, lambda = 0."""
    return ratio_to_largest(run_of(figure_sgdnoise, "sgd", decay=False))


@claim(
    "noise-margins",
    "Section 1, contributions; Section 6.2; Figure 10",
    "lambda > 0: the margins stay further apart than with lambda = 0, and than under descent",
    says=ALWAYS,
    control="lambda = 0, which is subtracted; and the same of gradient descent with these lambdas:"
    " how far the margins of samples lie apart is no noise by itself",
    controlled=lambda figure_sgdnoise: of_decay(figure_sgdnoise, "margin_spread", "gd"),
    above=0,
    because=f"a difference{RATE}",
    premise=FITTED,
)
def noise_in_margins(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at the end, lambda > 0 minus lambda = 0."""
    return of_decay(figure_sgdnoise, "margin_spread")


@claim(
    "noise-margins-vanish",
    "Section 6.2, on Figure 10",
    "lambda = 0: the margins become equal",
    says=DISAPPEARS,
    control="the same with lambda > 0",
    controlled=lambda figure_sgdnoise: fitted_at_end(
        run_of(figure_sgdnoise, "sgd", decay=True), "margin_spread"
    ),
    below=0.01,
    because="two orders of magnitude below the margins",
    premise=FITTED,
    limit=True,
)
def spread_without_decay(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at the end, lambda = 0."""
    return fitted_at_end(run_of(figure_sgdnoise, "sgd", decay=False), "margin_spread")


def comparable_runs(figure_sgdnoise: pd.DataFrame, optimizer: str) -> pd.DataFrame:
    """The run of an optimiser with weight decay, of two that differ in none of `SETTINGS` else.

    Gradient descent has more epochs than SGD and no schedule (config.yaml).
    """
    table = comparable(figure_sgdnoise, "optimizer")
    return run_of(table, optimizer, decay=True)


@claim(
    "noise-absent-in-gd",
    "Section 1, paragraph 7; Section 3.1, paragraph 1; Section 6.2",
    "lambda > 0: gradient descent is coming to rest, where SGD is not",
    says="SGD differs from gradient descent: with regularisation its noise is asymptotic, and"
    " unique to it.",
    control="SGD's slope",
    controlled=lambda figure_sgdnoise: slope(comparable_runs(figure_sgdnoise, "sgd")),
    below=-0.5,
    because=HALF_WAY,
    premise=FITTED,
)
def slope_of_descent(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """Slope of log ||V_k - V_k one epoch before|| over log epoch, last two snapshots, descent."""
    return slope(comparable_runs(figure_sgdnoise, "gd"))
