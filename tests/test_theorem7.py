"""Theorem 7's factor sqrt(r / n) against the complexity of small layers, over all signs."""

from itertools import product

import numpy as np
import pytest

N, SAMPLES = 4, 6


@pytest.fixture(scope="module")
def layer():
    """What comes after a layer, a, and its inputs: N numbers for each sample."""
    rng = np.random.default_rng(7)
    return rng.normal(size=N), rng.normal(size=(SAMPLES, N))


def signs():
    return np.array([*product((-1.0, 1.0), repeat=SAMPLES)])


def complexity(best, a, x):
    """Mean over all signs of (1 / m) sum eps_i a^T V x_i, V being the best for them."""
    return np.mean([a @ best(a, e @ x) @ (e @ x) for e in signs()]) / SAMPLES


def of_rank_one(a, s):
    """Of norm 1, along a and s."""
    return np.outer(a, s) / np.linalg.norm(np.outer(a, s))


def of_full_rank(a, s):
    """Of norm 1, with equal singular values, turned to where a^T V s is largest."""
    u, _, v = np.linalg.svd(np.outer(a, s))
    return u @ v / N**0.5


def test_rank_one_reaches_what_any_matrix_of_norm_one_can(layer):
    """By Cauchy and Schwarz none exceeds ||a s^T||; random matrices of any rank stay below."""
    a, x = layer
    bound = np.mean([np.linalg.norm(np.outer(a, e @ x)) for e in signs()]) / SAMPLES
    assert complexity(of_rank_one, a, x) == pytest.approx(bound, rel=1e-12)
    rng = np.random.default_rng(8)
    for _ in range(200):
        v = rng.normal(size=(N, N))
        v /= np.linalg.norm(v)
        assert max(a @ v @ (e @ x) - np.linalg.norm(np.outer(a, e @ x)) for e in signs()) <= 0


def test_matrices_of_the_highest_rank_have_the_printed_factor(layer):
    """The best with equal singular values has half of what rank 1 has at n = 4."""
    a, x = layer
    for best, rank in ((of_rank_one, 1), (of_full_rank, N)):
        assert np.linalg.matrix_rank(best(a, x[0])) == rank
        assert np.linalg.norm(best(a, x[0])) == pytest.approx(1)
    halved = (1 / N) ** 0.5 * complexity(of_rank_one, a, x)
    assert complexity(of_full_rank, a, x) == pytest.approx(halved)
