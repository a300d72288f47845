"""Section 6.2: the noise of SGD."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.select import comparable, ends, fits, fitted_at_end, where


def sgd(figure_sgdnoise: pd.DataFrame, **run: object) -> pd.DataFrame:
    """The runs of SGD; gradient descent is in the same table."""
    return where(figure_sgdnoise, optimizer="sgd", **run)


def of_decay(figure_sgdnoise: pd.DataFrame, column: str) -> pd.Series:
    """SGD: a noise at the end with weight decay less that without."""
    table = sgd(figure_sgdnoise)
    zero, decay = ends(table, "weight_decay")
    with_decay, without = (fitted_at_end(table, column, weight_decay=wd) for wd in (decay, zero))
    return with_decay - without


@claim(
    "noise-of-decay",
    "Section 6.2",
    "lambda > 0: SGD's noise in the weights stays above that of lambda = 0",
    above=0,
    because="a difference",
    premise=FITTED,
)
def noise_in_weights(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """||V_k - V_k one epoch before|| at the end, lambda > 0 minus lambda = 0."""
    return of_decay(figure_sgdnoise, "update_norm")


@claim(
    "noise-levels-off",
    "Section 6.2",
    "lambda > 0: SGD's noise in the weights levels off",
    above=-0.5,
    because="0 is level and -1 falls as 1/epoch; this is the middle",
    premise=FITTED,
    limit=True,
)
def slope_of_noise(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """Slope of log ||V_k - V_k one epoch before|| over log epoch, last two snapshots."""
    runs = sgd(figure_sgdnoise)
    table = where(runs, weight_decay=ends(runs, "weight_decay")[1])

    def slope(rows: pd.DataFrame) -> float:
        late = rows[rows["update_norm"] > 0].sort_values("epoch").tail(2)
        if len(late) < 2:
            return np.nan
        return float(np.diff(np.log(late["update_norm"]))[0] / np.diff(np.log(late["epoch"]))[0])

    slopes = {replicate: slope(rows) for replicate, rows in table.groupby("replicate")}
    return fits(table, pd.Series(slopes, dtype=float))


@claim(
    "noise-vanishes",
    "Section 6.2",
    "lambda = 0: SGD's noise in the weights vanishes",
    below=0.01,
    because="two orders of magnitude",
    premise=FITTED,
    limit=True,
)
def ratio_to_largest(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """||V_k - V_k one epoch before|| at the end over its largest value, lambda = 0."""
    table = sgd(figure_sgdnoise, weight_decay=0)
    return fitted_at_end(table, "update_norm") / table.groupby("replicate")["update_norm"].max()


@claim(
    "noise-margins",
    "Section 6.2, Figure 10",
    "lambda > 0: the margins stay further apart than with lambda = 0",
    above=0,
    because="a difference",
    premise=FITTED,
)
def noise_in_margins(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at the end, lambda > 0 minus lambda = 0."""
    return of_decay(figure_sgdnoise, "margin_spread")


@claim(
    "noise-margins-vanish",
    "Section 6.2, Figure 10",
    "lambda = 0: the margins become equal",
    below=0.01,
    because="two orders of magnitude below the margins",
    premise=FITTED,
    limit=True,
)
def spread_without_decay(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at the end, lambda = 0."""
    return fitted_at_end(sgd(figure_sgdnoise), "margin_spread", weight_decay=0)


@claim(
    "noise-absent-in-gd",
    "Sections 3.1 and 6.2",
    "lambda > 0: full-batch gradient descent comes to rest, where SGD does not",
    below=0.01,
    because="two orders of magnitude",
    premise=FITTED,
    limit=True,
)
def descent_over_sgd(figure_sgdnoise: pd.DataFrame) -> pd.Series:
    """Change of V_k at the end in as many steps as an epoch of SGD has, descent over SGD.

    An epoch of gradient descent is one step, and its change is taken times the steps of SGD.
    """
    table = comparable(figure_sgdnoise, "optimizer")
    table = where(table, weight_decay=ends(table, "weight_decay")[1])
    steps = np.ceil(table["n_train"].iloc[0] / table["batch_size"].iloc[0])
    descent, noisy = (fitted_at_end(table, "update_norm", optimizer=name) for name in ("gd", "sgd"))
    return steps * descent / noisy
