"""Flow, single samples, trees and Lemma 5 against finite differences, closed forms, brute force."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from squareloss.measure.metrics.collapse import alignment, rotation_change
from squareloss.model.architecture import Linear, build, weight_shapes
from squareloss.model.layers import forward
from squareloss.small import large_sample as ample
from squareloss.small.critical_points import (
    Point,
    blobs,
    collapse_of,
    curve_losses,
    data_loss,
    eq9_error,
    euler_error,
    hessian_rank,
    multiplier,
    off_targets,
    outputs,
    settle,
    spreads,
    turned,
)
from squareloss.small.gradient_flow import (
    Problem,
    descend,
    descend_by_samples,
    initial,
    integrate,
    momentum_course,
    small_problem,
)
from squareloss.small.minibatch import (
    full_speed,
    margin_gradients,
    sample_speeds,
    second_singular_value,
)
from squareloss.small.tree import rademacher_complexity, tree, tree_bound
from squareloss.theory.bounds import rademacher_peeling
from squareloss.theory.equilibrium import loss as regularised_loss
from squareloss.theory.equilibrium import rho_dot
from squareloss.train.evaluate import margins, moments


@pytest.fixture
def problem():
    return small_problem(3, 1e-2)


def test_the_velocity_is_eq5_by_finite_differences(problem):
    """rho by Eq. 6; V_k downhill in every direction along its sphere, and along no other."""
    v, rho = initial(problem, 7), torch.tensor(2.0, dtype=torch.float64)
    by_rho, by_v = problem.gradient(rho, v)
    f, _ = forward(problem.layers, problem.split(v), problem.x)
    mu, m = moments(f, problem.labels)
    assert -by_rho.item() == pytest.approx(rho_dot(2.0, mu, m, 1e-2))
    assert problem.loss(rho, v).item() == pytest.approx(regularised_loss(2.0, mu, m, 1e-2))
    for g, w in zip(problem.split(by_v), problem.split(v), strict=True):
        assert (g * w).sum().item() == pytest.approx(0, abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    away = torch.randn(v.shape, dtype=torch.float64, generator=generator)
    h = 1e-6
    ends = [problem.loss(rho, problem.normalized(v + s * h * away)).item() for s in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx((by_v @ away).item(), rel=1e-5)


def test_a_linear_problem_flows_as_its_closed_form():
    """One layer, fixed direction: rho follows Eq. 6, exponential decay towards Eq. 7.

    Two samples x and -x of opposite labels along the direction that V already has: V stays.
    """
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    problem = Problem((Linear(2),), x, torch.tensor([0, 1]), 0.1)
    v = torch.tensor([1.0, -1.0], dtype=torch.float64) / math.sqrt(2)
    f, _ = forward(problem.layers, problem.split(v), x)
    mu, m = moments(f, problem.labels)
    times = np.array([0.5, 1.0, 2.0])
    rate, end = 2 * (m + 0.1), mu / (m + 0.1)
    expected = end + (3.0 - end) * np.exp(-rate * times)
    np.testing.assert_allclose(integrate(problem, 3.0, v, times)[:, 0], expected, rtol=1e-3)


def test_the_flow_keeps_the_norms_and_lowers_the_loss(problem):
    v = initial(problem, 7)
    course = integrate(problem, 1.0, v, np.linspace(0, 1, 5))
    losses = [problem.loss(*map(torch.from_numpy, (row[:1], row[1:]))).item() for row in course]
    assert losses == sorted(losses, reverse=True)
    for weight in problem.split(torch.from_numpy(course[-1][1:])):
        assert weight.norm().item() == pytest.approx(1, abs=1e-3)


def test_descent_comes_to_the_flow_with_its_step(problem):
    v = initial(problem, 7)
    end = integrate(problem, 1.0, v, np.array([1.0]))[0]
    far, near = (
        np.linalg.norm(descend(problem, 1.0, v, h, round(1 / h)) - end) for h in (0.1, 0.02)
    )
    assert near < far / 2


def test_sgd_of_one_sample_takes_its_gradient():
    """An epoch by hand: the steps of the two samples in one of the two orders."""
    problem = small_problem(3, 1e-2, samples=2)
    v, step = initial(problem, 7), 0.05
    ends = []
    for order in ((0, 1), (1, 0)):
        rho, at = torch.tensor(2.0, dtype=torch.float64), v
        for i in order:
            one = Problem(problem.layers, problem.x[[i]], problem.labels[[i]], 1e-2)
            by_rho, by_v = one.gradient(rho, at)
            rho, at = rho - step * by_rho, one.normalized(at - step * by_v)
        ends.append(np.concatenate([[rho.item()], at.numpy()]))
    assert np.abs(ends[0] - ends[1]).max() > 1e-6
    found = {
        int(np.argmin([np.abs(end - other).max() for other in ends]))
        for end in (descend_by_samples(problem, 2.0, v, step, 1, seed) for seed in range(8))
        if min(np.abs(end - other).max() for other in ends) < 1e-12
    }
    assert found == {0, 1}


def test_frozen_norms_slow_rho_by_g_squared(problem):
    """Without momentum, one small step moves rho by Eq. 6 times G^2."""
    v = initial(problem, 7)
    first, second = momentum_course(problem, v, 1.5, rate=1e-6, momentum=0.0, steps=2)
    speed = (second["rho"] - first["rho"]) / (second["time"] - first["time"])
    assert first["rho"] == pytest.approx(1.5**3)
    expected = rho_dot(first["rho"], first["mu"], first["M"], first["lambda_eff"])
    assert speed / 1.5**6 == pytest.approx(expected, rel=1e-4)


def test_sample_gradients_by_finite_differences(problem):
    v = initial(problem, 7)
    fbar, gradients = margin_gradients(problem, v)
    generator = torch.Generator().manual_seed(1)
    away = torch.randn(v.shape, dtype=torch.float64, generator=generator)
    h = 1e-6

    def at(s):
        f, _ = forward(problem.layers, problem.split(v + s * h * away), problem.x)
        return margins(f, problem.labels)

    slopes = (at(1) - at(-1)) / (2 * h)
    for n in (0, 5, 19):
        parts = zip(gradients[n], problem.split(away), strict=True)
        assert sum((g * a).sum() for g, a in parts).item() == pytest.approx(slopes[n].item())
    assert second_singular_value(gradients) < 1e-12
    # Homogeneity (Lemma 2): the part along V_k is the margin itself.
    for w, g in zip(problem.split(v), gradients[5], strict=True):
        assert (w * g).sum().item() == pytest.approx(fbar[5].item())


@given(seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_lemma_8_in_numbers(seed):
    """The best rank-one matrix misses V_k by sqrt(1 - s_1^2), and each gradient has rank one.

    So every sample asks for a speed of at least 2 rho |l_n fbar_n| sqrt(1 - s_1^2) (Eckart-Young):
    none where all are 0, unless V_k has rank 1 or l_n fbar_n = 0.
    """
    problem = small_problem(seed, 1e-3)
    v = initial(problem, seed)
    fbar, gradients = margin_gradients(problem, v)
    layers = problem.split(v)
    speeds = sample_speeds(3.0, fbar, gradients, layers)
    weight = 2 * 3.0 * ((1 - 3.0 * fbar) * fbar).abs()
    for k, w in enumerate(layers):
        missed = (1 - torch.linalg.svdvals(w)[0] ** 2).sqrt()
        assert (speeds[:, k] >= weight * missed - 1e-12).all()


def test_two_directions_have_a_second_singular_value():
    assert second_singular_value([[torch.diag(torch.tensor([4.0, 1.0]))]]) == pytest.approx(0.25)


def test_the_full_speed_is_that_of_the_flow_without_decay():
    problem = small_problem(3, 0.0)
    v, rho = initial(problem, 7), torch.tensor(2.0, dtype=torch.float64)
    layers = problem.split(v)
    # The paper's scalar network is half the difference of the two outputs: make them opposite.
    weights = [*layers[:-1], torch.stack([layers[-1][0], -layers[-1][0]])]
    weights[-1] = weights[-1] / weights[-1].norm()
    v = torch.cat([w.flatten() for w in weights])
    fbar, gradients = margin_gradients(problem, v)
    full = full_speed(2.0, fbar, gradients, problem.split(v))
    _, by_v = problem.gradient(rho, v)
    for k, g in enumerate(problem.split(by_v)):
        assert full[k].item() == pytest.approx(g.norm().item())
    assert (full <= sample_speeds(2.0, fbar, gradients, problem.split(v)).mean(0)).all()


def test_one_sample_asks_for_its_own_speed(problem):
    one = Problem(problem.layers, problem.x[:1], problem.labels[:1], 0.0)
    v = initial(one, 7)
    fbar, gradients = margin_gradients(one, v)
    layers = one.split(v)
    alone = full_speed(3.0, fbar, gradients, layers)
    torch.testing.assert_close(alone, sample_speeds(3.0, fbar, gradients, layers)[0])


def test_a_tree_by_hand():
    kernels = np.array([[1.0, -1.0], [2.0, 3.0]])
    x = np.array([[3.0, 1.0, 5.0, 1.0], [0.0, 1.0, 2.0, 0.0]])
    # first layer: 2, 4 and -1, 2; ReLU; 2*2 + 3*4 = 16 and 2*0 + 3*2 = 6
    np.testing.assert_allclose(tree(kernels, x), [16, 6])


@given(seed=st.integers(0, 999), m=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_the_complexity_of_one_layer_has_a_closed_form(seed, m):
    """sup over unit kernels of |<w, sum e_i x_i>| is the norm of the sum."""
    x = np.random.default_rng(seed).normal(size=(m, 2))
    signs = product([1, -1], repeat=m)
    expected = np.mean([np.linalg.norm(np.array(e) @ x) for e in signs]) / m
    found, coarse = rademacher_complexity(x, 90)
    assert found - 1e-12 <= expected <= found + coarse


def test_a_finer_grid_stays_within_what_the_coarse_one_announced():
    x = np.random.default_rng(1).normal(size=(4, 4))
    coarse, more = rademacher_complexity(x, 24)
    fine, _ = rademacher_complexity(x, 240)
    assert coarse - 1e-12 <= fine <= coarse + more
    assert fine < tree_bound(x)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_trees_are_below_the_bounds_of_dense_networks(layers):
    """A tree is a dense network whose matrices hold 1, 2, ..., 2^(L-1) copies of their kernels."""
    x = np.random.default_rng(layers).normal(size=(6, 2**layers))
    x /= np.linalg.norm(x, axis=1).max()
    found, coarse = rademacher_complexity(x, (360, 90, 24)[layers - 1])
    dense = math.sqrt(2 ** (layers * (layers - 1) / 2))
    assert found + coarse < dense * rademacher_peeling(layers, 6)
    assert 2 * (found + coarse) < tree_bound(x)  # Definition 1 has 2/m


def test_eq19_by_hand():
    x = np.array([[1.0, 2.0, 2.0, 0.0], [4.0, 0.0, 0.0, 0.0]])  # squares 9 + 16
    assert tree_bound(x) == pytest.approx(4 * 5 / 2)


def test_turning_the_last_layer_where_no_feature_points_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    h = torch.rand(30, 6, dtype=torch.float64, generator=generator)
    w = torch.randn(2, 6, dtype=torch.float64, generator=generator)
    h[:, 4] = 0  # a dead unit
    assert rotation_change(h, w) < 1e-12
    assert math.isnan(rotation_change(h * torch.inf, w))


def test_turning_the_last_layer_by_brute_force():
    """Build V_L' and compare the outputs."""
    generator = torch.Generator().manual_seed(4)
    h = torch.rand(30, 6, dtype=torch.float64, generator=generator)
    w = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    cosine = 0.5
    least = torch.linalg.svd(h).Vh[-1]
    along = w @ least
    across = torch.zeros(3, dtype=torch.float64)
    i, j = along.abs().argsort(descending=True)[:2]
    across[i], across[j] = -along[j], along[i]
    v = w / w.norm()
    u = torch.outer(across / across.norm(), least)
    turned = cosine * v + math.sqrt(1 - cosine**2) * u
    assert turned.norm().item() == pytest.approx(1)
    assert (turned * v).sum().item() == pytest.approx(cosine)
    change = h @ (turned * w.norm() / cosine - w).T
    assert rotation_change(h, w) == pytest.approx(change.abs().max().item())


