"""What all figures share: their foot, colours, bands, and what they say of lost replicates."""

import importlib

import numpy as np
import pandas as pd
import pytest
from made_runs import EPOCHS, identity, run, runs
from read_figures import line, medians, words

from squareloss.errors import UserError
from squareloss.figures import figure1, figure3, figure4, figure5, figure9, generalization, style
from squareloss.source import catalog


def test_figure1_shows_both():
    text = words(figure1.draw("made up"))
    for part in ("(a)", "(b)", r"$\rho_1$", r"$\rho$", "$V_L$", "made up"):
        assert part in text


def test_short_axes_have_thousands_written_one_way():
    figure = style.canvas(3, 3)
    ax = figure.subplots()
    ax.set_yscale("log")
    ax.set_ylim(800, 30_000)
    style.short_ticks(ax)
    figure.canvas.draw()
    shown = [text.get_text() for text in ax.get_yticklabels()]
    assert {"1,000", "2,000", "20,000"} <= set(shown)


def test_mixed_runs_are_refused():
    table = pd.concat([run(0), run(1, recipe="other")])
    with pytest.raises(UserError, match=r"recipe_name.*cnn6, other"):
        figure3.draw(table)


def test_one_replicate_and_nothing_finite_still_draw(tmp_path):
    for table in (run(0, replicates=1), run(0, diverged=[0, 1, 2])):
        for draw in (figure3.draw, figure4.draw, figure5.draw, figure9.draw, generalization.draw):
            draw(table).canvas.draw()
        style.save_table(generalization.tabulate(table), str(tmp_path / "t"))


def test_power():
    assert style.power(1.09e-4) == r"$1.09\times10^{-4}$"
    assert style.power(float("nan")) == "n/a"


def test_a_cell_of_a_table_is_of_the_replicates_that_did_not_diverge():
    nan = float("nan")
    assert style.spanned(pd.Series([3.0, nan, 1.0]))[1] == "2 (1 to 3)"
    assert style.spanned(pd.Series([3.0, nan]))[1] == "3"
    assert style.spanned(pd.Series([nan, nan]))[1] == "n/a"


@pytest.mark.parametrize("name", [n for n, a in catalog.figures().items() if a.reads == ("table",)])
def test_every_figure_of_one_table_draws_one_run_and_its_foot(name):
    """Those that compare runs draw the one all the same."""
    module = importlib.import_module(f"squareloss.figures.{name}")
    assert "made up" in words(module.draw(run(0), "made up"))


def test_a_band_reaches_from_quartile_to_quartile_of_those_that_fit():
    table = run(0, replicates=7, diverged=[1])
    table.loc[table["replicate"] == 2, "train_error"] = 0.05  # just too large
    table.loc[table["replicate"] == 3, "train_error"] = 0.0499
    ax = style.canvas(2, 2).subplots()
    style.curve(ax, table, "test_error", color=style.BLUE)
    good = table[table["replicate"].isin([0, 3, 4, 5, 6])].groupby("epoch")["test_error"]
    np.testing.assert_allclose(line(ax), good.apply(lambda values: np.sort(values)[2]))
    x, y = ax.collections[0].get_paths()[0].vertices.T
    for epoch in (0, 7, EPOCHS):
        ordered = np.sort(good.get_group(epoch))
        ends = y[x == epoch]
        assert [ends.min(), ends.max()] == pytest.approx([ordered[1], ordered[3]])
    diverged, unfitted = ax.lines[1:]
    for artist, replicate in ((diverged, 1), (unfitted, 2)):
        assert (artist.get_color(), artist.get_linestyle()) == (style.GREY, ":")
        one = table[table["replicate"] == replicate]["test_error"].dropna()
        np.testing.assert_allclose(artist.get_ydata(), one)


def test_a_replicate_that_fits_and_then_diverges_is_in_no_median():
    """Its last epoch with a number, at which it fits, is not its last."""
    table = run(0, replicates=5)
    ends = (table["replicate"] == 4) & (table["epoch"] == EPOCHS)
    table.loc[table["replicate"] == 4, "rho"] = 1e9
    table.loc[ends, ["train_error", "rho"]] = np.nan
    ax = style.canvas(2, 2).subplots()
    style.curve(ax, table, "rho", color=style.BLUE)
    np.testing.assert_allclose(line(ax), medians(table[table["replicate"] < 4], "rho"))
    assert [artist.get_color() for artist in ax.lines[1:]] == [style.GREY]


def test_replicates_that_do_not_fit_leave_the_axis_to_the_others():
    table = run(0, replicates=5)
    table.loc[table["replicate"] == 4, ["train_error", "rho"]] = [0.5, 1e9]
    ax = style.canvas(2, 2).subplots()
    style.curve(ax, table, "rho")
    assert ax.get_ylim()[1] < 2e3
    none = style.canvas(2, 2).subplots()  # without others it is theirs
    style.curve(none, table[table["replicate"] == 4], "rho", label="a")
    low, high = none.get_ylim()
    assert low < 1e9 < high < 2e9
    assert [artist.get_label() for artist in none.lines] == ["a"]


def test_a_name_has_one_colour_whatever_stands_beside_it():
    several = style.colours(["new", "cross_entropy", "square", "newer"])
    assert several["cross_entropy"] == style.colours(["cross_entropy"])["cross_entropy"]
    assert several["square"] == style.colours(["square", "x"])["square"]
    assert len(set(several.values())) == 4


def test_lost_replicates_are_counted_at_the_end_and_by_run():
    table = pd.concat([run(0, decay=0.001, diverged=[0]), run(1, decay=0.0, replicates=2)])
    assert (
        style.missing(table, "weight_decay") == "Missing because they diverged: λ = 0.001: 1 of 3."
    )
    text = style.replicates(table, "weight_decay")
    assert text.startswith("Median and quartiles of 2 to 3 replicates.")
    table.loc[(table["weight_decay"] == 0) & (table["replicate"] == 1), "train_error"] = 0.05
    told = "(training error 0.05 or more): λ = 0: 1 of 2."
    assert style.unfitted(table, "weight_decay").endswith(told)
    assert f"Grey, in no median: replicates that did not fit {told}" in style.replicates(
        table, "weight_decay"
    )
    one = table[table["replicate"] == 1]  # no median of one
    assert " Grey: " in f" {style.replicates(one, 'weight_decay')}"
    short = run(2).assign(**identity(decay=0.5))
    short = short[short["epoch"] <= 4]
    short.loc[(short["epoch"] == 4) & (short["replicate"] == 2), "rho"] = np.nan
    assert "λ = 0.5: 1 of 3" in style.missing(pd.concat([table, short]), "weight_decay")


def test_what_the_paper_prints_is_chosen_if_it_is_there():
    values = pd.Series([1.5, 0.9, 1.0])
    assert style.choose(values, [0.9, 1.3]) == [0.9]
    assert style.choose(values, [1.3, 1.4]) == [0.9, 1.0]
    assert style.decays(runs(decay=[0.0, 0.5, 0.001])) == [0.5, 0.001, 0.0]
