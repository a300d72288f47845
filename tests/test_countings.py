"""The second counting of rho in figures: axes, rows and marks, against numbers worked out here.

Made-up runs get the columns of the convolutions with a product of the dense layers' norms that is
known: rho over it is rho of the convolutions.
"""

import math

import numpy as np
import pandas as pd
import pytest
from made_runs import EPOCHS, margins_of, run, runs
from matplotlib.colors import same_color
from read_figures import assert_labelled, finals, words

from squareloss.claims.regression import regress
from squareloss.errors import UserError
from squareloss.figures import (
    countings,
    figure3,
    figure5,
    figure8,
    figure10,
    figure_numbers,
    figure_size,
    generalization,
    style,
)
from squareloss.pages.explorer import PAPER

DENSE = {0.9: 12.0, 1.0: 15.0, 1.3: 25.0}


def with_convolutions(table, dense=None):
    """The columns that an aggregate has besides; the start gives the dense layers' norms."""
    norms = dense if dense is not None else table["init_scale"].map(DENSE)
    rho = table["rho"] / norms
    return table.assign(
        rho_convolutions=rho,
        mean_margin_convolutions=table["mean_margin"] * norms,
        margin_sd_convolutions=table["margin_sd"] * norms,
        mean_difference_convolutions=2 * table["mean_margin"] * norms,
        difference_sd_convolutions=2 * table["margin_sd"] * norms,
        eq16_printed_convolutions=table["eq16_printed"] / norms,
        eq16_eq12_convolutions=table["eq16_eq12"] / norms,
    )


def at_own_size(table):
    return table.assign(n_train=10_000)


def second(ax):
    """The second axis of a panel: a function from values of the first axis to its own."""
    [child] = ax.child_axes
    forward, _ = child._functions
    return child, forward


def test_a_table_without_the_columns_or_values_is_not_known():
    table = run(0)
    assert not countings.known(table)
    assert not countings.known(with_convolutions(table, np.nan))
    assert math.isnan(countings.dense_norms(table))
    assert countings.known(with_convolutions(table))


def test_dense_norms_are_the_median_of_runs_that_differ_little():
    table = with_convolutions(run(0), 1.0)
    share = table["replicate"].map({0: 12.0, 1: 12.2, 2: 12.9})
    assert countings.dense_norms(with_convolutions(run(0), share)) == pytest.approx(12.2)
    moving = table["epoch"].map(lambda epoch: 12.0 + epoch)  # as without frozen norms
    assert math.isnan(countings.dense_norms(with_convolutions(run(0), moving)))


@pytest.mark.parametrize(
    ("changed", "own"),
    [({}, True), ({"n_train": 1000}, False), ({"width": 0.5}, False), ({"network": "mlp"}, False)],
)
def test_the_papers_own_size_is_its_network_width_and_images(changed, own):
    assert countings.own_size(at_own_size(run(0)).assign(**changed)) is own


def test_figure3_has_a_panel_of_the_convolutions_and_the_papers_rho_at_its_size():
    table = with_convolutions(runs(decay=[0.001, 0.0], init=[0.9, 1.3]))
    for shown in (table, at_own_size(table)):
        figure = figure3.draw(shown)
        assert_labelled(figure)
        alone = figure.axes[1]
        assert alone.get_ylabel() == countings.AXIS
        curves = {a.get_label(): a for a in alone.lines}
        case = table[(table["weight_decay"] == 0.001) & (table["init_scale"] == 1.3)]
        middle = case.groupby("epoch")["rho"].median() / DENSE[1.3]
        drawn = curves[r"init 1.3, $\lambda$ = 0.001"].get_ydata()
        np.testing.assert_allclose(drawn, middle)
        dotted = [a.get_ydata()[0] for a in alone.lines if a.get_linestyle() == ":"]
        assert dotted == ([] if shown is table else [500])
        assert ("the paper" in words(figure)) == (shown is not table)


