"""Figure 9 and collapse by layer."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from made_runs import EPOCHS, SNAPSHOTS, layer_rows, run
from read_figures import assert_labelled, finals, line, medians, middles, title, words

from squareloss.figures import figure9, figure_layers, style
from squareloss.source import catalog


def test_figure9_curves_skip_epochs_without_snapshot():
    table = run(0, decay=5e-4, diverged=[2])
    figure = figure9.draw(table)
    assert_labelled(figure)
    drawn = {title: ax for ax in figure.axes if (title := ax.get_title(loc="left"))}
    assert len(drawn) == 6
    for title, names in {
        "NC1: variability collapse": ["nc1", "nc1_trace"],
        "NC2: equal norms": ["nc2_equinorm_means", "nc2_equinorm_weights"],
        "NC2: equal angles": ["nc2_angle_means", "nc2_angle_weights"],
        "NC3: self-duality": ["nc3", "nc3_least_squares", "nc3_collapsed"],
        "NC4: nearest class mean": ["nc4"],
    }.items():
        # Medians are drawn with markers, single replicates without.
        medians = [artist for artist in drawn[title].lines if artist.get_marker() != "None"]
        for artist, name in zip(medians, names, strict=True):
            at = table[table["epoch"].isin(SNAPSHOTS) & (table["replicate"] < 2)]
            middle = [np.median(at[at["epoch"] == epoch][name]) for epoch in SNAPSHOTS]
            np.testing.assert_allclose(artist.get_ydata(), middle)
            np.testing.assert_array_equal(artist.get_xdata(), SNAPSHOTS)
    assert drawn["NC1: variability collapse"].get_yscale() == "log"
    norms = [a for a in drawn["NC2: equal norms"].lines if a.get_marker() != "None"]
    assert [artist.get_color() for artist in norms] == [style.RED, style.BLUE]
    assert "1 of 3" in words(figure)


def test_figure9_has_those_that_never_started_apart():
    """Of sixteen replicates four stay at the error of guessing: the medians are of the twelve."""
    table = run(0, replicates=16)
    never = table["replicate"] >= 12
    table.loc[never, "train_error"] = 0.5
    table.loc[never, "nc1"] += 50
    figure = figure9.draw(table)
    [nc1] = [ax for ax in figure.axes if ax.get_title("left") == "NC1: variability collapse"]
    [middle] = [a for a in nc1.lines if a.get_label().startswith(r"$\mathrm{Tr}(\Sigma_W \Sigma_B")]
    started = finals(table[~never])["nc1"]
    assert middle.get_ydata()[-1] == pytest.approx(np.median(started))
    band = nc1.collections[0].get_paths()[0].vertices
    ends = band[band[:, 0] == EPOCHS, 1]
    quartiles = np.quantile(started, [0.25, 0.75])
    assert [ends.min(), ends.max()] == pytest.approx(quartiles.tolist())
    grey = [a for a in nc1.lines if a.get_color() == style.GREY and a.get_linestyle() == ":"]
    assert {a.get_ydata()[-1] for a in grey} >= set(finals(table[never])["nc1"])
    lost = "Grey, in no median: replicates that did not fit (training error 0.05 or more): 4 of 16"
    assert lost in words(figure)
    made = figure9.tabulate(table)
    assert made.numbers["nc1"].item() == pytest.approx(np.median(started))
    assert made.numbers["nc1_greatest"].item() == pytest.approx(started.max())
    assert made.text["fitted"].item() == "12 of 16"


def test_figure9_of_several_runs_has_a_panel_a_measure():
    parts = [run(i, recipe=name) for i, name in enumerate(("a", "b"))]
    figure = figure9.draw(pd.concat(parts, ignore_index=True))
    assert len(figure.axes) == 6
    for ax in figure.axes:
        curves = {artist.get_label(): artist for artist in ax.lines}
        assert len({curves[name].get_color() for name in "ab"}) == 2
    angles = figure.axes[2]
    for name, part in zip("ab", parts, strict=True):
        [drawn] = [artist for artist in angles.lines if artist.get_label() == name]
        at = part[part["epoch"].isin(SNAPSHOTS)].groupby("epoch")["nc2_angle_weights"]
        np.testing.assert_allclose(drawn.get_ydata(), at.median())


def test_figure9s_table_is_of_the_last_epoch():
    table = pd.concat([run(0), run(0).assign(recipe_name="other", nc3=0.5, nc3_squared=0.25)])
    numbers = figure9.tabulate(table).numbers.set_index("recipe_name")
    assert numbers.loc["other", ["nc3", "nc3_squared", "nc3_least"]].tolist() == [0.5, 0.25, 0.5]
    [name] = set(table["recipe_name"]) - {"other"}
    end = finals(table, recipe_name=name)
    for column in ("nc1", "nc4", "test_error"):
        np.testing.assert_allclose(numbers.loc[name, column], end[column].median())
        np.testing.assert_allclose(numbers.loc[name, f"{column}_greatest"], end[column].max())
    text = figure9.tabulate(table).text.set_index("recipe")
    assert text.loc["other", "NC3"] == "0.5 (0.5 to 0.5)"


def test_figure9_says_what_is_an_identity_for_two_classes_only():
    assert "always cos = -1" in words(figure9.draw(run(0)))
    assert "always cos" not in words(figure9.draw(run(0, classes=10)))


def test_collapse_is_drawn_by_layer():
    figure = figure_layers.draw(pd.concat([layer_rows(), layer_rows(decay=0.0)]))
    assert len(figure.axes) == 8
    assert_labelled(figure)
    assert [ax.get_title("left") for ax in figure.axes[:2]] == [
        rf"$\lambda$ = {decay:g}, start 0.9" for decay in (0.001, 0)
    ]
    for ax, other in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert ax.get_ylim() == other.get_ylim()  # of both lambdas
    first, second, third, _ = figure.axes[::2]
    start = first.containers[0]  # epoch 0, two replicates
    np.testing.assert_allclose(middles(start), 10 / np.arange(1, 4) + 0.5)
    bars = [segment[:, 1] for segment in start[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[10 / k + 0.25, 10 / k + 0.75] for k in range(1, 4)])
    np.testing.assert_allclose(middles(second.containers[0]), 20 / np.arange(1, 4) + 0.5)
    assert len(first.containers) == len(SNAPSHOTS)
    widths = [container[0].get_linewidth() for container in first.containers]
    assert all(a > b for a, b in pairwise(widths))  # one on top of another leaves it visible
    np.testing.assert_allclose(middles(third.containers[0]), 0.1 / np.arange(1, 4))
    assert "layers" in catalog.figures()["figure_layers"].reads
    diverged = layer_rows().assign(nc1_trace=np.nan)
    assert "diverged" in words(figure_layers.draw(diverged))


def test_figure9_draws_the_training_error_at_every_epoch():
    tables = [run(0, decay=5e-4), run(1, decay=1e-3, classes=10)]
    for table in tables:
        figure = figure9.draw(table)
        [ax] = [ax for ax in figure.axes if title(ax) == "Training error"]
        expected = medians(table, "train_error")
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), expected.index)
        np.testing.assert_allclose(line(ax), expected)
        assert f"{table['classes'].iloc[0]} classes" in figure.get_suptitle()
    several = figure9.draw(pd.concat(tables))
    [ax] = [ax for ax in several.axes if title(ax) == "Training error"]
    for table, name in zip(tables, ("λ = 0.0005", "λ = 0.001"), strict=True):
        [drawn] = [artist for artist in ax.lines if artist.get_label() == name]
        np.testing.assert_allclose(drawn.get_ydata(), medians(table, "train_error"))


def test_layers_are_drawn_by_epoch_and_images():
    table = layer_rows()
    # Two replicates differ, and no two epochs of one measure are alike.
    table["nearest_mean_error"] += 0.01 * table["epoch"] + 0.1 * table["replicate"]
    table["test_nearest_mean_error"] += 0.03 * table["epoch"] + 0.1 * table["replicate"]
    columns = ["nc1_trace", "test_nc1_trace", "nearest_mean_error", "test_nearest_mean_error"]
    for ax, column in zip(figure_layers.draw(table).axes, columns, strict=True):
        assert ax.get_ylabel().endswith("test images" if "test" in column else "training images")
        curves = {int(bars.get_label()): bars[0] for bars in ax.containers}
        assert sorted(curves) == SNAPSHOTS
        for epoch, artist in curves.items():
            expected = table[table["epoch"] == epoch].groupby("layer")[column].median()
            np.testing.assert_array_equal(artist.get_xdata(), [1, 2, 3])
            np.testing.assert_allclose(np.asarray(artist.get_ydata(), dtype=float), expected)
