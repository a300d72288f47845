"""The figures of rank: each tolerance, lambda and batch size at its place."""

import numpy as np
import pandas as pd
import pytest
from made_runs import run, runs
from read_figures import bar_ends, finals, pairs, quartiles, words

from squareloss.figures import figure_lowrank, figure_readings_rank


@pytest.mark.filterwarnings("error")
def test_low_rank_is_drawn_against_what_was_varied():
    """Batches at two rates, of which one has three; a rate and a lambda are not varied alone."""
    points = [(4, 0.1), (16, 0.1), (64, 0.1), (4, 0.2), (16, 0.2)]
    table = pd.concat(
        [
            run(0).assign(**{"batch_size": b, "learning_rate": r, "rank_1e-2": b + r})
            for b, r in points
        ]
    )
    figure = figure_lowrank.draw(table)
    batch, rate, decay = figure.axes
    of_batch, of_rate = (
        [
            np.asarray(bars[0].get_ydata(), float)
            for bars in ax.containers
            if "1e-2" in bars.get_label()
        ]
        for ax in (batch, rate)
    )
    np.testing.assert_allclose(of_batch, [[4.1, 16.1, 64.1]])
    np.testing.assert_allclose(of_rate, [[4.1, 4.2], [16.1, 16.2]])
    assert not decay.lines
    assert "not varied by itself" in words(figure)
    assert len(batch.get_legend().get_texts()) == len(figure_lowrank.TOLERANCES)
    assert batch.get_ylim()[0] == 0


def test_ranks_are_of_what_they_can_be_and_lines_on_top_of_each_other_are_seen():
    """The dense network has hidden layers of 100 units, of 50 at half the width."""
    table = pd.concat([run(0, decay=d, network="mlp", recipe="mlp") for d in (0.0, 0.001)])
    table = pd.concat([table, table.assign(batch_size=16)])
    for width, full in ((1.0, 100), (0.5, 50)):
        batch = figure_lowrank.draw(table.assign(width=width)).axes[0]
        assert batch.get_ylabel().startswith(f"rank of {full}:")
        assert batch.get_ylim() == pytest.approx((0, 1.05 * full))
        curves = {bars.get_label(): bars[0] for bars in batch.containers}
        free, decayed = (curves[rf"above 1e-3, $\lambda$ = {d:g}"] for d in (0, 0.001))
        assert free.get_linewidth() < decayed.get_linewidth()
        assert free.get_zorder() > decayed.get_zorder()
    ranks = figure_readings_rank.draw(table.assign(width=0.5)).axes[0]
    assert ranks.get_xlabel() == "rank above 1e-3, of 50"


def test_readings_of_rank_are_rows_in_the_order_of_the_config():
    table = runs(recipe=["mlp10", "ten.classes"], decay=[0.0, 1e-3])
    table.loc[table["recipe_name"] == "ten.classes", "dataset"] = "cifar10"
    figure = figure_readings_rank.draw(table)
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["mlp10", "ten.classes"]
    last = finals(table)
    middle = last.groupby(["weight_decay", "recipe_name"])["rank_1e-3"].median()
    drawn = [artist for artist in ax.lines if artist.get_marker() == "o"]
    for artist, decay in zip(drawn, [0.0, 1e-3], strict=True):
        np.testing.assert_allclose(artist.get_xdata(), middle.loc[decay])
    text = figure_readings_rank.tabulate(table)
    assert text.numbers["rank_1e-3"].tolist() == pytest.approx(middle.swaplevel().sort_index())


def test_ranks_are_drawn_at_their_tolerance_with_their_spread():
    table = pd.concat([run(i).assign(batch_size=b) for i, b in enumerate((4, 16, 64))])
    ax = figure_lowrank.draw(table).axes[0]
    for bars, tolerance in zip(ax.containers, ("1e-3", "1e-2", "4e-2"), strict=True):
        assert bars.get_label() == f"above {tolerance}"
        groups = finals(table).groupby("batch_size")[f"rank_{tolerance}"]
        np.testing.assert_allclose(np.asarray(bars[0].get_ydata(), float), groups.median())
        np.testing.assert_array_equal(bars[0].get_xdata(), [4, 16, 64])
        np.testing.assert_allclose(bar_ends(bars[2][0], 1), quartiles(groups))


def test_readings_of_rank_are_drawn_for_each_measure_lambda_and_batch():
    parts = [
        run(i, recipe=recipe, decay=decay).assign(batch_size=batch)
        for i, (recipe, decay, batch) in enumerate(
            (r, d, b) for r in ("one", "another") for d in (0.0, 1e-3) for b in (4, 64)
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    made = figure_readings_rank.tabulate(table).numbers
    figure = figure_readings_rank.draw(table)
    for ax, column in zip(figure.axes, figure_readings_rank.COLUMNS, strict=True):
        tolerance = column.removeprefix("rank_")
        words = {"train_error": "training error", "test_error": "test error"}
        assert ax.get_xlabel().startswith(words.get(column, f"rank above {tolerance}"))
        marks = [artist for artist in ax.lines if artist.get_marker() == "o"]
        dots = [artist for artist in ax.lines if artist.get_marker() == "."]
        for i, artist in enumerate(marks):
            decay, batch = ((0.0, 4), (0.0, 64), (1e-3, 4), (1e-3, 64))[i]
            assert artist.get_label() == f"λ = {decay:g}, batch {batch}"
            hollow = artist.get_markerfacecolor() == "none"
            assert hollow == (decay == 0)
            rows = finals(table, weight_decay=decay, batch_size=batch)
            groups = rows.groupby("recipe_name")[column]
            places = dict(zip(groups.groups, artist.get_ydata(), strict=True))
            assert {name: round(y) for name, y in places.items()} == {"one": 0, "another": 1}
            np.testing.assert_allclose(artist.get_xdata(), groups.median())
            x, y = dots[2 * i].get_data()
            row = {"one": 0, "another": 1}
            expected = pairs(rows[column], [row[name] for name in rows["recipe_name"]])
            assert pairs(x, np.round(y)) == expected
            cells = made[(made["weight_decay"] == decay) & (made["batch_size"] == batch)]
            np.testing.assert_allclose(cells[column], groups.median())
