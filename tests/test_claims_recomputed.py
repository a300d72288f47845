"""Each claim's numbers on a made-up study, computed a second time from what it says."""

import functools
import json
import math

import numpy as np
import pandas as pd
import pytest
from recomputed import EXPECTED
from recomputed.study import HALF, LONGER, made_up

from squareloss.claims import report
from squareloss.claims.verdict import evaluate

CLAIMS = {claim.name: claim for claim in report.CLAIMS}
CONTROLLED = [name for name, claim in CLAIMS.items() if claim.controlled is not None]
ON_SIDE = {
    ">": lambda value, threshold: value > threshold,
    "<": lambda value, threshold: value < threshold,
    "within": lambda value, threshold: -threshold < value < threshold,
    "": lambda value, threshold: False,  # a number
}


@pytest.fixture(scope="module")
def study():
    return made_up()


@pytest.fixture(scope="module")
def at_half(study):
    """The study's runs up to the last snapshot in the first half of their training."""
    found = {}
    for name, table in study.items():
        if "epoch" in table and "optimizer" in table:
            last = table["optimizer"].map({"sgd": HALF, "gd": HALF * LONGER})
            found[name] = table[table["epoch"] <= last]
    return found


@pytest.fixture(scope="module")
def expected(study):
    """What a claim measures of the study, by its name."""
    return functools.cache(lambda name: EXPECTED[name](study))


def test_every_claim_is_recomputed():
    controls = {f"control of {name}" for name in CONTROLLED}
    assert set(EXPECTED) == set(CLAIMS) | controls


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_measures_what_it_says(study, expected, name):
    compare(CLAIMS[name].measure(study), expected(name))


@pytest.mark.parametrize("name", CONTROLLED)
def test_a_control_measures_what_it_says(study, expected, name):
    compare(CLAIMS[name].measure_control(study), expected(f"control of {name}"))


def compare(found, wanted):
    """Values by replicate, or of cases, as they were found and as they are wanted."""
    assert len(found) == len(wanted)
    if isinstance(wanted, dict):
        found, wanted = found.reindex(list(wanted)), [*wanted.values()]
    else:  # cases in any order
        found, wanted = np.sort(found), np.sort(wanted)
    assert np.isfinite(wanted).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_row_counts_the_cases_and_names_their_median(study, expected, name):
    claim, wanted = CLAIMS[name], expected(name)
    cases = np.array([*wanted.values()] if isinstance(wanted, dict) else [*wanted])
    values = cases[~np.isnan(cases)]
    row = evaluate(claim, study)
    assert row["measured"] == len(values)
    assert row["without"] == len(cases) - len(values)
    assert row["holding"] == sum(ON_SIDE[claim.side](v, claim.threshold) for v in values)
    assert row["median"] == pytest.approx(np.median(values), rel=1e-9)
    listed = [value for value in json.loads(row["values"]) if value is not None]
    np.testing.assert_allclose(sorted(listed), sorted(values), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CLAIMS if CLAIMS[name].limit])
def test_a_limit_is_measured_at_half_of_training_too(study, expected, at_half, name):
    """Of the replicates that are measured at the end and at half."""
    end, half = pd.Series(expected(name)), pd.Series(EXPECTED[name](at_half))
    wanted = half[np.isfinite(half) & np.isfinite(end)].median()
    assert not math.isnan(wanted)
    assert evaluate(CLAIMS[name], study)["half"] == pytest.approx(wanted, rel=1e-9)
