"""What tables and verdicts make of several replicates: means, medians, and who is left out."""

import math

import numpy as np
import pandas as pd
import pytest
from made_claims import claim
from made_runs import EPOCHS, run

from squareloss.claims.verdict import evaluate
from squareloss.figures import figure10, generalization, style


def test_sd_is_that_within_a_replicate():
    margins = pd.DataFrame({"replicate": [0, 0, 1, 1], "margin": [0.0, 2.0, 10.0, 16.0]})
    found = figure10.within(margins)
    assert found["mean"] == 7
    assert found["sd"] == pytest.approx((math.sqrt(2) + math.sqrt(18)) / 2)
    assert found["count"] == 2


def test_the_middle_of_a_skewed_range_is_its_median():
    ends, cell = style.spanned(pd.Series([9.0, 1.0, 2.0]))
    assert ends == {"median": 2, "least": 1, "largest": 9}
    assert cell == "2 (1 to 9)"


def test_a_replicate_that_diverges_at_the_end_has_no_errors():
    table = run(0)
    lost = (table["replicate"] == 1) & (table["epoch"] == EPOCHS)
    table.loc[lost, ["rho", "train_error", "test_error"]] = np.nan
    its_tail = generalization.tail(table).query("replicate == 1")
    assert its_tail["test_error"].notna().any()
    found = generalization.outcomes(table).set_index("replicate")
    errors = found[["train_error", "test_error", "gap"]]
    assert errors.isna().all(axis=1).to_dict() == {0: False, 1: True, 2: False}


@pytest.mark.parametrize(("left_out", "tested"), [(4, True), (5, True), (6, False), (9, False)])
def test_at_most_half_may_be_left_out_of_a_test(left_out, tested):
    row = evaluate(claim([1.0] * 5 + [math.nan] * left_out), {"t": pd.DataFrame()})
    assert (row["measured"], row["without"]) == (5, left_out)
    assert math.isnan(row["p_for"]) != tested
