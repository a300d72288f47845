"""Controls, limits from either side, thresholds halved and doubled, and the size of the family."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom

from squareloss.claims import statistics
from squareloss.claims.claim import Claim
from squareloss.claims.rule import decide, moving
from squareloss.claims.verdict import FAMILY, judge, steady

T = {"t": pd.DataFrame()}


def claim(values, side=">", threshold=0.0, test="replicates", control=None, **rest):
    """A claim about a table t, whose values are these, and those of its control."""
    values = pd.Series(values, dtype=float)
    if control is not None:
        control = pd.Series(control, dtype=float)
        rest |= {"control": "c", "controlled": lambda t: control}
    return Claim("c", "p", "s", "q", side, threshold, "b", lambda t: values, test, **rest)


def row_of(values, **options):
    one = claim(values, **options)
    return judge([one], T, max(one.tests, 1)).loc[0]


def test_a_claim_whose_control_does_as_well_is_not_supported():
    values, lower = np.linspace(1, 2, 16), np.linspace(0, 1, 16)
    assert row_of(values)["verdict"] == "supported"
    row = row_of(values, control=lower)
    assert (row["verdict"], row["beyond"], row["pairs"]) == ("supported", 16, 16)
    row = row_of(values, control=values)
    assert (row["verdict"], row["why"], row["beyond"]) == ("not decided", "control alike", 0)
    assert row["p_for"] == row["p_control"] == 1
    # The control says nothing against what contradicts.
    assert row_of(-values, control=lower)["verdict"] == "contradicted"


def test_the_larger_of_both_p_counts():
    """15 of 16 on the claimed side, 13 further than their control."""
    values = np.r_[np.full(15, 1.0), -1.0]
    control = np.r_[np.full(12, 0.5), np.full(3, 1.5), -2.0]
    row = row_of(values, control=control)
    assert (row["holding"], row["beyond"]) == (15, 13)
    assert row["p_control"] == pytest.approx(binom.sf(12, 16, 0.5))
    assert row["p_for"] == row["p_control"]
    assert row["agreeing_for"] == 13


def test_a_control_is_compared_by_replicate_where_both_are_measured():
    values = np.arange(1.0, 13)
    control = np.where(np.arange(12) < 3, np.nan, values - 0.5)
    row = row_of(values, control=control)
    assert (row["beyond"], row["pairs"], row["control_median"]) == (9, 9, 7.5)


def test_nearer_to_zero_is_further_within():
    values, control = np.full(12, -0.004), np.full(12, 0.006)
    row = row_of(values, side="within", threshold=0.01, control=control)
    assert (row["verdict"], row["beyond"]) == ("supported", 12)
    assert row_of(control, side="within", threshold=0.01, control=values)["beyond"] == 0


def test_what_cases_without_a_violation_leave_open():
    """Against the upper end of Clopper and Pearson's one-sided interval."""
    for cases in (1, 13, 192):
        assert statistics.violations_left(cases) == pytest.approx(beta.ppf(0.95, 1, cases))
    assert f"{statistics.violations_left(13):.0%}" == "21%"
    assert "up to 21% of others might not (95%)" in row_of([1.0] * 13, test="every")["reason"]
    assert math.isnan(row_of([1.0] * 13, test="check")["violations_left"])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("half", "end", "undecided"),
    [
        (2.0, 1.0, True),  # half of the way to the threshold, 0
        (1.2, 1.0, True),
        (1.1, 1.0, True),  # a tenth of what is left
        (1.09, 1.0, False),
        (1.0, 1.0, False),
        (0.5, 1.0, False),  # moves away from it
        (math.nan, 1.0, True),
    ],
)
def test_a_limit_is_as_readily_left_open_from_either_side(sign, half, end, undecided):
    for side in (">", "<"):
        assert moving(claim([], side=side, limit=True), sign * half, sign * end) == undecided


def test_a_number_is_reported_whatever_it_is():
    for value in (1.0, -1.0):
        row = row_of([value] * 12, side="", threshold=math.nan, test="number", control=[0.0] * 12)
        assert (row["verdict"], row["why"], row["reason"]) == ("reported", "", "b")
        assert (row["median"], row["control_median"], row["robust"]) == (value, 0, "")
        assert math.isnan(row["p_for"])


def test_half_and_twice_a_threshold_of_ours():
    values = np.linspace(0.9, 1.1, 12)

    def robust(threshold, **options):
        return judge([claim(values, threshold=threshold, **options)], T).loc[0, "robust"]

    assert robust(0.2) == "robust"
    assert robust(0.7) == "turns at x 2 (contradicted)"
    assert robust(1.5) == "turns at x 1/2 (supported)"
    assert robust(0.5) == "turns at x 2 (not decided)"
    assert robust(0.0) == robust(1.5, given=True) == ""
    effect = {"negligible": 0.15, "negligible_because": "b"}
    assert robust(1.0, given=True, **effect) == "turns at no effect x 1/2 (not decided)"
    nothing = judge([claim([math.nan], threshold=1.0)], T).loc[0]
    assert nothing["robust"] == ""


def test_a_verdict_turns_in_the_family_that_it_was_judged_in():
    """Eight values on one side are p = 1/128 for two tests, and 1 for the whole family."""
    one = claim(np.linspace(2.5, 2.9, 8), threshold=1.0)
    row = judge([one], T, tests=2).loc[0]
    assert (row["verdict"], row["robust"]) == ("supported", "robust")


def test_sizes_of_the_family_with_the_same_verdicts():
    """12 and 14 that all agree: 1/4096 and 1/16384 times the family, against 0.05."""
    claims = [claim([1.0] * count) for count in (12, 14)]
    table = judge(claims, T)
    assert table["verdict"].tolist() == ["supported"] * 2
    low, high = steady(claims, table)
    assert low == sum(one.tests for one in claims)
    # Holm's second step: 14 first, then 12 among one fewer.
    assert (high - 1) / 4096 < 0.05 <= high / 4096
    for tests in (low, high):
        assert decide(claims, table, tests)["verdict"].tolist() == ["supported"] * 2
    assert decide(claims, table, high + 1)["verdict"].tolist() == ["not decided", "supported"]
    assert low < FAMILY < high
