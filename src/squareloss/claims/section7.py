"""Section 7 and what Section 1 says of the square loss: starts, normalisations and losses."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import comparable, ends, fitted_at_end, where

SMALL = 0.1  # of the rho at the end: a start that is near 0
PUZZLE = (
    "Why batch normalisation leads to better solutions than Lagrange and weight normalisation,"
    " despite similarities between them, remains a puzzle. It does not say in what they are better:"
    " the test error is our reading."
)


def log_ratio(figure5: pd.DataFrame, which: int) -> pd.Series:
    """log of rho with lambda = 0 over rho from the smallest start with lambda > 0, at the end.

    `which`: 0 for the smallest, -1 for the largest of the starts that were trained with both.
    """
    zero, decay = ends(figure5, "weight_decay")
    starts = [set(where(figure5, weight_decay=wd)["init_scale"]) for wd in (zero, decay)]
    if not (both := sorted(starts[0] & starts[1])):
        raise UnsuitableError("a start with weight decay and without")
    without = fitted_at_end(figure5, "rho", weight_decay=zero, init_scale=both[which])
    with_decay = fitted_at_end(figure5, "rho", weight_decay=decay, init_scale=both[0])
    start = where(figure5, weight_decay=zero, init_scale=both[0], epoch=0)
    rise = start.set_index("replicate")["rho"] / with_decay
    return (without / with_decay).map(np.log).where((rise < SMALL).reindex(without.index))


@claim(
    "start-replaces-decay",
    "Section 7, on the dynamics, first remark",
    "lambda = 0: how much larger than with lambda > 0 the rho is that a start near 0 ends at",
    says="The bias towards small rho that lambda > 0 induces may be replaced by small"
    " initialisation: with appropriate parameter values training from rho near 0 ends at the first"
    " quasi-interpolating solution, with rho_0.",
    control="the same from the largest start",
    controlled=lambda figure5: log_ratio(figure5, -1),
    test="number",
    because="said of what may be, with appropriate parameter values: one setting cannot contradict"
    " it, and that both norms are equal is not said",
    premise="zero training error, and a start with a tenth at most of the rho at the end",
    unmet="study lacks runs",
)
def start_against_decay(figure5: pd.DataFrame) -> pd.Series:
    """log of rho without weight decay over rho with it, both from the smallest start."""
    return log_ratio(figure5, 0)


LEAST_NORM = (
    '"Somewhat similar" to the linear case: for overparametrised networks the best solution in'
    " terms of generalisation is that of minimum norm, towards which gradient descent is biased."
    " Without decay solutions of large rho were observed that are suboptimal."
)
NOT_ANY_TWO = (
    "said of the solution of minimum norm, which neither start is known to reach. Of any two"
    " solutions Section 4.2 says that the one of smaller rho need not have the smaller error"
)


def harm_of_large_norm(table: pd.DataFrame) -> pd.Series:
    """Test error of the largest start less that of the smallest, if its rho is the larger."""
    runs = where(table, weight_decay=0)
    scales = ends(runs, "init_scale")
    errors, rhos = (
        [fitted_at_end(runs, column, init_scale=scale) for scale in scales]
        for column in ("test_error", "rho")
    )
    return (errors[1] - errors[0]).where(rhos[1] - rhos[0] > 0)


LARGER = "zero training error, and the larger rho at the end from the larger start"


@claim(
    "least-norm-errs-least",
    "Section 7, on bounds, second remark; Section 7, on the dynamics, first remark",
    "lambda = 0: how much more the solution of larger rho errs",
    says=LEAST_NORM,
    control="the start that ends at the smaller rho, which is subtracted",
    test="number",
    earlier="judged, and contradicted",
    because=f"{NOT_ANY_TWO}. The starts of these runs differ in the frozen norms of all layers too:"
    " `least-norm-errs-least-unit` is free of that",
    beside=("least-norm-errs-least-unit",),
    premise=LARGER,
)
def harm(figure5: pd.DataFrame) -> pd.Series:
    """Test error of the largest start minus that of the smallest, lambda = 0."""
    return harm_of_large_norm(figure5)


@claim(
    "least-norm-errs-least-unit",
    "Section 7, on bounds, second remark; Section 7, on the dynamics, first remark",
    "lambda = 0, all layer norms 1: how much more the solution of larger rho errs",
    says=LEAST_NORM,
    control="the start that ends at the smaller rho, which is subtracted",
    test="number",
    earlier="judged, and supported",
    because=NOT_ANY_TWO,
    beside=("least-norm-errs-least",),
    premise=LARGER,
)
def harm_of_unit_norms(figure_unit: pd.DataFrame) -> pd.Series:
    """Test error of the largest start minus that of the smallest, lambda = 0."""
    return harm_of_large_norm(figure_unit)


def difference(table: pd.DataFrame, setting: str, one: str, other: str) -> pd.Series:
    """Test error with one value of a setting less that with another, all else being equal."""
    table = comparable(table, setting)
    errors = [fitted_at_end(table, "test_error", **{setting: value}) for value in (one, other)]
    return errors[0] - errors[1]


@claim(
    "bn-better-than-wn",
    "Section 7, on the dynamics, second remark",
    "batch normalisation generalises better than weight normalisation",
    says=PUZZLE,
    control="weight normalisation, which is subtracted",
    above=0,
    because="a difference",
    premise=FITTED,
)
def weight_norm_less_batch_norm(figure_normalization: pd.DataFrame) -> pd.Series:
    """Test error of weight norm minus that of batch norm."""
    return difference(figure_normalization, "normalization", "wn", "bn")


@claim(
    "bn-better-than-lm",
    "Section 7, on the dynamics, second remark",
    "batch normalisation generalises better than the Lagrange multiplier",
    says=PUZZLE,
    control="the Lagrange multiplier, which is subtracted",
    above=0,
    because="a difference",
    premise=FITTED,
)
def lagrange_less_batch_norm(figure_normalization: pd.DataFrame) -> pd.Series:
    """Test error of the Lagrange multiplier minus that of batch norm."""
    return difference(figure_normalization, "normalization", "lm", "bn")


@claim(
    "square-loss-as-good",
    "Section 1, paragraph 1, citing [5]",
    "the square loss is as good as cross-entropy, if not better",
    says="It has been found that the square loss achieves a similar level of performance, if not"
    " better.",
    control="cross-entropy, from which it is subtracted",
    test="number",
    because="a finding of [5], as those of Section 2 are of other papers: none of this one",
    premise=FITTED,
)
def cross_entropy_less_square_loss(figure_loss: pd.DataFrame) -> pd.Series:
    """Test error of cross-entropy minus that of the square loss."""
    return difference(figure_loss, "loss", "cross_entropy", "square")
