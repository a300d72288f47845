"""The corrections for many tests, and which tests of a row they take, by hand."""

import numpy as np
import pandas as pd
import pytest

from squareloss.claims.claim import Claim
from squareloss.claims.statistics import benjamini_hochberg, holm
from squareloss.claims.verdict import judge

P = np.array([0.01, 0.04, 0.03])


def test_holm_by_hand():
    """The least p takes all tests, the next one less, and none falls below the one before."""
    assert holm(P, 3) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(P, 5) == pytest.approx([0.05, 0.12, 0.12])
    assert holm(np.array([0.6, 0.02, 0.9]), 3) == pytest.approx([1, 0.06, 1])


def test_benjamini_hochberg_by_hand():
    """The k-th least p takes tests / k, and none rises above the one after."""
    assert benjamini_hochberg(P, 3) == pytest.approx([0.03, 0.04, 0.04])
    assert benjamini_hochberg(P, 5) == pytest.approx([0.05, 0.2 / 3, 0.2 / 3])
    assert benjamini_hochberg(np.array([0.6, 0.02, 0.9]), 5) == pytest.approx([1, 0.1, 1])


def claim(above):
    """A claim that holds in so many of 16 replicates."""
    values = pd.Series([1.0] * above + [-1.0] * (16 - above))
    return Claim(f"c{above}", "p", "s", "q", ">", 0.0, "b", lambda t: values)


def test_each_test_of_a_table_is_corrected_where_it_stands():
    """Of 2^16 courses of a coin 17 have 15 heads or more, 137 have 14 and 697 have 13."""
    table = judge([claim(14), claim(15), claim(13)], {"t": pd.DataFrame()}, tests=20)
    courses = 2**16 * table[["p_for", "holm_for", "bh_for"]]
    assert courses["p_for"].tolist() == pytest.approx([137, 17, 697])
    assert courses["holm_for"].tolist() == pytest.approx([19 * 137, 20 * 17, 18 * 697])
    assert courses["bh_for"].tolist() == pytest.approx([20 / 2 * 137, 20 * 17, 20 / 3 * 697])
    assert table["holm_against"].tolist() == table["bh_against"].tolist() == [1, 1, 1]
    assert table[["p_negligible", "holm_negligible", "bh_negligible"]].isna().all(axis=None)
