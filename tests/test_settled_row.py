"""What is measured around the end of training: at which rho, and of which network."""

import numpy as np
import pytest

from squareloss.small import problems
from squareloss.small.critical_points import turned


@pytest.fixture(scope="module")
def ended():
    """A row of `settled`, its problem and its third start; training is cut short."""
    settle, at_end, seen = problems.settle, problems.at_end, {}

    def shortly(*arguments, **keywords):
        return settle(*arguments, **(keywords | {"iterations": 20}))

    def watched(seed, replicate, name, attempts, **keywords):
        seen[name] = at_end(seed, replicate, name, 1, **keywords)
        return seen[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problems, "settle", shortly)
        patch.setattr(problems, "at_end", watched)
        [row] = problems.settled_rows(3, 0)
        _, problem, starts, end = seen["settled"]
        yield row, problem, starts, end


def moments(problem, v):
    """mu and M of the network with directions `v`, in plain NumPy."""
    units, inputs = problem.shapes[0]
    first, last = np.split(v.numpy(), [units * inputs])
    hidden = np.maximum(problem.x.numpy() @ first.reshape(units, inputs).T, 0)
    f = hidden @ last.reshape(2, units).T
    signs = np.where(np.arange(2) == problem.labels.numpy()[:, None], 1, -1)
    return (f * signs).mean(), (f**2).mean()


def test_the_landscape_is_measured_above_the_least_rho(ended):
    row, problem, starts, end = ended
    mu, _ = moments(problem, end.v)
    assert row["rho_0"] == pytest.approx(1 / mu)
    assert row["rho"] == end.rho != pytest.approx(1 / mu, rel=1e-3)
    assert row["residuals"] == problems.FEW * 2
    # -dL / drho of L = 1 - 2 rho mu + rho^2 M, a little above and far above rho_0.
    mu, m = moments(problem, starts[2])
    for name, factor in (("rho_dot_above", 1.5), ("rho_dot_far_above", 100)):
        assert row[name] == pytest.approx(2 * mu - 2 * factor * row["rho_0"] * m)


def test_only_a_start_that_fits_nothing_is_asked_whether_its_rho_grows(ended):
    row, problem, starts, end = ended
    v = starts[2]
    fits, fits_not = (
        (v, turned(problem, v)) if moments(problem, v)[0] > 0 else (turned(problem, v), v)
    )
    assert moments(problem, fits)[0] > 0 > moments(problem, fits_not)[0]
    expected = problems.growth(problem, fits_not)
    assert expected != pytest.approx(problems.growth(problem, fits), rel=1e-6)
    for third in (fits, fits_not):
        found = problems.landscape_row(problem, end, row["rho_0"], [*starts[:2], third])
        assert found["inseparable_growth"] == pytest.approx(expected, rel=1e-9)
    assert row["inseparable_growth"] == pytest.approx(expected, rel=1e-9)
