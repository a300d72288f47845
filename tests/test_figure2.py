"""Figure 2: the loss along an arc between two solutions, and how high its valley comes."""

import math

import numpy as np
import pandas as pd
import pytest
from made_runs import arc
from read_figures import assert_labelled, line, title, words

from squareloss.figures import figure2


def test_figure2_loss_and_equilibrium():
    arcs = pd.concat([arc(0.0), arc(0.001)])
    figure = figure2.draw(arcs, "made up")
    assert_labelled(figure)
    left, right = figure.axes[:2]
    assert "0.001" in left.get_title("left")
    assert "= 0," in right.get_title("left")
    for ax, one in ((left, arc(0.001)), (right, arc(0.0))):
        expected = np.where(one["mu"] > 0, one["mu"] / (one["M"] + one["lambda_eff"]), np.nan)
        np.testing.assert_allclose(line(ax), expected)
        np.testing.assert_array_equal(line(ax, 1), [480, 390])
        assert ax.get_ylim() == pytest.approx((390 / 30, 480 * 10))
    mesh = left.collections[0]
    low, high = 390 / 30, 480 * 10
    rho = np.geomspace(low, high, mesh.get_array().shape[0])
    one = arc(0.001).iloc[0]
    loss = 1 - 2 * rho * one["mu"] + rho**2 * (one["M"] + one["lambda_eff"])
    np.testing.assert_allclose(mesh.get_array()[:, 0], np.clip(loss, 1e-3, 2))
    assert "speculative" in words(figure)


def test_figure2s_panels_have_one_axis_of_rho():
    far = arc(0.0).assign(rho_trained=lambda t: 4 * t["rho_trained"])
    figure = figure2.draw(pd.concat([far, arc(0.001)]))
    left, right = figure.axes[:2]
    assert left.get_ylim() == right.get_ylim() == pytest.approx((390 / 30, 4 * 480 * 10))
    assert left.get_legend().get_texts()


def test_figure2s_table_says_how_high_the_valley_comes():
    table = figure2.tabulate(pd.concat([arc(0.0), arc(0.001)])).numbers
    assert table["weight_decay"].tolist() == [0.001, 0.0]
    for i, one in enumerate((arc(0.001), arc(0.0))):
        rho = np.linspace(0, 5000, 500_001)[:, None]
        mu, M, lam = (one[name].to_numpy() for name in ("mu", "M", "lambda_eff"))
        least = (1 - 2 * rho * mu + rho**2 * (M + lam)).min(0)
        assert table["highest"][i] == pytest.approx(least.max())
        assert table["highest_at"][i] == one["angle"].iloc[least.argmax()] == 30
        assert table.loc[i, ["rho_first", "rho_other", "angle"]].tolist() == [480, 390, 60]


def test_figure2_without_solutions():
    lost = arc().assign(mu=np.nan, M=np.nan, rho_trained=np.nan)
    assert "diverged" in words(figure2.draw(lost))
    assert math.isnan(figure2.tabulate(lost).numbers["highest"][0])


def test_figure2_draws_the_first_two_replicates():
    later = arc().assign(replicate=1, other=2, rho_trained=lambda a: a["rho_trained"] * 3)
    for table in (pd.concat([arc(), later]), pd.concat([later, arc()])):
        ax = figure2.draw(table).axes[0]
        np.testing.assert_array_equal(line(ax, 1), [480, 390])
        np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0, 60])
        assert "replicates 0 and 1" in title(ax)
    mesh = ax.collections[0]
    assert mesh.get_array().shape[1] == len(arc())
