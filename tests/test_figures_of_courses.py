"""Figures of statements by epoch: each curve is of its column and run, each run has a curve."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from made_runs import run, runs
from read_figures import line, medians, title, words

from squareloss.errors import UserError
from squareloss.figures import (
    courses,
    figure_loss,
    figure_normalization,
    figure_optimizer,
    figure_randomlabels,
    figure_sgdnoise,
    figure_size,
    figure_unit,
)

ERRORS = {"Training error": "train_error", "Test error": "test_error"}
COMMON = ERRORS | {r"Product norm $\rho$": "rho", "NC1: variability collapse": "nc1"}
LAMBDA = r"$\lambda$"
COURSES = [
    (
        figure_loss,
        COMMON,
        {"square loss": {"loss": "square"}, "cross-entropy": {"loss": "cross_entropy"}},
    ),
    (
        figure_normalization,
        COMMON,
        {
            "weight norm": {"normalization": "wn"},
            "Lagrange multiplier": {"normalization": "lm"},
            "batch norm": {"normalization": "bn"},
            "no normalisation": {"normalization": "none"},
        },
    ),
    (
        figure_randomlabels,
        ERRORS | {"NC1: variability collapse": "nc1", "NC4: nearest class mean": "nc4"},
        {"0% random labels": {"noise": 0.0}, "100% random labels": {"noise": 1.0}},
    ),
    (
        figure_optimizer,
        {
            "Training loss": "train_loss",
            "Test error": "test_error",
            r"Product norm $\rho$": "rho",
            "NC1: variability collapse": "nc1",
        },
        {
            "SGD, batch 128, rate 0.03": {"optimizer": "sgd"},
            "full-batch GD, rate 0.03": {"optimizer": "gd"},
        },
    ),
    (
        figure_sgdnoise,
        {
            "Noise in the weights": "update_norm",
            "Spread of the margins": "margin_spread",
            "Training loss": "train_loss",
        },
        {
            f"SGD, {LAMBDA} = 0.001": {"optimizer": "sgd", "decay": 0.001},
            f"SGD, {LAMBDA} = 0": {"optimizer": "sgd", "decay": 0.0},
            f"full-batch GD, {LAMBDA} = 0.001": {"optimizer": "gd", "decay": 0.001},
            f"full-batch GD, {LAMBDA} = 0": {"optimizer": "gd", "decay": 0.0},
        },
    ),
    (
        figure_unit,
        {r"Product norm $\rho$": "rho", "Quasi-interpolation": "rho_mu", **ERRORS},
        {
            rf"init {init:g}, {LAMBDA} = {decay:g}": {"decay": decay, "init": init}
            for decay in (0.001, 0.0)
            for init in (0.5, 2.0)
        },
    ),
    (
        figure_size,
        {
            r"Product norm $\rho$": "rho",
            "Mean margin": "mean_margin",
            "Spread of the margins": "margin_sd",
            "Training loss": "train_loss",
            "Test error": "test_error",
            "NC1: variability collapse": "nc1",
            "NC3: self-duality": "nc3",
            "Stable rank": "stable_rank",
        },
        {
            rf"width {width:g}, {LAMBDA} = {decay:g}": {"width": width, "decay": decay}
            for width in (1.0, 0.25)
            for decay in (0.001, 0.0)
        },
    ),
]


def test_courses_draw_one_curve_a_run_with_its_values():
    table = runs(decay=[0.0, 0.001], init=[0.5, 2.0]).assign(product=lambda t: t["rho"] * t["mu"])
    panels = (courses.RHO, courses.Panel("product", "Product", "unit"))
    curves = courses.Curves(["weight_decay", "init_scale"], "decay {}, init {}".format)
    figure = courses.draw(table, "made up", panels, curves, "All of them")
    rho = figure.axes[0]
    assert rho.get_yscale() == "log"
    labels = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert len(labels) == 4
    assert "decay 0.001, init 2.0" in labels
    # Dashed without lambda, in the colour of the same start with it.
    dashed, solid = (rho.lines[i] for i in (0, 8))
    assert (dashed.get_linestyle(), solid.get_linestyle()) == ("--", "-")
    assert dashed.get_color() == solid.get_color() != rho.lines[4].get_color()
    # A later curve is thinner, so that one on top of another leaves it visible.
    widths = [rho.lines[i].get_linewidth() for i in (0, 4, 8, 12)]
    assert all(a > b for a, b in pairwise(widths))
    first = table[(table["weight_decay"] == 0) & (table["init_scale"] == 0.5)]
    np.testing.assert_allclose(line(rho, 0), first.groupby("epoch")["rho"].median())
    product = first["product"].groupby(first["epoch"]).median()
    np.testing.assert_allclose(line(figure.axes[1], 0), product)
    assert "made up" in words(figure)


@pytest.mark.parametrize("count", [1, 4, 5, 7])
def test_courses_draw_any_number_of_panels(count):
    curves = courses.Curves(["weight_decay"], "{}".format)
    figure = courses.draw(run(0), "", (courses.RHO,) * count, curves, "All")
    assert len(figure.axes) == count
    assert sum(ax.get_legend() is not None for ax in figure.axes) == 1


def test_courses_of_shares_begin_at_zero():
    table = run(0, replicates=8)
    table["test_error"] -= table["test_error"].min()
    for shift, lowest in ((0.0, 0.0), (-1.0, -1.0)):
        shifted = table.assign(test_error=table["test_error"] + shift)
        curves = courses.Curves(["weight_decay"], "{}".format)
        figure = courses.draw(shifted, "", courses.ERRORS, curves, "Errors")
        bottom = figure.axes[1].get_ylim()[0]
        assert lowest - 0.1 < bottom < lowest + 0.3


@pytest.mark.parametrize(
    ("module", "names", "shown"),
    [
        (figure_sgdnoise, {"optimizer": ["sgd", "gd"], "decay": [0.0, 0.001]}, "full-batch GD"),
        (figure_randomlabels, {"noise": [0.0, 1.0]}, "100% random labels"),
        (
            figure_normalization,
            {"normalization": ["wn", "lm", "bn", "none"]},
            "Lagrange multiplier",
        ),
        (figure_loss, {"loss": ["square", "cross_entropy"]}, "cross-entropy"),
        (figure_optimizer, {"optimizer": ["sgd", "gd"]}, "SGD, batch 128"),
    ],
)
def test_figures_of_statements_name_their_runs(module, names, shown):
    figure = module.draw(runs(**names), "made up")
    assert shown in words(figure)
    assert "Median and quartiles of 3 replicates" in words(figure)
    assert all(ax.lines for ax in figure.axes)


def test_snapshots_are_marked_and_lost_runs_named():
    table = pd.concat([run(0), run(1, normalization="none", diverged=[1])])
    figure = figure_normalization.draw(table)
    markers = {ax.get_title("left"): ax.lines[0].get_marker() for ax in figure.axes}
    assert markers["Test error"] == "" or markers["Test error"] == "None"
    assert markers["NC1: variability collapse"] == "o"
    assert "diverged: normalization = none: 1 of 3" in words(figure)


def test_a_statements_figure_refuses_runs_that_differ_in_more():
    with pytest.raises(UserError, match="n_train"):
        figure_loss.draw(runs(n=[500, 1000]))
    other_network = [run(0), run(1, loss="cross_entropy", network="cnn3")]
    with pytest.raises(UserError, match="one network, but its table has cnn6, cnn3"):
        figure_loss.draw(pd.concat(other_network))
    two_for_one_loss = [run(0), run(1, recipe="b"), run(2, loss="cross_entropy", recipe="c")]
    with pytest.raises(UserError, match="one recipe_name, but its table has cnn6, b"):
        figure_loss.draw(pd.concat(two_for_one_loss))


@pytest.mark.parametrize(
    ("module", "columns", "names"), COURSES, ids=[case[0].__name__[19:] for case in COURSES]
)
def test_curves_are_of_the_column_and_run_that_they_are_named_after(module, columns, names):
    tables = {name: run(i, **point) for i, (name, point) in enumerate(names.items())}
    figure = module.draw(pd.concat(tables.values(), ignore_index=True))
    assert {title(ax).split("\n")[0] for ax in figure.axes} == set(columns)
    [legend] = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    drawn = [text.get_text() for text in legend.get_texts()]
    assert [name for name in drawn if name in names] == drawn
    assert len(drawn) == len(names)
    for ax in figure.axes:
        column = columns[title(ax).split("\n")[0]]
        curves = {artist.get_label(): artist for artist in ax.lines}
        for name, table in tables.items():
            expected = medians(table.assign(rho_mu=table["rho"] * table["mu"]), column)
            np.testing.assert_allclose(curves[name].get_xdata(), expected.index)
            np.testing.assert_allclose(curves[name].get_ydata(), expected)
            dashed = names[name].get("decay") == 0.0
            assert curves[name].get_linestyle() == ("--" if dashed else "-")
