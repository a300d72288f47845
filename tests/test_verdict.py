"""Verdicts follow from numbers by a rule; the numbers here are made up."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from squareloss.claims import report, statistics
from squareloss.claims.claim import Claim
from squareloss.claims.verdict import ALPHA, FAMILY, fewest
from squareloss.claims.verdict import judge as judge_in
from squareloss.figures import figure_verdicts


def judge(claims, tables):
    """The verdicts if there were no other claims."""
    return judge_in(claims, tables, sum(claim.tests for claim in claims))


def claim(values, side=">", threshold=0.0, test="replicates", **rest):
    """A claim about a table t, whose measured values are these."""
    values = pd.Series(values, dtype=float)
    return Claim("c", "p", "s", "q", side, threshold, "b", lambda t: values, test, **rest)


def verdicts(*series, **options):
    """Verdicts on made-up values, judged together."""
    claims = [claim(values, **options) for values in series]
    return judge(claims, {"t": pd.DataFrame()})["verdict"].tolist()


def row_of(values, **options):
    """The row of one claim with these values."""
    return judge([claim(values, **options)], {"t": pd.DataFrame()}).loc[0]


def test_clear_effects_of_ten_replicates_decide():
    rng = np.random.default_rng(0)
    values = rng.normal(2, 0.5, 10)
    assert verdicts(values) == ["supported"]
    assert verdicts(-values) == ["contradicted"]
    assert verdicts(values, side="<") == ["contradicted"]
    assert verdicts(values, threshold=9) == ["contradicted"]
    assert verdicts(rng.normal(0, 1, 10)) == ["not decided"]


def test_a_row_says_what_the_sign_test_says():
    """13 of 16 above 1, with a value that would carry away a mean."""
    values = [*np.linspace(1.1, 2.3, 13), -900.0, 0.5, 0.6]
    row = row_of(values, threshold=1)
    assert row["median"] == np.median(values)
    # The fourth smallest and the fourth largest, of 16.
    assert (row["low"], row["high"]) == (sorted(values)[3], sorted(values)[-4])
    assert row["p_for"] == pytest.approx(binom.sf(12, 16, 0.5))
    assert row["p_against"] == pytest.approx(binom.sf(2, 16, 0.5))
    assert row["holm_for"] == row["bh_for"] == pytest.approx(2 * row["p_for"])
    assert (row["holding"], row["worst"]) == (13, -900)
    assert row["verdict"] == "supported"


def test_within_is_between_both_ends():
    assert verdicts([0.005, -0.004] * 4, side="within", threshold=0.01) == ["supported"]
    assert verdicts([0.02] * 8, side="within", threshold=0.01) == ["contradicted"]
    assert verdicts([-0.02] * 8, side="within", threshold=0.01) == ["contradicted"]
    # Each replicate is too far off, but the median may lie anywhere between.
    row = row_of([0.02, -0.02] * 4, side="within", threshold=0.01)
    assert (row["verdict"], row["holding"]) == ("not decided", 0)


def test_no_effect_is_found_only_with_a_margin():
    values = [0.005, -0.004] * 8
    row = row_of(values)
    assert (row["verdict"], row["why"]) == ("not decided", "inconclusive")
    margin = {"negligible": 0.01, "negligible_because": "b"}
    assert verdicts(values, **margin) == ["no such effect"]
    assert verdicts([0.05, -0.04] * 8, **margin) == ["not decided"]
    assert verdicts([0.05] * 16, **margin) == ["supported"]


def test_why_nothing_is_decided():
    cases = {
        "too few replicates": ([1.0] * 3, "3 replicates; 6 are needed"),
        "premise unmet": ([1.0] * 8 + [math.nan] * 9, "9 of 17 replicates diverged"),
        "inconclusive": ([1.0, -1.0] * 8, "p = 0.6 for, 0.6 against, before correction"),
    }
    for why, (values, words) in cases.items():
        row = row_of(values)
        assert (row["verdict"], row["why"]) == ("not decided", why)
        assert words in row["reason"]
    assert row_of([math.nan], test="every", unmet="vacuous")["why"] == "vacuous"
    row = judge([claim([1.0])], {}).loc[0]
    assert (row["verdict"], row["why"]) == ("not decided", "study lacks runs")
    assert row["reason"] == "this study lacks: t"


@pytest.mark.parametrize(("agree", "of"), [(11, 16), (12, 17), (9, 12)])
def test_the_number_of_replicates_that_is_named_would_decide(agree, of):
    row = row_of([1.0] * agree + [-1.0] * (of - agree))
    assert row["why"] == "too few replicates"
    needed = int(row["reason"].split("; with ")[1].split()[0])
    more = round(agree / of * needed)
    assert needed > of
    assert verdicts([1.0] * more + [-1.0] * (needed - more)) == ["supported"]


def test_statements_about_every_network_and_checks():
    assert verdicts([1], test="every") == ["supported"]
    assert verdicts([1] * 50 + [-1], test="every") == ["contradicted"]
    assert verdicts([1], test="check") == ["passed"]
    assert verdicts([1] * 50 + [-1], test="check") == ["failed"]
    assert verdicts([], test="every") == verdicts([], test="check") == ["not decided"]


def test_networks_without_the_premise_are_left_out_and_too_many_decide_nothing():
    nan = math.nan
    assert verdicts([1.0] * 8 + [nan] * 2) == ["supported"]
    assert verdicts([1.0] * 8 + [nan] * 9) == ["not decided"]
    assert verdicts([1.0, nan, nan], test="every") == ["supported"]
    assert verdicts([nan, nan], test="every") == ["not decided"]


def test_the_family_does_not_depend_on_what_could_be_tested():
    """Ten of ten replicates give p = 1/1024: enough in a family of 50 tests, not of 52."""
    unanimous, nothing = [1.0] * 10, [math.nan]
    assert verdicts(unanimous, *[nothing] * 24)[0] == "supported"
    assert verdicts(unanimous, *[nothing] * 25)[0] == "not decided"


def test_false_verdicts_in_null_studies():
    """Studies in which every median is its threshold: 5% may err, by the rule."""
    # 15 or 16 of 16 on either side, of 96 independent quantities: just below 5%.
    exact = 1 - (1 - 2 * 17 / 2**16) ** 96
    assert 0.04 < exact < 0.05
    wrong = figure_verdicts.false_verdicts(16, skewed=True, rule="sign test")
    assert abs(wrong - exact) < 4 * (exact / figure_verdicts.STUDIES) ** 0.5


def test_null_studies_are_judged_as_the_simulation_does():
    rng = np.random.default_rng(1)
    for _ in range(5):
        draws = rng.lognormal(size=(12, 16))
        draws[0] += 1  # an effect in all replicates
        above = (draws > 1).sum(axis=1)
        p = statistics.sign_p(np.concatenate([above, 16 - above]), 16)
        decided = (statistics.holm(p, 24) < ALPHA).reshape(2, 12).any(axis=0)
        found = verdicts(*draws, threshold=1)
        assert [word != "not decided" for word in found] == decided.tolist()
        assert found[0] == "supported"


def test_one_dissenter_of_sixteen_is_allowed_among_all_claims():
    assert sum(claim.tests for claim in report.CLAIMS) <= FAMILY
    assert statistics.sign_p(15, 16) * FAMILY < ALPHA < statistics.sign_p(15, 16) * (FAMILY + 1)
    assert statistics.sign_p(fewest(FAMILY), fewest(FAMILY)) * FAMILY <= ALPHA
    with pytest.raises(ValueError, match="more than 1 tests: raise FAMILY"):
        judge_in([claim([1.0])], {}, 1)
