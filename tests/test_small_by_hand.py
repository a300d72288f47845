"""Small problems in numbers worked by hand: momentum, trees of three layers, ample data."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from squareloss.model.layers import forward
from squareloss.small import large_sample as ample
from squareloss.small import problems as small
from squareloss.small.gradient_flow import initial, momentum_course, small_problem
from squareloss.small.minibatch import full_speed, margin_gradients, sample_speeds
from squareloss.small.tree import rademacher_complexity, tree, tree_bound

RATE, MOMENTUM, NORM, DECAY = 1e-3, 0.9, 1.5, 1e-2


def test_momentum_by_hand():
    """SGD's first three steps of rho_top, whose gradient is G times the slope of Eq. 11 in rho.

    A step of a rate of 1e-3 takes a time of 1e-3 / (1 - 0.9) = 0.01.
    """
    problem = small_problem(3, DECAY)
    rows = list(momentum_course(problem, initial(problem, 7), NORM, RATE, MOMENTUM, steps=4))
    assert [row["time"] for row in rows] == pytest.approx([0, 0.01, 0.02, 0.03])
    norms = NORM**3  # three layers
    top, velocity = 1.0, 0.0
    for row in rows:
        assert row["rho"] == pytest.approx(top * norms, rel=1e-12)
        assert row["lambda_eff"] == pytest.approx(DECAY / norms**2)
        by_rho = -2 * row["mu"] + 2 * row["rho"] * (row["M"] + row["lambda_eff"])
        loss = 1 - 2 * row["rho"] * row["mu"] + row["rho"] ** 2 * (row["M"] + row["lambda_eff"])
        assert row["loss"] == pytest.approx(loss)
        velocity = MOMENTUM * velocity + norms * by_rho
        top -= RATE * velocity


def test_weight_norm_with_momentum_follows_eq6_in_its_time():
    """After its build-up, and over layers of norm 1 and others."""
    problem, v = small.drawn(2022, 0, small.DECAY)
    for norms in small.NORMS:
        course = pd.DataFrame(small.momentum_rows(problem, v, norms))
        assert set(course["norms"]) == {norms}
        moving = course[course["rho_dot_eq6"].abs() > 0.2 * course["rho_dot_eq6"].abs().max()]
        ratio = moving["rho_dot_measured"] / moving["rho_dot_eq6"]
        assert ratio.median() == pytest.approx(1, abs=0.05)
        assert len(moving) > 5


def test_the_distance_of_descent_is_that_of_the_same_time():
    rows = pd.DataFrame(small.flow_rows(2022, 0))
    course, descent = (rows[rows["method"] == name] for name in ("flow", "descent"))
    assert course["time"].tolist() == pytest.approx(np.arange(41) / 20)
    assert course["rho"].iloc[0] == 1.0
    assert (descent["time"] == 2.0).all()
    ordered = descent.sort_values("step")
    assert ordered["step"].tolist() == [0.0125, 0.025, 0.05, 0.1]
    # Of first order, as far as kinks let it be: an eighth of the step, less than half the distance.
    assert ordered["distance"].iloc[0] < 0.5 * ordered["distance"].iloc[-1]


def of_low_rank(problem, v):
    """Directions whose layers have singular values near 1, 0.02 and 0.005, and norm 1."""
    parts = []
    for weight in problem.split(v):
        left, s, right = torch.linalg.svd(weight, full_matrices=False)
        s[:] = torch.tensor([1.0, 0.02, *[0.005] * (len(s) - 2)], dtype=s.dtype)
        parts.append((left * s @ right).flatten())
    return problem.normalized(torch.cat(parts))


def test_speeds_of_a_small_network_are_those_of_its_state(monkeypatch):
    """Each row of `minibatch` against the state that SGD is made to end at."""
    states = {}

    def stays(problem, rho, v, step, epochs, seed):
        v = of_low_rank(problem, v)
        states[problem.weight_decay] = problem, v
        assert (rho, step, epochs) == (8.0, 0.01, 800)
        return np.concatenate([[rho], v.numpy()])

    monkeypatch.setattr(small, "descend_by_samples", stays)
    rows = pd.DataFrame(small.minibatch_rows(2022, 1))
    assert rows[["weight_decay", "layer"]].to_numpy().tolist() == [
        [decay, layer] for decay in (1e-3, 0.0) for layer in (1, 2, 3)
    ]
    for decay, (problem, v) in states.items():
        fbar, gradients = margin_gradients(problem, v)
        layers = problem.split(v)
        of_samples = sample_speeds(8.0, fbar, gradients, layers).numpy()
        found = rows[rows["weight_decay"] == decay]
        np.testing.assert_allclose(found["mean_sample_speed"], of_samples.mean(0))
        np.testing.assert_allclose(found["max_sample_speed"], of_samples.max(0))
        full = full_speed(8.0, fbar, gradients, layers).numpy()
        np.testing.assert_allclose(found["full_speed"], full)
        assert found["rank"].tolist() == [2, 2, 2]


# Trees


def test_eq19_of_three_layers_by_hand():
    """2^3 sqrt(9 + 16) / 2."""
    x = np.zeros((2, 8))
    x[0, :3], x[1, 7] = (1.0, 2.0, 2.0), 4.0
    assert tree_bound(x) == pytest.approx(8 * 5 / 2)


def test_what_a_finer_grid_adds_grows_with_the_layers():
    """L kernels turn by at most pi / angles each: L (pi / 6) times the mean norm 4.5."""
    for layers in (1, 2, 3):
        x = np.zeros((2, 2**layers))
        x[0, 0], x[1, 1] = 4.0, 5.0
        assert rademacher_complexity(x, 6)[1] == pytest.approx(layers * math.pi / 6 * 4.5)


def test_a_tree_of_three_layers_by_hand():
    """The first layer gives 1, -2, 3, -1. The ReLU makes that 1, 0, 3, 0."""
    x = np.array([[1.0, 0, -2, 0, 3, 0, -1, 0]])
    first, last = [1.0, 0.0], [1.0, -1.0]
    assert tree(np.array([first, [-1.0, 0.0], last]), x).tolist() == [0]  # of -1, -3, cut to 0, 0
    assert tree(np.array([first, [1.0, 0.0], last]), x).tolist() == [-2]  # 1 - 3: no ReLU follows


def test_trees_of_one_to_three_layers_are_measured():
    rows = pd.DataFrame(small.tree_rows(1, 0))
    assert rows["layers"].tolist() == [1, 2, 3]
    assert (rows["complexity"] + rows["coarse"] < rows["bound"]).all()


# Ample data


@pytest.fixture
def taken(monkeypatch):
    """A network of two layers on 60 images, and whatever went into its numbers."""
    sets, ends = [], []
    samples, settle = ample.samples, ample.settle

    def drawn(seed, count, direction):
        sets.append((*samples(seed, count, direction), direction))
        return sets[-1][:2]

    def settled(problem, *arguments, **options):
        end = settle(problem, *arguments, **options)
        ends.append((problem, replace(end, v=of_low_rank(problem, end.v))))
        return ends[-1][1]

    monkeypatch.setattr(ample, "TEST", 500)
    monkeypatch.setattr(ample, "samples", drawn)
    monkeypatch.setattr(ample, "settle", settled)
    layers = ample.NETWORKS["dense, L = 2"]
    found, train_error, test_error = ample.trained(layers, 11, 60, 0.05)
    [(problem, end)] = ends
    return {
        "sets": sets, "problem": problem, "end": end, "found": found, "layers": layers,
        "errors": (train_error, test_error),
    }  # fmt: skip


def test_test_images_are_others_of_the_same_classes(taken):
    (x, labels, direction), (test_x, test_labels, other) = taken["sets"]
    assert (len(x), len(test_x)) == (60, 500)
    assert torch.equal(direction, other)
    assert direction.norm().item() == pytest.approx(1)
    train, test = ({tuple(row) for row in part.flatten(1).tolist()} for part in (x, test_x))
    assert len(train) == 60
    assert not train & test
    for part, classes in ((x, labels), (test_x, test_labels)):
        along = part.flatten(1) @ direction
        assert ((along > 0) == (classes == 1)).all()
    assert torch.equal(taken["problem"].x, x)


def test_errors_are_of_the_images_that_they_are_named_after(monkeypatch):
    samples = ample.samples

    def flipped(seed, count, direction):
        x, labels = samples(seed, count, direction)
        return x, (1 - labels if count == 500 else labels)

    monkeypatch.setattr(ample, "TEST", 500)
    monkeypatch.setattr(ample, "samples", flipped)
    *_, train_error, test_error = ample.trained(ample.NETWORKS["dense, L = 1"], 11, 60, 0.05)
    assert (train_error, test_error) == (0.0, 1.0)


def test_what_the_bounds_take_is_of_the_network_and_its_images(taken):
    found, problem, end = taken["found"], taken["problem"], taken["end"]
    weights = problem.split(end.v)
    f = end.rho * forward(taken["layers"], weights, problem.x)[0].numpy()
    labels = problem.labels.numpy()
    lead = f[np.arange(60), labels] - f[np.arange(60), 1 - labels]
    assert taken["errors"] == (0.0, 0.0)
    assert found.rho == pytest.approx(end.rho)
    assert found.margin == pytest.approx(lead.min())
    assert found.ramp_loss == pytest.approx(np.clip(1 - lead / 2, 0, 1).mean())
    assert 0 < found.ramp_loss < 1
    assert (found.n, found.layers, found.delta) == (60, 2, 0.05)
    assert found.rank_shares == (2 / 8, 2 / 2)
    assert problem.weight_decay == 1e-3


def test_every_network_size_and_bound_has_its_row(monkeypatch, taken):
    drawn = []

    def measured(layers, seed, n, delta):
        drawn.append((layers, seed, n, delta))
        return taken["found"], 0.25, 0.5

    monkeypatch.setattr(small, "trained", measured)
    rows = pd.DataFrame(small.ample_rows(1, 2))
    assert [call[0] for call in drawn] == [n for n in ample.NETWORKS.values() for _ in range(3)]
    assert len({call[1] for call in drawn}) == 12  # a seed each
    assert [call[2] for call in drawn] == [200, 2000, 20_000] * 4
    assert {call[3] for call in drawn} == {0.05}
    assert len(rows) == 12 * len(small.BOUNDS)
    assert rows[["train_error", "test_error", "replicate"]].drop_duplicates().to_numpy().tolist() \
        == [[0.25, 0.5, 2]]  # fmt: skip
    for name, bound in small.BOUNDS.items():
        expected = bound.formula(taken["found"])
        expected += taken["found"].ramp_loss if name not in ("bartlett", "parameters") else 0
        assert rows[rows["bound"] == name]["value"].tolist() == pytest.approx([expected] * 12)
