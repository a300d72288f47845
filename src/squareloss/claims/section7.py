"""Section 7 and what Section 1 says of the square loss: starts, normalisations and losses."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import comparable, ends, fitted_at_end, where


@claim(
    "start-replaces-decay",
    "Section 7, remarks",
    "a small start without lambda leads to a rho as small as lambda > 0 does",
    below=0.1,
    because="equal norms are 0; a tenth is more than SGD's noise moves rho",
    premise=FITTED,
)
def start_against_decay(figure5: pd.DataFrame) -> pd.Series:
    """log of rho without weight decay over rho with it, both from the smallest start.

    Of the starts that were trained both with weight decay and without.
    """
    zero, decay = ends(figure5, "weight_decay")
    starts = [set(where(figure5, weight_decay=wd)["init_scale"]) for wd in (zero, decay)]
    if not (both := starts[0] & starts[1]):
        raise UnsuitableError("a start with weight decay and without")
    without, with_decay = (
        fitted_at_end(figure5, "rho", weight_decay=wd, init_scale=min(both)) for wd in (zero, decay)
    )
    return (without / with_decay).map(np.log)


@claim(
    "small-start-helps",
    "Section 7, remarks",
    "lambda = 0: a small start generalises better than a large one",
    above=0,
    because="a difference",
    premise=FITTED,
    negligible=0.01,
    negligible_because="one in a hundred test images",
)
def harm_of_large_start(figure5: pd.DataFrame) -> pd.Series:
    """Test error of the largest start minus that of the smallest."""
    table = where(figure5, weight_decay=0)
    low, high = (
        fitted_at_end(table, "test_error", init_scale=s) for s in ends(table, "init_scale")
    )
    return high - low


def difference(table: pd.DataFrame, setting: str, one: str, other: str) -> pd.Series:
    """Test error with one value of a setting less that with another, all else being equal."""
    table = comparable(table, setting)
    errors = [fitted_at_end(table, "test_error", **{setting: value}) for value in (one, other)]
    return errors[0] - errors[1]


@claim(
    "bn-better-than-wn",
    "Section 7, remarks",
    "batch normalisation generalises better than weight normalisation",
    above=0,
    because="a difference",
    premise=FITTED,
)
def weight_norm_less_batch_norm(figure_normalization: pd.DataFrame) -> pd.Series:
    """Test error of weight norm minus that of batch norm."""
    return difference(figure_normalization, "normalization", "wn", "bn")


@claim(
    "bn-better-than-lm",
    "Section 7, remarks",
    "batch normalisation generalises better than the Lagrange multiplier",
    above=0,
    because="a difference",
    premise=FITTED,
)
def lagrange_less_batch_norm(figure_normalization: pd.DataFrame) -> pd.Series:
    """Test error of the Lagrange multiplier minus that of batch norm."""
    return difference(figure_normalization, "normalization", "lm", "bn")


@claim(
    "square-loss-as-good",
    "Section 1",
    "the square loss is as good as cross-entropy, if not better",
    above=-0.01,
    because="a difference of one in a hundred images counts as equal",
    premise=FITTED,
)
def cross_entropy_less_square_loss(figure_loss: pd.DataFrame) -> pd.Series:
    """Test error of cross-entropy minus that of the square loss."""
    return difference(figure_loss, "loss", "cross_entropy", "square")
