"""Figures 3 to 5: every start, lambda and share of random labels at its place."""

import numpy as np
import pandas as pd
import pytest
from made_runs import run, runs
from read_figures import assert_labelled, finals, pairs, title, words

from squareloss.figures import figure3, figure4, figure5, style


def test_figure3_has_all_starts_on_one_axis_of_rho():
    table = runs(decay=[0.0, 0.001], init=[0.9, 1.0, 1.3])
    figure = figure3.draw(table, "made up")
    assert_labelled(figure)
    rho, loss, error = figure.axes
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "log", "linear"]
    dashes = {0.001: "-", 0.0: "--"}
    for ax, column in ((rho, "rho"), (loss, "train_loss"), (error, "test_error")):
        curves = {a.get_label(): a for a in ax.lines if not a.get_label().startswith("_")}
        assert len(curves) == 4
        for init in (0.9, 1.3):
            for decay, dash in dashes.items():
                drawn = curves[rf"init {init:g}, $\lambda$ = {decay:g}"]
                case = table[(table["weight_decay"] == decay) & (table["init_scale"] == init)]
                middle = case.groupby("epoch")[column].median()
                np.testing.assert_allclose(drawn.get_ydata(), middle)
                assert (drawn.get_linestyle(), drawn.get_color()) == (dash, style.NAMED[init])
    low, high = rho.get_ylim()
    values = table[table["init_scale"] != 1.0].groupby(["init_scale", "weight_decay", "epoch"])
    assert low <= values["rho"].median().min() < values["rho"].median().max() <= high
    assert "3 replicates" in words(figure)


def test_a_start_has_one_colour_in_every_figure(table5):
    accuracy = figure5.draw(table5).axes[0]
    squares = {a.get_label(): a.get_color() for a in accuracy.lines if a.get_marker() == "s"}
    assert squares["init 0.9"] == style.NAMED[0.9]
    assert squares["init 1.3"] == style.NAMED[1.3]
    assert len(set(squares.values())) == len(squares)


def test_figure4_medians_quartiles_and_lost_groups():
    table = pd.concat(
        [run(0, noise=0.0), run(1, noise=0.4, diverged=[1]), run(2, noise=1.0, diverged=[0, 1, 2])]
    )
    figure = figure4.draw(table)
    assert_labelled(figure)
    for ax, value in zip(figure.axes, ["1/rho", "test_error"], strict=True):
        (bars,) = ax.containers
        rows = [finals(table, label_noise=r) for r in (0.0, 0.4)]
        values = [1 / r["rho"] if value == "1/rho" else r["test_error"] for r in rows]
        np.testing.assert_allclose(
            np.asarray(bars[0].get_ydata(), float), [np.nanmedian(v) for v in values]
        )
        ends = [segment[:, 1] for segment in bars[2][0].get_segments()]
        np.testing.assert_allclose(ends, [np.nanquantile(v, [0.25, 0.75]) for v in values])
    text = words(figure)
    assert "all diverged" in text
    assert "r = 0.4: 1 of 3; r = 1: 3 of 3" in text


@pytest.fixture
def table5():
    left, right = runs(init=[0.9, 1.0, 1.2, 1.3]), runs(init=[0.8, 0.9, 1.0, 1.3, 1.5])
    return pd.concat([left, right.assign(weight_decay=0.0)])


def regression_by_hand(table, decay):
    rows = finals(table, weight_decay=decay).assign(x=lambda f: 1 / f["rho"])
    means = rows.groupby("init_scale")[["x", "test_error"]].mean()
    x, y = means["x"].to_numpy(), 1 - means["test_error"].to_numpy()
    return x, y, np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1] ** 2


def test_figure5_points_line_and_the_papers_numbers(table5):
    figure = figure5.draw(table5)
    assert_labelled(figure)
    printed = {0.001: ("0.94", "0.031", "-18.968"), 0.0: ("0.004", "0.92", "-2.915")}
    for ax, (decay, paper) in zip(figure.axes, printed.items(), strict=True):
        x, y, slope, r_squared = regression_by_hand(table5, decay)
        squares = [a for a in ax.lines if a.get_marker() == "s" and len(a.get_xdata())]
        assert sorted(s.get_xdata()[0] for s in squares) == pytest.approx(sorted(x))
        assert sorted(s.get_ydata()[0] for s in squares) == pytest.approx(sorted(y))
        drawn = ax.lines[-1]
        assert np.diff(drawn.get_ydata()) / np.diff(drawn.get_xdata()) == pytest.approx(slope)
        text = "\n".join(t.get_text() for t in ax.texts)
        ours, theirs = text.splitlines()[-2:]
        assert theirs.split() == ["paper", *paper, str(len(x))]
        assert float(ours.split()[1]) == pytest.approx(r_squared, abs=6e-4)
        assert ours.split()[3] == f"{slope:#.3g}".rstrip(".")
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim()
    assert "Three means leave one degree of freedom" not in words(figure)
    [legend] = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    starts = [f"init {init:g}" for init in (0.8, 0.9, 1, 1.2, 1.3, 1.5)]  # of both panels
    assert [text.get_text() for text in legend.get_texts()] == starts
    three = table5[table5["init_scale"].isin([0.9, 1.0, 1.3])]
    assert "Three means leave one degree of freedom" in words(figure5.draw(three))


