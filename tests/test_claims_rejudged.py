"""The committed aggregates judged again give the committed table of claims."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from squareloss.claims import report
from squareloss.claims.verdict import judge
from squareloss.tables.runs import RUN

LONG = Path(__file__).parents[1] / "results/reference/long"
NUMBERS = [
    *("threshold", "negligible", "measured", "without", "holding"),
    *("agreeing_for", "agreeing_against", "median", "worst", "low", "high", "half"),
    *(
        f"{kind}_{side}"
        for kind in ("p", "holm", "bh")
        for side in ("for", "against", "negligible")
    ),
]
WORDS = ["side", "test", "limit", "tables", "lacking", "verdict", "why"]


@pytest.fixture(scope="module")
def tables():
    paths = [*(LONG / "aggregate").glob("*.parquet"), *(LONG / "small").glob("*.parquet")]
    found = {path.stem: pd.read_parquet(path) for path in paths}
    layers = (LONG / "aggregate/layers").glob("*.parquet")
    return found | {f"{path.stem}_layers": pd.read_parquet(path) for path in layers}


@pytest.fixture(scope="module")
def committed():
    return pd.read_parquet(LONG / "claims/claims.parquet").set_index("claim")


@pytest.fixture(scope="module")
def again(tables):
    return judge(report.CLAIMS, tables).set_index("claim")


def test_every_claim_is_judged_again_and_none_lacks_a_table(tables, committed, again):
    assert {name for claim in report.CLAIMS for name in claim.tables} <= set(tables)
    assert list(again.index) == list(committed.index), (
        "put the claims of the long study together again: results/reference/README.md"
    )
    assert (again["lacking"] == "").all()


def test_the_layers_are_those_that_were_aggregated(tables):
    """Their ranks, averaged before the last layer, are in the table of the runs."""
    layers, runs = tables["figure_lowrank_layers"], tables["figure_lowrank"]
    keys = [*RUN, "replicate", "epoch"]
    means = layers[layers["layer"] < layers["layer"].max()].groupby(keys)["stable_rank"].mean()
    kept = runs[runs["stable_rank"].notna()].set_index(keys)["stable_rank"]
    pd.testing.assert_series_equal(means.sort_index(), kept.sort_index(), rtol=1e-12)


@pytest.mark.parametrize("column", NUMBERS)
def test_a_number_is_the_committed_one(committed, again, column):
    pd.testing.assert_series_equal(again[column], committed[column], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("column", WORDS)
def test_a_verdict_is_the_committed_one(committed, again, column):
    assert again[column].to_dict() == committed[column].to_dict()


def test_the_values_are_the_committed_ones(committed, again):
    """Of each replicate or case, to the six digits that are kept."""
    for name in committed.index:
        found, wanted = (json.loads(table.loc[name, "values"]) for table in (again, committed))
        found, wanted = (np.array(values, dtype=float) for values in (found, wanted))
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-12, err_msg=name)
