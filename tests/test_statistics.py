"""The statistics of claims against other libraries, brute force and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, quantile_test

from squareloss.claims.statistics import (
    benjamini_hochberg,
    equivalence_p,
    holm,
    median_interval,
    replicates_needed,
    sign_p,
)

VALUES = st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=1, max_size=25)
P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(VALUES)
def test_the_sign_test_is_that_of_scipy(numbers):
    values = np.array(numbers)
    above = int((values > 0).sum())
    expected = quantile_test(values, q=0, p=0.5, alternative="greater").pvalue
    assert sign_p(above, len(values)) == pytest.approx(expected)
    expected = binomtest(above, len(values), alternative="greater").pvalue
    assert sign_p(above, len(values)) == pytest.approx(expected)


def test_the_sign_test_counts_sequences_of_coins():
    for n in range(1, 11):
        heads = np.array([sum(coins) for coins in itertools.product((0, 1), repeat=n)])
        for k in range(n + 1):
            assert sign_p(k, n) == pytest.approx((heads >= k).mean())


@given(VALUES)
def test_the_interval_is_the_narrowest_with_its_confidence(numbers):
    values = np.array(numbers)
    low, high = median_interval(values)
    expected = quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    if math.isnan(low):
        assert len(values) < 6
        assert math.isnan(expected.low)
    else:
        assert (low, high) == (expected.low, expected.high)


def test_the_interval_covers_the_median_of_a_skewed_law():
    rng = np.random.default_rng(0)
    samples = rng.lognormal(size=(4000, 16))  # its median is 1
    inside = [low <= 1 <= high for low, high in map(median_interval, samples)]
    # P(the 4th smallest <= median <= the 4th largest) = 0.9787 of 16
    assert np.mean(inside) == pytest.approx(0.9787, abs=0.01)


def test_equivalence_needs_both_sides():
    values = np.linspace(-0.4, 0.4, 16)
    assert equivalence_p(values, 0, 0.5) == pytest.approx(2**-16)
    assert equivalence_p(values + 0.2, 0, 0.5) == pytest.approx(sign_p(14, 16))
    assert equivalence_p(values + 2, 2, 0.5) == pytest.approx(2**-16)
    assert equivalence_p(values, 2, 0.5) == pytest.approx(1)


def step_down(p, tests, alpha):
    """Which hypotheses Holm's method rejects, by its definition."""
    rejected = [False] * len(p)
    for step, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] > alpha / (tests - step):
            break
        rejected[i] = True
    return rejected


@given(P, st.integers(0, 20), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_its_steps_reject(numbers, more, alpha):
    p, tests = np.array(numbers), len(numbers) + more
    adjusted = holm(p, tests)
    sure = np.abs(adjusted - alpha) > 1e-12
    assert ((adjusted <= alpha)[sure] == np.array(step_down(p, tests, alpha))[sure]).all()


@given(P, st.integers(0, 20))
def test_benjamini_hochberg_is_that_of_scipy(numbers, more):
    whole = np.array([*numbers, *[1.0] * more])
    expected = false_discovery_control(whole)[: len(numbers)]
    found = benjamini_hochberg(np.array(numbers), len(whole))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_a_family_holds_its_tests(correct):
    with pytest.raises(ValueError, match="a family of 1 tests cannot hold 2"):
        correct(np.array([0.1, 0.2]), 1)


def test_how_many_replicates_are_needed():
    # All agree: the least n with tests / 2^n <= alpha.
    assert replicates_needed(1.0, tests=1, alpha=0.05, most=100) == 5
    assert replicates_needed(1.0, tests=100, alpha=0.05, most=100) == 11
    assert replicates_needed(0.5, tests=1, alpha=0.05, most=200) is None
    needed = replicates_needed(0.75, tests=100, alpha=0.05, most=200)
    assert needed is not None
    for n in range(needed, 200):
        assert sign_p(math.floor(0.75 * n), n) * 100 <= 0.05
    assert sign_p(math.floor(0.75 * (needed - 1)), needed - 1) * 100 > 0.05