def test_figure3_of_an_older_table_has_one_counting():
    figure = figure3.draw(runs(decay=[0.001, 0.0], init=[0.9, 1.3]))
    assert len(figure.axes) == 3
    assert "onvolutions" not in words(figure)


def test_figure8s_top_axis_is_the_difference_over_rho_of_the_convolutions():
    table = at_own_size(with_convolutions(run(0)))
    margins = margins_of(0).assign(n_train=10_000)
    figure = figure8.draw(table, margins)
    assert_labelled(figure)
    left, closer, right = figure.axes
    for ax in (left, closer):
        _, forward = second(ax)
        assert forward(1e-3) == pytest.approx(2 * 1e-3 * DENSE[0.9])
    _, forward = second(right)
    assert forward(600.0) == pytest.approx(600 / DENSE[0.9])
    [paper] = [a.get_xdata()[0] for a in left.lines if a.get_linestyle() == "--"]
    assert paper * 2 * DENSE[0.9] == pytest.approx(0.005)
    assert left.get_xlim()[0] < paper < left.get_xlim()[1]
    assert [a.get_ydata()[0] for a in right.lines if a.get_linestyle() == "--"] == [500 * 12]
    small = figure8.draw(with_convolutions(run(0)), margins_of(0))
    assert "the paper: 0.005" in words(figure)
    assert "the paper: 0.005" not in words(small)


def test_figure8_of_more_classes_has_no_difference():
    figure = figure8.draw(with_convolutions(run(0, classes=10)), margins_of(0))
    assert not any(ax.child_axes for ax in figure.axes)


def test_figure10s_second_line_is_the_authors_margin():
    table = with_convolutions(runs(decay=[0.001, 0.0], init=[0.9, 1.3]))
    parts = [
        margins_of(i, decay=decay, init=init)
        for i, (decay, init) in enumerate((d, s) for d in (0.001, 0.0) for s in (0.9, 1.3))
    ]
    figure = figure10.draw(table, pd.concat([figure10.keep(part, table) for part in parts]))
    for ax, (decay, init) in zip(
        figure.axes, [(0.001, 0.9), (0.0, 0.9), (0.001, 1.3), (0.0, 1.3)], strict=True
    ):
        last = finals(table, weight_decay=decay, init_scale=init)
        mean = 2 * DENSE[init] * last["mean_margin"].median()
        sd = 2 * DENSE[init] * last["margin_sd"].median()
        text = ax.texts[0].get_text().splitlines()[1]
        assert text == (
            f"convolutions alone, $f_1 - f_2$: mean {style.power(mean)},  sd {style.power(sd)}"
        )


def test_figure5_has_a_row_for_each_counting_and_the_paper_at_its_own():
    table = with_convolutions(runs(decay=[0.001, 0.0], init=[0.9, 1.0, 1.3]))
    figure = figure5.draw(table)
    assert_labelled(figure)
    numbers = figure5.tabulate(table).numbers.set_index(["weight_decay", "source"])
    axes = np.array(figure.axes).reshape(2, 2)
    for row, (counting, source) in enumerate(figure5.OURS.items()):
        for column, decay in enumerate((0.001, 0.0)):
            rows = finals(table, weight_decay=decay)
            rho = rows["rho"] / (rows["init_scale"].map(DENSE) if row else 1)
            rows = rows.assign(x=1 / rho, y=1 - rows["test_error"])
            means = rows.groupby("init_scale")[["x", "y"]].mean()
            line = regress(means["x"], means["y"])
            found = numbers.loc[(decay, source)]
            assert found["slope"] == pytest.approx(line.slope)
            assert found["r_squared"] == pytest.approx(line.r_squared)
            ax = axes[row, column]
            squares = [artist for artist in ax.lines if artist.get_marker() == "s"]
            places = sorted(square.get_xdata()[0] for square in squares)
            assert places == pytest.approx(sorted(means["x"]))
            assert ax.get_xlabel() == figure5.AXES[counting]
            text = "\n".join(t.get_text() for t in ax.texts)
            assert ("paper" in text) == bool(row)
    assert numbers.loc[(0.001, "paper"), "slope"] == -18.968


