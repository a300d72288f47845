"""The regression of Figure 5, against polyfit and the t distribution."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from squareloss.claims.regression import regress


def test_regression_equals_polyfit_and_student():
    x, y = np.array([1.0, 2, 3, 5, 8]), np.array([2.0, 1, 4, 3, 7])
    ours = regress(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    r = np.corrcoef(x, y)[0, 1]
    p = 2 * student.sf(abs(r) * math.sqrt(3 / (1 - r**2)), 3)
    assert ours.points == 5
    numbers = (ours.slope, ours.intercept, ours.r_squared, ours.p_value)
    assert numbers == pytest.approx((slope, intercept, r**2, p))


def test_regression_p_value_known():
    # The paper's right panel of R^2 = 0.94 over 4 means: t = sqrt(0.94 * 2 / 0.06), p = 1 - R.
    x = np.array([-1.0, -1, 1, 1])
    noise = np.array([1.0, -1, 1, -1]) * math.sqrt(0.06 / 0.94)
    ours = regress(x, x + noise)
    assert ours.r_squared == pytest.approx(0.94)
    assert ours.p_value == pytest.approx(1 - math.sqrt(0.94))  # exact for 4 points; 0.0305


@pytest.mark.parametrize(
    ("x", "y", "points"),
    [([], [], 0), ([1, 2], [1, 2], 2), ([1, 1, 1], [1, 2, 3], 3), ([1, 2, np.nan], [1, 2, 3], 2)],
)
def test_regression_undefined(x, y, points):
    ours = regress(x, y)
    assert ours.points == points
    assert all(map(math.isnan, (ours.slope, ours.intercept, ours.r_squared, ours.p_value)))
