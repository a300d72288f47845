"""Generalisation bounds on the test error of a network that fits its training set (Section 4).

The paper assumes ||x|| <= 1. By homogeneity, a network on images of norm up to R is one on images
of norm up to 1 with rho R in place of rho: `rho` in the formulas is the product norm times
max ||x||.

Every bound but three is Theorem 3 with another Rademacher complexity of the networks of product
norm 1, so that they can be compared. `bartlett` and `parameters` have forms of their own, without a
constant in closed form; it is set to 1 here, which favours these two. `eq16_printed` has another
logarithm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, log, nan, prod, sqrt
from typing import Any


def rademacher_peeling(layers: int, n: int) -> float:
    """Rademacher complexity (sqrt(2 log(2) L) + 1) / sqrt(N) of networks of product norm 1.

    Theorem 1 of Golowich et al., reference [51], for samples in the unit ball.
    """
    return (sqrt(2 * log(2) * layers) + 1) / sqrt(n)


def confidence_term(argument: float, n: int) -> float:
    """3 sqrt(log(argument) / 2N), second term of Eq. 12; NaN where the root is imaginary."""
    # The comparison is false for NaN, so that a NaN argument gives NaN.
    return 3 * sqrt(log(argument) / (2 * n)) if argument >= 1 else nan


def bound_eq16_printed(rho: float, layers: int, n: int, delta: float) -> float:
    """Eq. 16 as printed, with log(2 (log(rho) + 1)^2 / delta).

    NaN for rho <= 0, and near rho = 1/e, where the argument of the root is negative.
    """
    if not rho > 0:
        return nan
    argument = 2 * (log(rho) + 1) ** 2 / delta
    return 2 * (rho + 1) * rademacher_peeling(layers, n) + confidence_term(argument, n)


@dataclass(frozen=True)
class Measures:
    """What the bounds take of a trained network and its training set."""

    rho: float  # product of the layers' Frobenius norms, kernels taken once, and |rho_top|
    max_norm: float  # max ||x|| of the training images
    layers: int  # depth L
    n: int  # training samples
    ramp_loss: float  # mean of 1 - y f_W, cut off at 0 and 1, over the training samples
    delta: float  # probability in (0, 1) that the bound fails
    margin: float  # smallest f_y - max_(c != y) f_c of f_W on the training set
    copies: tuple[int, ...]  # positions at which each layer applies its kernel; 1 if dense
    overlap: float  # K / (K - O): mean number of patches that hold a pixel, of the layer with most
    degrees: tuple[int, ...]  # from how many positions each layer takes its input
    input_share: float  # mean square norm of the largest input position, over max ||x||^2
    pools: bool  # whether a layer is followed by max-pooling
    rank_shares: tuple[float, ...]  # r / n of each layer's V_k
    spectral_complexity: float  # R_A of Bartlett et al., layers as the matrices they apply
    parameters: int
    width: int  # largest number of units of a layer

    @property
    def norm(self) -> float:
        """rho max ||x||: the norm of the network on images of norm up to 1."""
        return self.rho * self.max_norm

    @property
    def dense_norm(self) -> float:
        """The same with each layer as the matrix it applies, whose rows are copies of kernels."""
        return self.norm * sqrt(prod(self.copies))


def theorem3(norm: float, complexity: float, n: int, delta: float) -> float:
    """Eq. 12: 2 (rho + 1) R + 3 sqrt(log(2 (rho + 1)^2 / delta) / 2N).

    `complexity`: Rademacher complexity R of the networks of product norm 1, which for the classes
    here falls as 1 / sqrt(N).
    """
    return 2 * (norm + 1) * complexity + confidence_term(2 * (norm + 1) ** 2 / delta, n)


def bound_eq16_eq12(rho: float, layers: int, n: int, delta: float) -> float:
    """Eq. 16 with log(2 (rho + 1)^2 / delta), as Eq. 12, from which it follows, has it."""
    return theorem3(rho, rademacher_peeling(layers, n), n, delta)


def bound_eq19(m: Measures) -> float:
    """Theorem 4, Eq. 19, for layers whose patches do not overlap: R = 2^L / sqrt(N)."""
    return theorem3(m.norm, 2**m.layers / sqrt(m.n), m.n, m.delta)


def bound_eq24(m: Measures) -> float:
    """Conjecture 1, Eq. 24, for overlapping patches: R = 2^(L-1) sqrt(K / (K - O)) / sqrt(N).

    The 1 / sqrt(N) is missing in print (Eq. 22 has it).
    """
    return theorem3(m.norm, 2 ** (m.layers - 1) * sqrt(m.overlap / m.n), m.n, m.delta)


def bound_eq25_printed(m: Measures) -> float:
    """Eq. 25, the network taken as dense: Eq. 19 with rho times 2^(L(L+1)/4), as printed."""
    factor = 2.0 ** (m.layers * (m.layers + 1) / 4)
    return theorem3(m.norm * factor, 2**m.layers / sqrt(m.n), m.n, m.delta)


def bound_eq25_counted(m: Measures) -> float:
    """Eq. 25 with the copies of the kernels counted: Eq. 19 with rho prod_l sqrt(copies_l).

    For the trees of Theorem 4, with 1, 2, ..., 2^(L-1) copies, the factor is 2^(L(L-1)/4).
    """
    return theorem3(m.dense_norm, 2**m.layers / sqrt(m.n), m.n, m.delta)


def bound_theorem7(m: Measures) -> float:
    """Eq. 16 with log(rho + 1), each layer's share of R times sqrt(r / n) (Theorem 7)."""
    shares = sqrt(prod(m.rank_shares))
    return theorem3(m.norm, shares * rademacher_peeling(m.layers, m.n), m.n, m.delta)


