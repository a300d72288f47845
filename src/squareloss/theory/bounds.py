"""Generalisation bounds on the test error of a network that fits its training set (Section 4).

The paper assumes ||x|| <= 1. By homogeneity, a network on images of norm up to R is one on images
of norm up to 1 with rho R in place of rho: `rho` in the formulas is the product norm times
max ||x||.
"""

from collections.abc import Callable
from math import log, nan, sqrt


def rademacher_peeling(layers: int, n: int) -> float:
    """Rademacher complexity (sqrt(2 log(2) L) + 1) / sqrt(N) of networks of product norm 1.

    Theorem 1 of Golowich et al., reference [51], for samples in the unit ball.
    """
    return (sqrt(2 * log(2) * layers) + 1) / sqrt(n)


def confidence_term(argument: float, n: int) -> float:
    """3 sqrt(log(argument) / 2N), second term of Eq. (12); NaN where the root is imaginary."""
    # Written so that a NaN argument comes out as NaN as well.
    return 3 * sqrt(log(argument) / (2 * n)) if argument >= 1 else nan


def bound_eq16_printed(rho: float, layers: int, n: int, delta: float) -> float:
    """Eq. (16) as printed, with log(2 (log(rho) + 1)^2 / delta).

    NaN for rho <= 0, and near rho = 1/e, where the argument of the root is negative.
    """
    if not rho > 0:
        return nan
    argument = 2 * (log(rho) + 1) ** 2 / delta
    return 2 * (rho + 1) * rademacher_peeling(layers, n) + confidence_term(argument, n)


def bound_eq16_eq12(rho: float, layers: int, n: int, delta: float) -> float:
    """Eq. (16) with log(2 (rho + 1)^2 / delta), as Eq. (12), from which it follows, has it."""
    argument = 2 * (rho + 1) ** 2 / delta
    return 2 * (rho + 1) * rademacher_peeling(layers, n) + confidence_term(argument, n)


FORMULAS: dict[str, Callable[[float, int, int, float], float]] = {
    "eq16_printed": bound_eq16_printed,
    "eq16_eq12": bound_eq16_eq12,
}


def evaluate_bounds(
    rho: float,
    max_norm: float,
    layers: int,
    n: int,
    delta: float,
    train_error: float,
) -> list[dict[str, str | float | int | bool]]:
    """Rows of the table `bounds`, one a bound, for the product norm `rho` and max ||x|| `max_norm`.

    `layers`: depth L; `n`: training samples; `delta`: probability in (0, 1) that a bound fails. The
    value is given for any training error; `applies` says whether that is 0, as the bounds assume.
    """
    inputs = {
        "rho": rho,
        "max_norm": max_norm,
        "layers": layers,
        "delta": delta,
        "train_error": train_error,
    }
    return [
        {
            "bound": name,
            "value": bound(rho * max_norm, layers, n, delta),
            "applies": train_error == 0,
            **inputs,
        }
        for name, bound in FORMULAS.items()
    ]