def test_figure5_has_single_replicates_apart_from_those_that_do_not_fit(table5):
    lost = (table5["replicate"] == 1) & (table5["init_scale"] == 0.9)
    table5.loc[lost, "train_error"] = 0.5
    figure = figure5.draw(table5)
    for ax, decay in zip(figure.axes, (0.001, 0.0), strict=True):
        dots = [artist for artist in ax.lines if artist.get_marker() == "."]
        shown = {True: [], False: []}
        for artist in dots:
            shown[artist.get_color() == style.GREY] += list(artist.get_ydata())
        rows = finals(table5, weight_decay=decay)
        grey = rows["train_error"] > 0
        assert grey.sum() == 1
        np.testing.assert_allclose(sorted(shown[True]), sorted(1 - rows["test_error"][grey]))
        np.testing.assert_allclose(sorted(shown[False]), sorted(1 - rows["test_error"][~grey]))
        assert not ax.containers  # bars would be drawn over them
    assert "λ = 0.001, init = 0.9: 1 of 3" in words(figure)


def test_figure5_table(table5, tmp_path):
    style.save_table(figure5.tabulate(table5), str(tmp_path / "t"))
    numbers = pd.read_csv(tmp_path / "t.csv").set_index(["weight_decay", "source"])
    for decay in (0.001, 0.0):
        *_, slope, r_squared = regression_by_hand(table5, decay)
        ours = numbers.loc[(decay, "this study")]
        assert ours[["slope", "r_squared"]].tolist() == pytest.approx([slope, r_squared])
    assert numbers.loc[(0.001, "paper"), "p_value"] == 0.031
    assert numbers.loc[(0.0, "paper"), "slope"] == -2.915
    assert "| 0 | paper | 0.004 | 0.92 | -2.915 | 5 |" in (tmp_path / "t.md").read_text()
    assert r"-18.968 & 4 \\" in (tmp_path / "t.tex").read_text()
    slope = f"{numbers.loc[(0.0, 'this study'), 'slope']:#.3g}".rstrip(".")
    assert f"{slope} & 5" in (tmp_path / "t.tex").read_text()


def test_figure5_too_few_points():
    table = pd.concat([run(0), run(1, init=1.3, diverged=[0, 1, 2])])
    assert "n/a" in words(figure5.draw(table))


def test_figure4_draws_every_replicate_at_its_share():
    table = pd.concat([run(0, noise=0.0), run(1, noise=0.4)])
    last = finals(table)
    for ax, values in zip(
        figure4.draw(table).axes, (1 / last["rho"], last["test_error"]), strict=True
    ):
        dots = next(artist for artist in ax.lines if artist.get_marker() == ".")
        assert pairs(*dots.get_data()) == pairs(last["label_noise"], values)
        bars = ax.containers[0]
        assert bars[0].get_xdata().tolist() == [0.0, 0.4]


def test_figure5_has_the_mean_and_dots_of_each_start():
    table = runs(decay=[0.001, 0.0], init=[0.9, 1.0, 1.3])
    table["test_error"] *= 0.3  # whose spread is not that of 1 / rho
    figure = figure5.draw(table)
    for ax, decay in zip(figure.axes, (0.001, 0.0), strict=True):
        assert f"= {decay:g}" in title(ax)
        squares = [artist for artist in ax.lines if artist.get_marker() == "s"]
        assert len(squares) == 3
        for square in squares:
            init = float(square.get_label().removeprefix("init "))
            rows = finals(table, weight_decay=decay, init_scale=init)
            x, y = 1 / rows["rho"], 1 - rows["test_error"]
            place = square.get_xdata()[0], square.get_ydata()[0]
            assert place == pytest.approx((x.mean(), y.mean()))
            dots = [
                artist
                for artist in ax.lines
                if artist.get_marker() == "." and artist.get_color() == square.get_color()
            ]
            assert pairs(*dots[0].get_data()) == pairs(x, y)