def rademacher_sparse(degrees: tuple[int, ...], input_share: float, n: int) -> float:
    """Rademacher complexity of convolutional networks of product norm 1, kernels counted once.

    sqrt(prod_l d_l share / N) (1 + sqrt(2 ((L - 1) log 2 + sum_l log d_l))), for layers that take
    their input from d_l positions: docs/bounds.md derives it. For dense layers, d_l = 1, it is
    Golowich et al.'s with L - 1 in the place of L.
    """
    logarithms = (len(degrees) - 1) * log(2) + sum(log(degree) for degree in degrees)
    return sqrt(prod(degrees) * input_share / n) * (1 + sqrt(2 * logarithms))


def bound_sparse(m: Measures) -> float:
    """Theorem 3 with `rademacher_sparse`; NaN for max-pooling, to which it does not extend."""
    if m.pools:
        return nan
    return theorem3(m.norm, rademacher_sparse(m.degrees, m.input_share, m.n), m.n, m.delta)


def bound_golowich(m: Measures) -> float:
    """Golowich et al. 2018, Theorem 1, the network taken as dense: Frobenius norms of matrices."""
    return theorem3(m.dense_norm, rademacher_peeling(m.layers, m.n), m.n, m.delta)


def bound_neyshabur(m: Measures) -> float:
    """Neyshabur et al. 2015, Corollary 2, p = q = 2, taken as dense: R = 2^(L-1) / sqrt(N)."""
    return theorem3(m.dense_norm, 2 ** (m.layers - 1) / sqrt(m.n), m.n, m.delta)


def bound_bartlett(m: Measures) -> float:
    """Bartlett et al. 2017, Theorem 1.1: ||X|| R_A log(W) / (gamma N) + sqrt(log(1/delta) / N).

    Constants set to 1, and ||X|| <= sqrt(N) max ||x||. NaN where the margin is not positive.
    """
    if not m.margin > 0:
        return nan
    complexity = m.max_norm * m.spectral_complexity * log(m.width) / (m.margin * sqrt(m.n))
    return complexity + sqrt(log(1 / m.delta) / m.n)


def bound_parameters(m: Measures) -> float:
    """sqrt((P L log P + log(1/delta)) / N) for P weights, constants set to 1.

    P L log P is the order of the VC dimension of such networks (Bartlett et al. 2019).
    """
    dimension = m.parameters * m.layers * log(m.parameters)
    return sqrt((dimension + log(1 / m.delta)) / m.n)


@dataclass(frozen=True)
class Bound:
    """One bound: what it is called, where it is stated, and how it is computed."""

    name: str  # of its column
    title: str  # in figures
    place: str  # in the paper, or the reference
    meaning: str
    standing: str  # why it should hold: a theorem, a conjecture, ...
    formula: Callable[[Measures], float]
    ramp: bool = True  # whether the training set's ramp loss is a part of it, as in Theorem 3

    def value(self, m: Measures) -> float:
        """The bound on the test error of a network.

        The paper leaves the ramp loss out: it is 0 where the network interpolates, and not where
        lambda > 0 leaves a gap.
        """
        return self.formula(m) + (m.ramp_loss if self.ramp else 0.0)

    def images_for_one(self, value: Any, ramp_loss: Any, n: Any) -> Any:
        """The N at which a bound of `value` at `n` samples would be 1; numbers, or Series of them.

        Every bound falls as 1 / sqrt(N), but for the ramp loss, which stays.
        """
        stays = ramp_loss if self.ramp else 0.0
        return n * ((value - stays) / (1 - stays)) ** 2


