"""Straight lines through a few points, as Figure 5 reports them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import linregress


@dataclass(frozen=True)
class Regression:
    """Least squares y = intercept + slope x; all NaN where the points determine no test of it."""

    slope: float
    intercept: float
    r_squared: float
    p_value: float  # two-sided, of slope = 0
    points: int


def regress(x: ArrayLike, y: ArrayLike) -> Regression:
    """Regress `y` on `x` over the finite pairs.

    Fewer than three pairs leave no degree of freedom, and a constant `x` has no slope: NaN.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    finite = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if len(xs) < 3 or np.ptp(xs) == 0:
        return Regression(math.nan, math.nan, math.nan, math.nan, len(xs))
    line = linregress(xs, ys)
    return Regression(
        float(line.slope),
        float(line.intercept),
        float(line.rvalue) ** 2,
        float(line.pvalue),
        len(xs),
    )