def test_lemma5_holds_where_its_premise_does():
    """Features along plus or minus V_L, as no ReLU gives them: any turn changes nothing."""
    generator = torch.Generator().manual_seed(5)
    v = torch.randn(6, dtype=torch.float64, generator=generator)
    labels = torch.tensor([0, 1] * 15)
    w = torch.stack([v, -v])
    h = torch.where(labels == 0, 1.0, -1.0)[:, None] * v * torch.rand(30, 1, generator=generator)
    assert alignment(h, w, labels) == pytest.approx(1)
    assert rotation_change(h, w) < 1e-12


@pytest.mark.parametrize("classes", [2, 3])
def test_alignment_by_hand(classes):
    generator = torch.Generator().manual_seed(6)
    h = torch.rand(30, 6, dtype=torch.float64, generator=generator)
    w = torch.randn(classes, 6, dtype=torch.float64, generator=generator)
    labels = torch.arange(30) % classes
    cosines = []
    for features, label in zip(h.numpy(), labels.tolist(), strict=True):
        row = w[label] - w[1 - label] if classes == 2 else w[label]
        angle = math.acos(features @ row.numpy() / np.linalg.norm(features) / row.norm().item())
        cosines.append(math.cos(angle))
    assert alignment(h, w, labels) == pytest.approx(min(cosines))
    h[3] = 0
    assert math.isnan(alignment(h, w, labels))


