"""What the paper shows of its own network, and what a row tells beside its own values."""

import math

import pandas as pd
import pytest

from squareloss.claims import report
from squareloss.claims.claim import Claim
from squareloss.claims.rows import size_of
from squareloss.claims.verdict import judge

PAPERS = {"width": 1.0, "n_train": 10_000}
OURS = {"width": 0.25, "n_train": 1000}


def claim(values, name="c", **rest):
    """A claim that these values of runs in the table t lie above 0."""
    values = pd.Series(values, dtype=float)
    return Claim(name, "p", "s", "q", ">", 0.0, "b", lambda t: values, **rest)


def row_of(values, *runs, **rest):
    one = claim(values, **rest)
    return judge([one], {"t": pd.DataFrame(runs)}, one.tests).loc[0]


@pytest.mark.parametrize(
    ("shown", "runs", "wanted"),
    [
        (True, [OURS], "not reproduced"),
        (True, [PAPERS], "contradicted"),
        (True, [PAPERS | {"width": 2.0}], "not reproduced"),
        (True, [PAPERS, OURS], "not reproduced"),
        (False, [OURS], "contradicted"),
    ],
)
def test_a_smaller_network_does_not_contradict_what_is_shown_of_the_papers(shown, runs, wanted):
    row = row_of([-1.0] * 12, *runs, shown=shown)
    assert row["verdict"] == wanted
    assert ("where the paper has width 1" in row["reason"]) == (shown and runs != [PAPERS])


def test_it_may_support_it_and_says_its_size():
    row = row_of([1.0] * 12, OURS, shown=True)
    assert row["verdict"] == "supported"
    assert row["size"] == "width 0.25 and N = 1,000"
    assert f"at {row['size']}, where the paper has width 1 and N = 10,000" in row["reason"]


def test_the_size_is_that_of_all_runs_and_none_of_small_problems():
    one = claim([1.0])
    several = [OURS, PAPERS | {"n_train": 250}, OURS | {"n_train": 2000}]
    assert size_of(one, {"t": pd.DataFrame(several)}) == "width 0.25 to 1.0 and N = 250 to 2,000"
    assert size_of(one, {"t": pd.DataFrame([PAPERS])}) == ""
    assert size_of(one, {"t": pd.DataFrame({"rho": [1.0]})}) == ""


def test_a_row_tells_an_earlier_verdict_and_the_values_of_others():
    claims = [
        claim([1.0] * 12, earlier="above 2, and contradicted", beside=("other", "none", "gone")),
        claim([0.5, math.nan, -0.25], name="other"),
        claim([math.nan], name="none"),
    ]
    table = judge(claims, {"t": pd.DataFrame([PAPERS])}).set_index("claim")
    told = "; earlier: above 2, and contradicted; other: 2 values from -0.25 to 0.5"
    assert table.loc["c", "reason"].endswith(told)
    assert "earlier" not in table.loc["other", "reason"]
    lacking = judge(claims, {}).set_index("claim")
    assert lacking.loc["c", "reason"] == "this study lacks: t"


def test_claims_that_are_told_beside_others_are_there():
    names = {claim.name for claim in report.CLAIMS}
    told = {name for claim in report.CLAIMS for name in claim.beside}
    assert {"lemma6-margins", "very-large-start-falls"} <= told <= names
    assert all(claim.test == "replicates" for claim in report.CLAIMS if claim.shown and claim.ours)


def test_thresholds_of_rounding_are_printed_as_they_are():
    thresholds = {claim.name: claim.threshold for claim in report.CLAIMS}
    row = {"side": ">", "threshold": thresholds["smaller-rho-smaller-bound"]}
    assert report.claimed(row) == "> 0.999999999"