BOUNDS = {
    bound.name: bound
    for bound in (
        Bound(
            "eq16_printed",
            "Eq. 16 as printed",
            "Eq. 16",
            "bound on the test error with the printed logarithm",
            "the paper's statement; its logarithm does not follow from Eq. 12",
            lambda m: bound_eq16_printed(m.norm, m.layers, m.n, m.delta),
        ),
        Bound(
            "eq16_eq12",
            "Eq. 16, log of Eq. 12",
            "Eq. 16 with the logarithm of Eq. 12",
            "eq16_printed with the logarithm of Eq. 12",
            "a theorem for dense networks, the paper's statement for others",
            lambda m: bound_eq16_eq12(m.norm, m.layers, m.n, m.delta),
        ),
        Bound(
            "eq19",
            "Eq. 19, no overlap",
            "Eq. 19 (Theorem 4)",
            "bound for patches that do not overlap",
            "a theorem for patches that do not overlap",
            bound_eq19,
        ),
        Bound(
            "eq24",
            "Eq. 24, overlap",
            "Eq. 24 (Conjecture 1)",
            "conjectured bound for overlapping patches",
            "a conjecture",
            bound_eq24,
        ),
        Bound(
            "eq25_printed",
            "Eq. 25, dense, printed",
            "Eq. 25 as printed",
            "eq19, taken as dense: factor as printed",
            "a theorem for trees and dense networks, and above `sparse` for others",
            bound_eq25_printed,
        ),
        Bound(
            "eq25_counted",
            "Eq. 25, dense, counted",
            "Eq. 25 with the copies counted",
            "eq19, taken as dense: copies counted",
            "a theorem",
            bound_eq25_counted,
        ),
        Bound(
            "theorem7",
            "Theorem 7: Eq. 16, low rank",
            "Theorem 7",
            "eq16_eq12, its R times sqrt(r/n) a layer, r = rank_1e-2",
            "stated without proof",
            bound_theorem7,
        ),
        Bound(
            "sparse",
            "sparse, patches of pixels",
            "after Galanti et al. 2023",
            "bound for compositionally sparse networks; NaN with max-pooling",
            "a theorem, derived in docs/bounds.md",
            bound_sparse,
        ),
        Bound(
            "golowich",
            "Golowich et al. 2018, dense",
            "Golowich et al. 2018",
            "Golowich et al. 2018, taken as dense",
            "a theorem",
            bound_golowich,
        ),
        Bound(
            "neyshabur",
            "Neyshabur et al. 2015, dense",
            "Neyshabur et al. 2015",
            "Neyshabur et al. 2015, taken as dense",
            "a theorem",
            bound_neyshabur,
        ),
        Bound(
            "bartlett",
            "Bartlett et al. 2017 (constant 1)",
            "Bartlett et al. 2017",
            "Bartlett et al. 2017, constants 1; NaN without zero training error",
            "a theorem, but for its constant, here 1",
            bound_bartlett,
            ramp=False,
        ),
        Bound(
            "parameters",
            "parameter count (constant 1)",
            "the parameter count",
            "bound by the number of weights, constants 1",
            "a theorem, but for its constant, here 1",
            bound_parameters,
            ramp=False,
        ),
    )
}


def evaluate_bounds(
    m: Measures, train_error: float, covered: bool
) -> list[dict[str, str | float | int | bool]]:
    """Rows of the table `bounds`, one a bound.

    `covered`: whether the network is one that the bounds are about, of two classes and without
    batch norm. The value is given anyway, and for any training error; `applies` says whether the
    network is covered and the error 0, as the bounds assume. A network that diverged, with a NaN
    for its training error, has no value.
    """
    inputs: dict[str, float | int] = {
        "rho": m.rho,
        "max_norm": m.max_norm,
        "ramp_loss": m.ramp_loss,
        "layers": m.layers,
        "delta": m.delta,
        "train_error": train_error,
    }
    return [
        {
            "bound": name,
            "value": nan if isnan(train_error) else bound.value(m),
            "applies": covered and train_error == 0,
            **inputs,
        }
        for name, bound in BOUNDS.items()
    ]