# Networks at the end of training


@pytest.fixture
def line_problem():
    """One linear layer, the samples x and -x of opposite labels: V stays, rho is Eq. 7's."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    problem = Problem((Linear(2),), x, torch.tensor([0, 1]), 0.1)
    return problem, torch.tensor([1.0, -1.0], dtype=torch.float64) / math.sqrt(2)


def test_training_to_the_end_finds_eq7(line_problem):
    problem, v = line_problem
    mu = 1 / math.sqrt(2)
    point = settle(problem, 3.0, v)
    assert point.rho == pytest.approx(mu / (mu**2 + 0.1))
    assert point.gradient < 1e-9
    assert eq9_error(problem, point) < 1e-7
    assert multiplier(problem, point) == pytest.approx(0.1 * point.rho**2)
    assert data_loss(problem, point) == pytest.approx((1 - point.rho * mu) ** 2)
    assert spreads(problem, point)["margin_spread"] == pytest.approx(0, abs=1e-9)
    # From the opposite direction it ends at the same network, with rho > 0.
    other = settle(problem, -3.0, -v)
    assert other.rho == pytest.approx(point.rho)
    torch.testing.assert_close(outputs(problem, other)[0], outputs(problem, point)[0])
    # At a fixed rho the directions alone are trained, and rho's part of the gradient stays out.
    fixed = settle(problem, 3.0, v, free=False)
    assert (fixed.rho, fixed.gradient) == (3.0, pytest.approx(0, abs=1e-9))


def test_eq9_and_eq4_fail_away_from_an_equilibrium():
    problem = blobs(1, 1e-2, 6)
    start = Point(1.0, initial(problem, 2), math.nan)
    assert eq9_error(problem, start) > 0.1
    assert abs(multiplier(problem, start) - 1e-2) > 1e-3


def test_the_gradient_at_the_end_is_that_of_the_constrained_loss():
    problem = blobs(3, 1e-2, 6)
    ends = [settle(problem, 1.0, initial(problem, seed)) for seed in range(4)]
    for end in ends:  # some on kinks, where it is not small
        by_rho, by_v = problem.gradient(torch.tensor(end.rho, dtype=torch.float64), end.v)
        norm = math.hypot(by_rho.item(), by_v.norm().item())
        assert end.gradient == pytest.approx(norm, rel=1e-6, abs=1e-12)
        assert problem.loss(torch.tensor(end.rho, dtype=torch.float64), end.v) < 0.05


def test_the_hessians_rank_is_that_of_the_jacobian():
    problem = blobs(1, 0.0, 4)
    point = settle(problem, 4.0, initial(problem, 2))
    assert data_loss(problem, point) < 1e-16
    last = problem.split(point.v)[-1].numel()
    weights = torch.cat([point.v[:-last], point.v[-last:] * point.rho])

    def f(w):
        return forward(problem.layers, problem.split(w), problem.x)[0].flatten()

    jacobian = torch.autograd.functional.jacobian(f, weights)
    assert hessian_rank(problem, point) == torch.linalg.matrix_rank(jacobian).item() == 8


def test_self_duality_is_off_by_the_imbalance_of_the_residuals():
    """Eq. 9 of two collapsed classes, at the first critical point that is found."""
    for seed in range(30):
        problem = blobs(seed, 1e-2, 6)
        point = settle(problem, 1.0, initial(problem, seed))
        if point.gradient < 1e-8:
            break
    else:
        pytest.fail("every minimum is on a kink")
    f, h = outputs(problem, point)
    residuals = 1 - point.rho * (f[:, 0] - f[:, 1]) / 2 * (1 - 2 * problem.labels)
    one, other = (residuals[problem.labels == c].mean().item() for c in (0, 1))
    found = spreads(problem, point)
    assert found["residual_imbalance"] == pytest.approx(abs(one - other) / (one + other))
    last = problem.split(point.v)[-1]
    means = [h[problem.labels == c].mean(0) for c in (0, 1)]
    expected = one * means[0] - other * means[1]
    cosine = torch.nn.functional.cosine_similarity(last[0] - last[1], expected, dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-4)
    duality = collapse_of(problem, point)["nc3"]
    assert duality == pytest.approx(found["residual_imbalance"], rel=0.2)


def test_outputs_beside_their_targets():
    """Linear features: an output is the sum of two rows of weights, one of them set beside."""
    x = torch.eye(3, dtype=torch.float64)
    problem = Problem((Linear(3), Linear(3)), x, torch.arange(3), 0.0)
    aimed = torch.eye(3, dtype=torch.float64) - 1 / 3  # columns are the targets' directions
    for beside in (0.0, 0.3):
        last = aimed.clone()
        last[1, 0] += beside  # (0, 1, -1) is orthogonal to the first target
        last[2, 0] -= beside
        v = torch.cat([x.flatten(), last.flatten()])
        expected = math.sin(math.atan2(beside * 2**0.5, (2 / 3) ** 0.5))
        assert off_targets(problem, Point(2.0, v, 0.0)) == pytest.approx(expected, abs=1e-9)


def test_outputs_point_to_their_targets_at_a_critical_point_of_three_classes():
    """Lemma 7 at a problem whose end is off the kinks, though margins still differ by 1%."""
    problem = blobs(22, 1e-2, 6, classes=3, units=16, spread=0.3)
    end = settle(problem, 1.0, initial(problem, 22))
    assert end.gradient < 1e-7
    assert off_targets(problem, end) < 1e-6
    assert spreads(problem, end)["margin_spread"] > 1e-3
    assert off_targets(problem, Point(end.rho, initial(problem, 5), 0.0)) > 0.1


def test_losses_on_curves():
    problem = blobs(1, 0.0, 6)
    one, other = (settle(problem, 4.0, initial(problem, seed)) for seed in (2, 3))
    line, curve = curve_losses(problem, one, other)
    middle = Point(4.0, problem.normalized((one.v + other.v) / 2), math.nan)
    assert line >= data_loss(problem, middle) > 100 * curve
    assert max(curve_losses(problem, one, one)) < 1e-12


def test_a_turned_network_is_the_opposite_one():
    problem = blobs(1, 0.0, 6)
    v = initial(problem, 2)
    both = [outputs(problem, Point(1.0, w, 0.0))[0] for w in (v, turned(problem, v))]
    torch.testing.assert_close(both[0], -both[1])


def test_a_small_network_with_ample_data_is_measured():
    """What the bounds take of it, recomputed; and the error on a sample of its own."""
    layers = ample.NETWORKS["patches, L = 3"]
    found, train_error, test_error = ample.trained(layers, 5, 400, 0.05)
    assert (found.n, found.layers, found.copies) == (400, 3, (4, 1, 1))
    assert (train_error, test_error) == (0.0, 0.0)
    assert found.max_norm == pytest.approx(1.0)
    # Every margin is at most that of the best network of its norm, rho max ||x||.
    assert 0 < found.margin / 2 < found.rho
    x, labels = ample.samples(1, 5000, torch.eye(16, dtype=torch.float64)[0])
    assert x.flatten(1).norm(dim=1).max() <= 1 + 1e-12
    first = x[:, 0, 0, 0] * (2 * labels - 1)
    assert first.mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("name", ample.NETWORKS)
def test_the_first_weights_do_not_know_the_classes(name):
    """They are drawn apart from the direction that tells the classes."""
    cosines = []
    for seed in range(40):
        direction, _, start = ample.drawn(ample.NETWORKS[name], seed, 20)
        first = start[: ample.SIDE**2]
        cosines.append(float(first @ direction / first.norm()))
    # Independent directions in 16 dimensions: sd 1/4 each, 0.04 of the mean.
    assert abs(np.mean(cosines)) < 0.2
    assert max(map(abs, cosines)) < 0.95


def test_eq3_on_dense_and_convolutional_layers():
    problem = blobs(1, 0.0, 6)
    assert euler_error(problem, initial(problem, 2)) < 1e-14
    layers = build("cnn6", 2, 0.1, "stride")
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in weight_shapes(layers, 3, 32)
    ]
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator)
    f = forward(layers, weights, x)[0][1, 0]
    for weight, gradient in zip(weights, torch.autograd.grad(f, weights), strict=True):
        assert (weight * gradient).sum().item() == pytest.approx(f.item())


def test_lemma_8_does_not_hold_of_convolutions():
    """A sample's gradient has rank 1 in a dense layer, and more in a convolution."""
    layers = build("cnn6", 2, 0.25, "stride")
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in weight_shapes(layers, 3, 32)
    ]
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=generator)
    f = forward(layers, weights, x)[0][0, 0]
    gradients = torch.autograd.grad(f, weights)
    ranks = [torch.linalg.matrix_rank(g.flatten(1), rtol=1e-10).item() for g in gradients]
    assert all(rank > 2 for rank in ranks[:4])
    assert ranks[4:] == [1, 1]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_collapsed_features_make_an_equilibrium_of_the_last_layer(classes):
    """Eq. 42-45: with V_L a multiple of the centred means, no gradient is left along it."""
    generator = torch.Generator().manual_seed(1)
    means = torch.eye(classes, dtype=torch.float64) + 0.5  # equiangular, with a mean of all
    turn = torch.linalg.qr(torch.randn(classes, classes, dtype=torch.float64, generator=generator))
    h = (means @ turn[0]).repeat(4, 1)  # collapsed: four samples a class
    labels = torch.arange(classes).repeat(4)
    problem = Problem((Linear(classes),), h, labels, 0.05)
    centred = means @ turn[0] - (means @ turn[0]).mean(0)
    v = centred / centred.norm()
    torch.testing.assert_close(v.square().sum(1), torch.full((classes,), 1 / classes).double())
    torch.testing.assert_close(v @ h.mean(0), torch.zeros(classes).double(), atol=1e-12, rtol=0)
    cosines = (v @ v.T) * classes
    off = cosines[~torch.eye(classes, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full_like(off, -1 / (classes - 1)))
    mu, m = moments(h @ v.T, labels)
    rho = torch.tensor(mu / (m + 0.05), dtype=torch.float64)
    by_rho, by_v = problem.gradient(rho, v.flatten())
    assert by_rho.item() == pytest.approx(0, abs=1e-12)
    assert by_v.norm().item() == pytest.approx(0, abs=1e-12)
    alpha = rho.item() * mu * (classes - 1)  # rho f = alpha e~
    torch.testing.assert_close(v, rho.item() / (alpha * classes) * centred)  # Eq. 42
    # Residuals that are not equal leave a gradient, although the features have collapsed.
    uneven = Problem(
        (Linear(classes),), h * torch.linspace(0.9, 1.1, len(h))[:, None], labels, 0.05
    )
    assert uneven.gradient(rho, v.flatten())[1].norm().item() > 1e-4
