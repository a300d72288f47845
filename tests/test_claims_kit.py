"""What all claims share: picking runs, counting replicates, and whether a limit still moves."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from made_claims import claim
from made_tables import explained, falling
from recomputed.study import over, trained

from squareloss.claims import section3_course, section4, section6, select
from squareloss.claims.claim import Claim, UnsuitableError
from squareloss.claims.rows import counts
from squareloss.claims.rule import moving
from squareloss.claims.verdict import evaluate, judge


def row_of(values, **options):
    """What is written of such a claim, before corrections."""
    return evaluate(claim(values, **options), {"t": pd.DataFrame()})


def ending(errors, **columns):
    """A run of two epochs whose replicates end at these training errors."""
    rows = trained(np.random.default_rng(0)).query("replicate < @n", local_dict={"n": len(errors)})
    rows = rows[rows["epoch"].isin([0, 40])].reset_index(drop=True)
    rows.loc[rows["epoch"] == 40, "train_error"] = errors
    for name, values in columns.items():
        rows.loc[rows["epoch"] == 40, name] = values
    return rows


def test_a_training_error_of_5_percent_is_not_learnt():
    values = select.learnt(ending([0.049, 0.05, math.nan]), pd.Series([1.0, 2.0, 3.0]))
    assert values.dropna().to_dict() == {0: 1.0}


def test_a_replicate_without_a_number_is_left_out_and_not_forgotten():
    fits = select.fits(ending([0, 0]), pd.Series({0: 7.0}))
    assert fits.isna().tolist() == [False, True]


def test_one_run_is_one_and_ends_are_two():
    rows = pd.concat([ending([0]).assign(n_train=n) for n in (100, 200)])
    with pytest.raises(UnsuitableError, match="one run with batch_size = 32"):
        select.at_end(rows, "rho", batch_size=32)
    with pytest.raises(UnsuitableError, match="a single run"):
        select.at_end(rows, "rho")
    assert len(select.at_end(rows, "rho", n_train=100)) == 1
    assert select.ends(rows, "n_train") == (100, 200)
    with pytest.raises(UnsuitableError, match="runs that differ in batch_size"):
        select.ends(rows, "batch_size")


def test_a_trend_takes_three_values_and_a_comparison_one_setting():
    rows = pd.concat([ending([0]).assign(n_train=n) for n in (100, 200)])
    with pytest.raises(UnsuitableError, match="three values of n_train"):
        select.trend(rows, "n_train", "rho")
    other = rows.assign(loss="cross_entropy")
    pair = pd.concat([rows, other])
    assert select.comparable(pair, "loss") is pair
    with pytest.raises(UnsuitableError, match="differ in loss alone, and not in optimizer"):
        select.comparable(pd.concat([rows, other.assign(optimizer="gd")]), "loss")


def test_equal_values_have_no_trend():
    rows = pd.concat([ending([0]).assign(**point) for point in over(n_train=(1, 2, 3))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # SciPy warns of a constant
        assert np.isnan(select.trend(rows.assign(rho=1.0), "n_train", "rho")).all()


@pytest.mark.parametrize(("networks", "known"), [(4, False), (5, True)])
def test_two_regressors_take_five_networks(networks, known):
    """Of eight, so many fit."""
    table = explained(0.0)
    run = table.groupby(["weight_decay", "init_scale"]).ngroup()
    share = section4.explained(table.assign(train_error=(run >= networks) * 0.1))
    assert share.notna().all() == known
    assert not known or share.to_numpy() == pytest.approx(1)


def test_a_change_of_rank_takes_both_runs_to_have_learnt():
    low = ending([0, 0.2, 0]).assign(batch_size=16, **{section6.RANK: 0.1 + 0.2})
    high = ending([0, 0, 0.2]).assign(batch_size=64, **{section6.RANK: 0.3})
    change = section6.rank_change(pd.concat([low, high]), "batch_size")
    assert change.dropna().to_dict() == {0: 0.0}  # not the -6e-17 of the two sums


def test_of_several_steps_the_least_rise_counts():
    rise = section3_course.least_rise_of_mu(falling((0.5, 0.6, 0.9, 0.9)))
    assert rise.to_numpy() == pytest.approx(0.1)


def test_what_the_tests_count():
    """A value on the threshold is on neither side; within it, the weaker of two sides counts."""
    assert counts(claim([]), np.array([0, 0, 0, 1, -1, -2])) == (1, 2)
    assert counts(claim([], side="<"), np.array([0, 0, 0, 1, -1, -2])) == (2, 1)
    values = np.array([0.02, 0.02, 0.01, 0, 0, 0, -0.02])
    assert counts(claim([], side="within", threshold=0.01), values) == (4, 2)
    assert counts(claim([], side="within", threshold=0.01), -values) == (4, 2)
    assert row_of([0, 0, 1])["holding"] == 1
    assert row_of([0.01, -0.01, -0.02, 0], side="within", threshold=0.01)["holding"] == 1


def test_as_many_left_out_as_measured_may_decide():
    assert row_of([1.0] * 8 + [math.nan] * 8)["p_for"] == pytest.approx(1 / 256)
    assert math.isnan(row_of([1.0] * 8 + [math.nan] * 9)["p_for"])


def test_no_effect_is_around_the_threshold():
    row = row_of([4.9, 5.1] * 4, threshold=5, negligible=0.2, negligible_because="b")
    assert row["p_negligible"] == pytest.approx(1 / 256)


def test_how_many_tests_a_claim_takes():
    small = {"negligible": 1.0, "negligible_because": "b"}
    assert [claim([], **small).tests, claim([]).tests] == [3, 2]
    within = {"side": "within", "threshold": 1.0}
    assert [claim([], **within, **small).tests, claim([], **within).tests] == [4, 3]
    assert [claim([], test=test).tests for test in ("every", "check")] == [0, 0]


def test_the_share_of_false_verdicts_decides_nothing():
    """Six claims with p = 697 / 2^16: 0.02 by Benjamini and Hochberg's method, 0.13 by Holm's."""
    claims = [claim([1.0] * 13 + [-1.0] * 3, name=f"c{i}") for i in range(6)]
    table = judge(claims, {"t": pd.DataFrame()}, tests=12)
    assert (table["bh_for"] < 0.05).all()
    assert set(table["verdict"]) == {"not decided"}


@pytest.mark.parametrize(("half", "why"), [(1.18, "not converged"), (1.08, "")])
def test_a_limit_that_covered_a_tenth_of_the_way_may_arrive(half, why):
    """From `half` to 1 in the second half of training, where 0 is claimed."""

    rows = ending([0] * 16).assign(stable_rank=1.0)
    middle = rows[rows["epoch"] == 0].assign(epoch=20, rho=half)
    table = pd.concat([rows.assign(rho=1.0), middle])
    limit = Claim(
        *("c", "p", "s", "q", "<", 0.0, "b"), lambda t: select.at_end(t, "rho"), limit=True
    )
    row = judge([limit], {"t": table}).loc[0]
    assert (row["half"], row["median"], row["why"]) == (half, 1, why)
    assert row["verdict"] == ("not decided" if why else "contradicted")


@pytest.mark.parametrize(
    ("half", "end", "moves"),
    [
        (-1.0, -0.95, False),  # on the wrong side, not a tenth of the way
        (-1.0, -0.85, True),
        (-1.0, -1.5, False),
        (math.nan, -1.0, True),  # not known
        (1.0, 0.95, False),  # on the claimed side, by the same measure
        (1.0, 0.85, True),
        (0.1, 1.0, False),
        (math.nan, 1.0, True),
    ],
)
def test_whether_a_limit_still_moves(half, end, moves):
    """The distance from the threshold at half of training and at the end; claimed is above it."""
    assert moving(claim([]), half, end) == moves
    assert moving(claim([], side="<"), -half, -end) == moves
    within = claim([], side="within", threshold=2.0)
    assert moving(within, 2 - half, 2 - end) == moves
    assert moving(within, half - 2, end - 2) == moves


def test_what_is_measured_names_the_premise():
    assert claim([], premise="zero training error").measured == "q; only with zero training error"
    assert claim([]).measured == "q"