def test_generalization_shows_the_bound_at_rho_of_the_convolutions():
    table = runs(init=[0.9, 1.3], n=[250, 1000]).astype({"n_train": int})
    table = with_convolutions(table)
    figure = generalization.draw(table)
    assert_labelled(figure)
    numbers = generalization.tabulate(table).numbers
    last = finals(table)
    for row in numbers.to_dict("records"):
        same = last[(last["init_scale"] == row["init_scale"]) & (last["n_train"] == row["n_train"])]
        rho = same["rho"] / DENSE[row["init_scale"]]
        assert row["rho_convolutions_median"] == pytest.approx(rho.median())
        bound = same["eq16_printed"] / DENSE[row["init_scale"]]
        assert row["eq16_printed_convolutions_median"] == pytest.approx(bound.median())
    drawn = [a for a in figure.axes[2].lines if a.get_marker() == "."]
    ratios = np.concatenate([a.get_ydata() for a in drawn])
    one = generalization.outcomes(table)
    gap = one["test_error"] - one["train_error"]
    expected = pd.concat([one[name] / gap for name in generalization.BOUNDS[1:]])[gap > 0]
    np.testing.assert_allclose(sorted(ratios[np.isfinite(ratios)]), sorted(expected[expected > 0]))


def marks(ax, y, filled, marker):
    """Where the large marks of a kind stand in a row."""
    return [
        a.get_xdata()[0]
        for a in ax.lines
        if a.get_markersize() == 6
        and a.get_ydata()[0] == y
        and a.get_marker() == marker
        and same_color(a.get_markerfacecolor(), style.BLUE if filled else "white")
    ]


def test_numbers_are_drawn_in_both_countings_beside_the_papers():
    table = at_own_size(with_convolutions(runs(decay=[0.0, 0.001], init=[0.9, 1.3])))
    figure = figure_numbers.draw(table)
    order = [(0.001, 0.9), (0.001, 1.3), (0.0, 0.9), (0.0, 1.3)]
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == [rf"$\lambda$ = {decay:g}, init {init:g}" for decay, init in order]
    columns = ["rho", "mean_margin", "margin_sd", "eq16_printed"]
    for ax, column in zip(figure.axes, columns, strict=True):
        up = -1 if column in ("rho", "eq16_printed") else 1
        for y, (decay, init) in enumerate(order):
            middle = finals(table, weight_decay=decay, init_scale=init)[column].median()
            dense = DENSE[init] ** up
            assert marks(ax, y, False, "o") == [pytest.approx(middle)]
            assert marks(ax, y, True, "o") == [pytest.approx(middle * dense)]
            doubled = [pytest.approx(2 * middle * dense)] if up == 1 else []
            assert marks(ax, y, True, "D") == doubled
    red = [[a.get_xdata()[0] for a in ax.lines if a.get_color() == style.RED] for ax in figure.axes]
    assert red == [[500], [0.002, 0.005], [1e-4], [10]]


def test_the_papers_numbers_are_not_drawn_at_another_size():
    figure = figure_numbers.draw(with_convolutions(runs(decay=[0.001], init=[0.9, 1.3])))
    assert not [a for ax in figure.axes for a in ax.lines if a.get_color() == style.RED]
    assert "own size only" in words(figure)


def test_numbers_of_several_recipes_are_named_and_of_a_lost_run_missing():
    parts = [run(0), run(1, recipe="authors"), run(2, decay=0.0, diverged=[0, 1, 2])]
    table = with_convolutions(pd.concat(parts, ignore_index=True))
    figure = figure_numbers.draw(table)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert [label.partition(",")[0] for label in labels] == ["cnn6", "cnn6", "authors"]
    assert not marks(figure.axes[0], 1, False, "o")
    assert "3 of 3" in words(figure)
    with pytest.raises(UserError, match="n_train"):
        figure_numbers.draw(pd.concat([table, run(3, n=10)]))


