"""Formulas of the theory against the loss they are about, and against numbers worked by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from squareloss.model.architecture import build, weight_shapes
from squareloss.model.layers import forward
from squareloss.theory.bounds import (
    bound_eq16_eq12,
    bound_eq16_printed,
    rademacher_peeling,
)
from squareloss.theory.equilibrium import (
    loss,
    loss_from_rho_dot,
    rho_dot,
    rho_equilibrium,
)
from squareloss.train.evaluate import moments, square_loss, targets

CASES = [(classes, lam) for classes in (2, 10) for lam in (0.0, 0.3)]


def sigma2(mu, M, classes=2):
    """The variance of the margins for C = 2 with opposite outputs."""
    return M - (classes - 1) * mu**2


def interpolation_gap(mu, M, lam, classes=2):
    """Eq. 8, for C classes."""
    spread = sigma2(mu, M, classes) + lam
    return spread / ((classes - 1) * mu**2 + spread)


class Outputs:
    """Outputs f_V of a network, and the loss as training computes it, free of the formulas."""

    def __init__(self, classes, lam, spread=0.2):
        generator = torch.Generator().manual_seed(classes)
        self.classes, self.lam = classes, lam
        self.labels = torch.arange(classes).repeat(7)
        self.e = targets(self.labels, classes).double()
        noise = torch.randn(self.e.shape, generator=generator, dtype=torch.float64)
        self.f_v = 0.4 * self.e + spread * noise
        self.mu, self.M = moments(self.f_v, self.labels)

    def loss(self, rho):
        return square_loss(rho * self.f_v, self.e).item() + self.lam * rho**2


@pytest.mark.parametrize(("classes", "lam"), CASES)
@pytest.mark.parametrize("rho", [0.0, 0.7, 30.0])
def test_eq11_is_the_loss(classes, lam, rho):
    net = Outputs(classes, lam)
    assert loss(rho, net.mu, net.M, lam, classes) == pytest.approx(net.loss(rho))


@pytest.mark.parametrize(("classes", "lam"), CASES)
@pytest.mark.parametrize("rho", [0.1, 0.7, 30.0])
def test_eq6_is_minus_the_slope_of_the_loss(classes, lam, rho):
    net = Outputs(classes, lam)
    # The loss is quadratic in rho: a central difference has no error but rounding.
    slope = (net.loss(rho + 0.01) - net.loss(rho - 0.01)) / 0.02
    assert rho_dot(rho, net.mu, net.M, lam) == pytest.approx(-slope, rel=1e-9)


@pytest.mark.parametrize(("classes", "lam"), CASES)
def test_eq7_minimises_the_loss(classes, lam):
    net = Outputs(classes, lam)
    best = minimize_scalar(net.loss, bracket=(0, 1))
    rho = rho_equilibrium(net.mu, net.M, lam)
    assert rho == pytest.approx(best.x, rel=1e-6)
    assert rho_dot(rho, net.mu, net.M, lam) == pytest.approx(0, abs=1e-12)
    gap = interpolation_gap(net.mu, net.M, lam, classes)
    assert best.fun == pytest.approx(gap / (classes - 1))


@pytest.mark.parametrize(("classes", "lam"), CASES)
def test_eq8_is_the_distance_from_interpolation(classes, lam):
    net = Outputs(classes, lam)
    rho = rho_equilibrium(net.mu, net.M, lam)
    # <rho f_V, e~> is C/(C-1) at interpolation: the gap is what is missing of it, on average.
    reached = (rho * net.f_v * net.e).sum(1).mean().item() * (classes - 1) / classes
    assert interpolation_gap(net.mu, net.M, lam, classes) == pytest.approx(1 - reached)


@pytest.mark.parametrize("classes", [2, 10])
def test_gap_of_outputs_without_spread(classes):
    net = Outputs(classes, 0.3, spread=0.0)
    # The targets are float32.
    assert sigma2(net.mu, net.M, classes) == pytest.approx(0, abs=1e-8)
    assert interpolation_gap(net.mu, net.M, 0, classes) == pytest.approx(0, abs=1e-7)
    power = (classes - 1) * net.mu**2
    assert interpolation_gap(net.mu, net.M, 0.3, classes) == pytest.approx(0.3 / (power + 0.3))


def test_binary_sigma2_is_the_variance_of_the_margins():
    fbar = np.array([0.1, 0.3, -0.2, 0.5])
    labels = torch.tensor([0, 1, 0, 1])
    y = np.array([1, -1, 1, -1])
    mu, M = moments(torch.tensor(np.c_[y * fbar, -y * fbar]), labels)
    assert mu == pytest.approx(fbar.mean())
    assert sigma2(mu, M) == pytest.approx(fbar.var())


@pytest.mark.parametrize(("classes", "lam"), CASES)
@pytest.mark.parametrize("rho", [0.1, 0.7, 30.0])
def test_lemma4_is_the_loss(classes, lam, rho):
    net = Outputs(classes, lam)
    slope = (net.loss(rho + 0.01) - net.loss(rho - 0.01)) / 0.02
    assert loss_from_rho_dot(rho, -slope, net.mu, classes) == pytest.approx(net.loss(rho))


def test_frozen_norms_are_a_smaller_lambda_and_a_faster_time():
    net = Outputs(2, 0.0)
    G, lam, rho_top, h = 50.0, 0.3, 0.02, 1e-4

    def trained(rho_top):
        return net.loss(G * rho_top) + lam * rho_top**2

    slope = (trained(rho_top + h) - trained(rho_top - h)) / (2 * h)
    velocity = G * -slope  # of rho = G rho_top
    assert velocity == pytest.approx(G**2 * rho_dot(G * rho_top, net.mu, net.M, lam / G**2))
    best = minimize_scalar(trained, bracket=(0, 0.1))
    assert rho_equilibrium(net.mu, net.M, lam / G**2) == pytest.approx(G * best.x, rel=1e-6)


def test_formulas_take_arrays():
    mu, M = np.array([0.1, 0.2]), np.array([0.02, 0.1])
    expected = [rho_equilibrium(0.1, 0.02, 1e-3), rho_equilibrium(0.2, 0.1, 1e-3)]
    assert rho_equilibrium(mu, M, 1e-3).tolist() == expected
    assert loss(1.0, mu, M, 1e-3).shape == (2,)


# Worked with 40 digits apart from this code: rho, L, N, printed, with the logarithm of Eq. 12.
EQ16 = [
    (500.0, 6, 10000, 38.97685747083767, 39.0033947503607),
    (1.0, 6, 10000, 0.19610519640028923, 0.20315156625045372),
    (0.1, 3, 400, 0.5521518681064588, 0.5432390948301581),
]


@pytest.mark.parametrize(("rho", "layers", "n", "printed", "consistent"), EQ16)
def test_eq16_against_hand_computed_values(rho, layers, n, printed, consistent):
    assert bound_eq16_printed(rho, layers, n, 0.05) == pytest.approx(printed, rel=1e-13)
    assert bound_eq16_eq12(rho, layers, n, 0.05) == pytest.approx(consistent, rel=1e-13)


def test_rademacher_complexity_by_hand():
    # sqrt(2 ln 2 * 6) = sqrt(8.3177662) = 2.8840538
    assert rademacher_peeling(6, 10000) == pytest.approx(0.038840538, abs=1e-9)


@given(
    rhos=st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
    sizes=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    layers=st.integers(1, 20),
)
@pytest.mark.parametrize("bound", [bound_eq16_printed, bound_eq16_eq12])
def test_eq16_grows_with_rho_and_falls_with_n(bound, rhos, sizes, layers):
    low, high = sorted(rhos)
    few, many = sorted(sizes)
    assume(low < high * (1 - 1e-9) and few < many)
    assert bound(low, layers, few, 0.05) < bound(high, layers, few, 0.05)
    assert bound(low, layers, many, 0.05) < bound(low, layers, few, 0.05)


def test_eq16_as_printed_is_undefined_near_one_over_e():
    # 2 (log(rho) + 1)^2 < delta for |log(rho) + 1| < sqrt(0.025) = 0.158
    for shift in (-0.157, 0.0, 0.157):
        assert math.isnan(bound_eq16_printed(math.exp(shift - 1), 6, 1000, 0.05))
    for shift in (-0.159, 0.159):
        assert bound_eq16_printed(math.exp(shift - 1), 6, 1000, 0.05) > 0
    assert bound_eq16_eq12(1 / math.e, 6, 1000, 0.05) > 0


def test_eq16_without_a_norm():
    assert math.isnan(bound_eq16_printed(0.0, 6, 1000, 0.05))
    assert bound_eq16_eq12(0.0, 6, 1000, 0.05) > 0
    assert math.isnan(bound_eq16_printed(math.nan, 6, 1000, 0.05))
    assert math.isnan(bound_eq16_eq12(math.nan, 6, 1000, 0.05))


def test_a_samples_gradient_has_rank_one_in_dense_layers_only():
    """Lemma 8 needs rank 1; a convolution sums one product for each place of its kernel."""
    layers = build("cnn6", 2, 0.25, "stride")
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(*shape, dtype=torch.float64, generator=generator) / math.prod(shape[1:]) ** 0.5
        for shape in weight_shapes(layers, channels=3, side=32)
    ]
    for weight in weights:
        weight.requires_grad_()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=generator)
    outputs, _ = forward(layers, weights, x)
    gradients = torch.autograd.grad(outputs[0, 0] - outputs[0, 1], weights)
    ranks = [int(torch.linalg.matrix_rank(g.flatten(1), rtol=1e-10)) for g in gradients]
    assert ranks[4:] == [1, 1]
    assert min(ranks[:4]) > 2
