"""Figures of runs in which replicates do not fit, as in a study that is too short."""

import importlib

import matplotlib.colors
import numpy as np
import pytest
from made_runs import run, runs
from read_figures import words

from squareloss.figures import (
    figure4,
    figure5,
    figure9,
    figure_lowrank,
    figure_readings_rank,
    style,
)
from squareloss.source import catalog

# What draws courses or ends of replicates, and not bounds, which hold for those that fit alone.
OF_ONE_TABLE = [name for name, about in catalog.figures().items() if about.reads == ("table",)]


def unfitted(table):
    return table.assign(train_error=table["train_error"].clip(lower=0.3))


@pytest.mark.parametrize("name", OF_ONE_TABLE)
def test_every_figure_draws_a_run_that_does_not_fit(name):
    module = importlib.import_module(f"squareloss.figures.{name}")
    table = unfitted(run(0))
    assert "made up" in words(module.draw(table, "made up"))
    if hasattr(module, "tabulate"):
        module.tabulate(table)


def test_figure9_shows_grey_courses_where_no_replicate_fits():
    figure = figure9.draw(unfitted(run(0)))
    for ax in figure.axes:
        assert ax.lines
        assert {artist.get_color() for artist in ax.lines} == {style.GREY}
    assert "did not fit (training error 0.05 or more): 3 of 3" in words(figure)
    made = figure9.tabulate(unfitted(run(0)))
    assert made.text[["fitted", "NC1"]].to_numpy().tolist() == [["0 of 3", "n/a"]]


def test_figure4_does_not_take_what_did_not_fit_for_diverged():
    table = runs(noise=[0.0, 0.4])
    table.loc[table["label_noise"] == 0.4, "train_error"] = 0.3
    figure = figure4.draw(table)
    assert "diverged" not in words(figure)
    for ax in figure.axes:
        grey = [a for a in ax.lines if matplotlib.colors.same_color(a.get_color(), style.GREY)]
        assert {x for artist in grey for x in artist.get_xdata()} == {0.4}
        [bars] = ax.containers
        assert list(bars[0].get_xdata()) == [0.0]


def test_figure5s_means_and_line_are_of_those_that_fit():
    table = runs(decay=[0.001], init=[0.9, 1.0, 1.3])
    table.loc[(table["init_scale"] == 1.0) & (table["replicate"] == 2), "train_error"] = 0.3
    table.loc[table["init_scale"] == 1.3, "train_error"] = 0.3
    points = figure5.points(table)
    means = figure5.per_init(points)
    fitting = points[(points["init_scale"] == 1.0) & (points["replicate"] != 2)]
    assert list(means.index) == [0.9, 1.0]
    assert means.loc[1.0].tolist() == pytest.approx(
        [(1 / fitting["rho"]).mean(), 1 - fitting["test_error"].mean()]
    )
    figure = figure5.draw(table)
    assert "squares: means of those that fit" in words(figure)
    ax = figure.axes[0]
    squares = [artist for artist in ax.lines if artist.get_marker() == "s"]
    assert [artist.get_label() for artist in squares] == ["init 0.9", "init 1"]


@pytest.mark.parametrize("module", [figure_lowrank, figure_readings_rank])
def test_ranks_of_what_did_not_fit_are_grey_and_in_no_median(module):
    table = runs(decay=[0.0, 0.001])
    table.loc[table["replicate"] == 2, "train_error"] = 0.3
    ax = module.draw(table).axes[-1 if module is figure_lowrank else 0]
    axis = "get_ydata" if module is figure_lowrank else "get_xdata"
    last = table[table["epoch"] == table["epoch"].max()]
    grey = [a for a in ax.lines if a.get_color() == style.GREY and len(a.get_xdata())]
    found = {float(value) for artist in grey for value in getattr(artist, axis)()}
    lost = last[last["replicate"] == 2]["rank_1e-3"]
    assert found >= set(lost)
    good = last[last["replicate"] < 2].groupby("weight_decay")["rank_1e-3"]
    drawn = [
        value
        for artist in ax.lines
        if artist.get_marker() == "o"
        for value in np.asarray(getattr(artist, axis)(), float)
    ]
    for middle in good.mean():  # of two, the median is the mean
        assert np.isclose(drawn, middle).any()
