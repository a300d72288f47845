"""Speeds of small problems: never negative, and in steps that all layer norms share."""

import numpy as np
import pandas as pd
import pytest
import torch

from squareloss.small import problems
from squareloss.small.gradient_flow import Problem, initial, small_problem
from squareloss.small.minibatch import full_speed, margin_gradients, sample_speeds


def test_a_sample_beyond_its_target_has_a_speed_too():
    """At a rho where some residuals are negative, each speed is the norm for that sample alone."""
    problem = small_problem(5, 0.0)
    v = initial(problem, 6)
    fbar, gradients = margin_gradients(problem, v)
    rho = (2 / fbar.max()).item()
    assert (1 - rho * fbar > 0).any()
    assert (1 - rho * fbar < 0).any()
    speeds = sample_speeds(rho, fbar, gradients, problem.split(v))
    for i, found in enumerate(speeds):
        one = Problem(problem.layers, problem.x[i : i + 1], problem.labels[i : i + 1], 0.0)
        alone = full_speed(rho, *margin_gradients(one, v), one.split(v))
        torch.testing.assert_close(found, alone)
    assert (speeds >= 0).all()


def test_all_norms_take_the_same_steps_in_the_time_of_eq6():
    """rho moves G^2 times slower in it than in that of rho_top, G the product of three norms."""
    problem, v = problems.drawn(2022, 0, problems.DECAY)
    times = []
    for norms in problems.NORMS:
        course = pd.DataFrame(problems.momentum_rows(problem, v, norms))
        times.append(course["time"].to_numpy() * norms**6)
    np.testing.assert_allclose(times[0], times[1])
    assert np.diff(times[0])[0] == pytest.approx(10 * 1e-3 / (1 - 0.9))
