"""Exact tests of a median over replicates, and their correction for how many there are.

The sign test supposes nothing of how replicates scatter but that they are independent: if the
median is at the threshold, each replicate falls on either side of it as a coin does. A test of the
mean would have to suppose symmetry, which ratios near 0 do not have.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

Floats = NDArray[np.float64]


def sign_p(holding: ArrayLike, replicates: ArrayLike) -> Floats:
    """p of "the median is on this side", `holding` of `replicates` being strictly on it.

    The probability that a fair coin falls on one side at least `holding` times of `replicates`. A
    value on the threshold counts for neither side. Arguments broadcast.
    """
    return np.asarray(binom.sf(np.asarray(holding) - 1, replicates, 0.5), dtype=np.float64)


def median_interval(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Interval that holds the median with at least this confidence, between two of the values.

    Exact for any distribution: the k-th smallest and k-th largest value, with the largest k for
    which the coin of `sign_p` falls fewer than k times on a side with probability
    (1 - confidence) / 2 at most. NaN where no k does, which is for fewer than 6 values at 95%.
    """
    n = len(values)
    tails = binom.cdf(np.arange(n), n, 0.5)  # of k - 1 times or fewer, for k = 1 ... n
    k = int((tails <= (1 - confidence) / 2).sum())
    if k == 0:
        return math.nan, math.nan
    ordered = np.sort(values)
    return float(ordered[k - 1]), float(ordered[n - k])


def violations_left(cases: int, confidence: float = 0.95) -> float:
    """Largest share of violations under which so many cases without one are still to be expected.

    The upper end of the exact one-sided interval of a share of which none was seen,
    1 - (1 - confidence)^(1 / cases): 13 cases leave 21%. It supposes cases drawn at random.
    """
    return float(1 - (1 - confidence) ** (1 / cases))


def equivalence_p(values: Floats, centre: float, margin: float) -> float:
    """p of "the median is nearer to `centre` than `margin`": the larger of two one-sided tests."""
    inside = [(values > centre - margin).sum(), (values < centre + margin).sum()]
    return float(sign_p(inside, len(values)).max())


def holm(p: Floats, tests: int) -> Floats:
    """Holm's adjusted p-values in a family of `tests`; those that are not in `p` count as 1.

    Whatever the tests depend on, the probability that any of them rejects a true hypothesis is at
    most the level that the adjusted values are compared with. Raises `ValueError` for a family
    smaller than `p`.
    """
    if tests < len(p):
        raise ValueError(f"a family of {tests} tests cannot hold {len(p)}")
    order = np.argsort(p)
    steps = p[order] * np.arange(tests, tests - len(p), -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def benjamini_hochberg(p: Floats, tests: int) -> Floats:
    """Benjamini and Hochberg's adjusted p-values in a family of `tests`, the others being 1.

    Comparing them with a level bounds the expected share of false rejections among all rejections,
    for independent tests. Raises `ValueError` for a family smaller than `p`.
    """
    if tests < len(p):
        raise ValueError(f"a family of {tests} tests cannot hold {len(p)}")
    order = np.argsort(p)[::-1]
    steps = p[order] * tests / np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1)
    return adjusted


def replicates_needed(share: float, tests: int, alpha: float, most: int) -> int | None:
    """Fewest replicates with which a claim that holds in this `share` of them is decided.

    The claim is taken to have the smallest p in its family, so this is the least that Holm's
    method could ask for. None if more than `most` are needed.
    """
    n = np.arange(1, most + 1)
    # Rounded down, so that no more replicates hold than the share that was seen.
    enough = sign_p(np.floor(share * n + 1e-9), n) * tests <= alpha
    # A rounded share may fall short again with one replicate more, so take the number from which
    # on every larger one is enough.
    lacking = np.flatnonzero(~enough)
    fewest = 1 if len(lacking) == 0 else int(lacking[-1]) + 2
    return fewest if fewest <= most else None