def test_numbers_of_one_replicate_have_no_median_and_what_does_not_fit_is_grey():
    assert "medians" not in words(figure_numbers.draw(with_convolutions(run(0, replicates=1))))
    table = with_convolutions(run(0))
    table.loc[table["replicate"] == 1, "train_error"] = 0.5
    figure = figure_numbers.draw(table)
    assert "medians" in words(figure)
    assert "did not fit (training error 0.05 or more): λ = 0.001, init = 0.9: 1 of 3" in words(
        figure
    )
    last = finals(table)
    middle = last.loc[last["replicate"] != 1, "rho"].median()
    assert marks(figure.axes[0], 0, False, "o") == [pytest.approx(middle)]
    grey = [a for a in figure.axes[0].lines if a.get_color() == style.GREY]
    assert last.loc[last["replicate"] == 1, "rho"].item() in [a.get_xdata()[0] for a in grey]
    made = figure_numbers.tabulate(table).numbers.set_index("counts")
    assert made.loc["layers", "rho_median"] == pytest.approx(middle)


def test_the_table_of_numbers_has_a_row_for_each_counting(tmp_path):
    table = with_convolutions(pd.concat([run(0), run(1, decay=0.0, diverged=[1])]))
    style.save_table(figure_numbers.tabulate(table), str(tmp_path / "t"))
    numbers = pd.read_csv(tmp_path / "t.csv").set_index(["weight_decay", "counts"])
    rows = finals(table, weight_decay=0.001)
    assert numbers.loc[(0.001, "layers"), "rho_median"] == pytest.approx(rows["rho"].median())
    convolutions = numbers.loc[(0.001, "convolutions")]
    assert convolutions["rho_largest"] == pytest.approx(rows["rho"].max() / 12)
    assert convolutions["margin_sd_least"] == pytest.approx(rows["margin_sd"].min() * 12)
    difference = numbers.loc[(0.001, "difference")]
    assert difference["mean_margin_median"] == pytest.approx(24 * rows["mean_margin"].median())
    assert math.isnan(difference["rho_median"])
    assert numbers.loc[(0.0, "layers"), "replicates"] == 2
    text = (tmp_path / "t.md").read_text()
    assert "in the order of 500" in text
    older = figure_numbers.tabulate(run(0)).numbers
    assert older["counts"].tolist() == ["layers"]


def test_sizes_have_the_convolutions_panels_where_the_paper_stands():
    table = pd.concat([with_convolutions(run(0)), with_convolutions(run(1, width=0.5))])
    figure = figure_size.draw(table)
    assert len(figure.axes) == len(figure_size.PANELS) == 11
    printed = {
        ax.get_title(loc="left"): ax.lines[0].get_ydata()[0]
        for ax in figure.axes
        if ax.lines[0].get_linestyle() == ":"
    }
    assert list(printed.values()) == [500, 0.005, 1e-4]
    assert all("convolutions" in title for title in printed)
    assert table["epoch"].max() == EPOCHS


@pytest.mark.parametrize(
    ("value", "inside"),
    [(160, True), (157, False), (1580, True), (1590, False), (-500, False)],
)
def test_the_order_of_a_number_is_half_a_power_of_ten_either_way(value, inside):
    assert countings.in_order_of(500, value) is inside


def test_the_papers_values_in_the_explorer_are_those_of_the_figures():
    assert PAPER["rho"] == [countings.RHO]
    assert PAPER["inverse_rho"] == [1 / countings.RHO]
    assert tuple(PAPER["mean_margin"]) == countings.MARGINS
    assert PAPER["margin_sd"] == [countings.SPREAD]
    both = {"rho": "rho", "inverse_rho": "inverse_rho", "mean_margin": "mean_difference"}
    for ours, authors in (both | {"margin_sd": "difference_sd"}).items():
        assert PAPER[f"{authors}_convolutions"] == PAPER[ours]
