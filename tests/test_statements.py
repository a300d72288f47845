"""The list of what the paper states, and what each claim says of it."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from squareloss.claims import claim as module
from squareloss.claims import report
from squareloss.claims.statements import Statement, statements
from squareloss.small.critical_points import Point, blobs, collapse_of
from squareloss.small.problems import FEW, initial, stream
from squareloss.source import catalog
from squareloss.theory.equilibrium import CRITICAL

CLAIMS = {claim.name: claim for claim in report.CLAIMS}
LISTED = statements()
LONG = Path(__file__).parents[1] / "results/reference/long"
SEED = 2022  # of config.yaml
# The control is in what is measured: a relation with it, or a premise on it.
RELATIONS = {"noise-rho", "noise-test-error", "margin-accuracy-slope"}
NAMED = {name for statement in LISTED for name in statement.answers}


def test_every_claim_answers_a_statement_of_the_list():
    assert set(CLAIMS) - NAMED == set()


def test_every_name_in_the_list_is_that_of_a_claim_or_a_figure():
    assert NAMED - set(CLAIMS) - set(catalog.figures()) == set()


def test_every_figure_of_the_paper_is_in_the_list():
    drawn = {f"figure{number}" for number in range(2, 11)}  # the first explains a notation
    assert drawn - NAMED == set()


def test_the_files_that_remarks_name_are_there():
    root = Path(__file__).parents[1]
    named = {name for s in LISTED for name in re.findall(r"[\w/]+\.(?:py|yaml|md)", s.remark)}
    assert "tests/test_small.py" in named
    assert all((root / name).exists() or (root / "docs" / name).exists() for name in named)


def test_a_statement_without_answer_or_remark_is_refused():
    with pytest.raises(ValueError, match="Section 9, pigs fly: give an answer, or a remark"):
        Statement("Section 9", "pigs fly")
    assert all(statement.says for statement in LISTED)
    assert len({(s.place, s.says) for s in LISTED}) == len(LISTED)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_its_place_its_words_and_its_control(name):
    claim = CLAIMS[name]
    assert claim.place
    assert len(claim.says.split()) >= 5 or claim.says.startswith("Nothing")
    if claim.test in ("replicates", "every"):
        assert bool(claim.control) != bool(claim.no_control)
    # What is no difference from its control has one measured.
    difference = any(word in claim.control for word in ("subtracted", "divided by"))
    if claim.control and claim.test != "number" and not difference and name not in RELATIONS:
        assert claim.controlled is not None


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"says": ""}, "say where the paper states it"),
        ({"because": ""}, "say where the paper states it"),
        ({"no_control": ""}, "give a `control`, or with `no_control` why there is none"),
        ({"control": "lambda = 0"}, "give a `control`, or with `no_control` why there is none"),
        ({"controlled": lambda t: t["rho"]}, "say in `control` what `controlled` measures"),
        ({"test": "number"}, "a number that is not judged has no threshold"),
    ],
)
def test_a_claim_without_words_or_control_is_refused(monkeypatch, options, wanted):
    monkeypatch.setattr(module, "CLAIMS", [])
    complete = {"says": "s", "because": "b", "no_control": "n", "above": 1, "quantity": "q"}
    with pytest.raises(TypeError, match=wanted):
        module.claim("mine", "p", "s", **(complete | options))(lambda t: t["rho"])
    assert module.CLAIMS == []
    module.claim("mine", "p", "s", **complete)(lambda t: t["rho"])
    assert [claim.name for claim in module.CLAIMS] == ["mine"]


def test_small_networks_begin_where_their_claims_say():
    """Collapse at the random starts of the problems that ended at a critical point."""
    table = pd.read_parquet(LONG / "small/settled.parquet")
    found = []
    for row in table[table["gradient"] < CRITICAL].itertuples():
        label = (SEED, row.replicate, "small", f"settled {row.attempts}")
        problem = blobs(stream(*label, "data"), row.weight_decay, FEW)
        start = Point(1.0, initial(problem, stream(*label, "a")), math.nan)
        found.append(collapse_of(problem, start))
    starts = pd.DataFrame(found)
    ends = {name: (starts[name].min(), starts[name].max()) for name in ("nc3", "nc4")}
    assert (starts["nc1"].min(), starts["nc1"].max()) == pytest.approx((0.02, 0.2), rel=0.15)
    assert ends["nc3"] == pytest.approx((1.3, 1.5), rel=0.04)
    assert ends["nc4"] == pytest.approx((0, 0.8), abs=0.04)
    assert starts["nc4"].mean() == pytest.approx(0.47, abs=0.01)


def test_numbers_take_no_part_in_the_tests():
    numbers = [claim for claim in report.CLAIMS if claim.test == "number"]
    assert numbers
    assert all(claim.tests == 0 and not claim.ours for claim in numbers)


def test_controls_read_the_tables_of_their_claim():
    """A control is measured on the same tables, by the same index."""
    for claim in report.CLAIMS:
        if claim.controlled is not None:
            given = claim.controlled.__code__.co_varnames[: claim.controlled.__code__.co_argcount]
            assert given == claim.tables, claim.name
    row = {"rho": 0.5, "mu": 1.9, "gradient": 0.0}
    row |= dict.fromkeys(("multiclass_gradient", "free_loss", "replicate"), 0.0)
    row |= {"margin_spread": 0.0, "residuals": 12}
    tables = {"settled": pd.DataFrame([row])}
    gap = CLAIMS["lemma6-margins"].measure_control(tables)
    assert gap.tolist() == pytest.approx([0.05])
