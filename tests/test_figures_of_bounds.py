"""Figures 6 and 7, and those of bounds: only networks that fit, each at its N and bound."""

import math

import numpy as np
import pandas as pd
import pytest
from made_runs import DELTA, EPOCHS, identity, run, runs
from matplotlib.colors import same_color
from read_figures import assert_labelled, bar_ends, finals, middles, title, words
from workflow_copy import ROOT

from squareloss.figures import figure_ample, figure_bounds, generalization, style
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import read_runs
from squareloss.theory.bounds import BOUNDS


@pytest.fixture
def table6():
    table = runs(init=[0.1, 0.9], n=[250, 1000])
    table["n_train"] = table["n_train"].astype(int)
    stuck = (table["init_scale"] == 0.1) & (table["n_train"] == 250)
    table.loc[stuck, "train_error"] = 0.5
    # One replicate of this group misses the premise of the bound.
    one = (table["init_scale"] == 0.9) & (table["n_train"] == 250) & (table["replicate"] == 2)
    table.loc[one & (table["epoch"] == EPOCHS), "train_error"] = 0.004
    return table


def test_generalization_table(table6, tmp_path):
    style.save_table(generalization.tabulate(table6), str(tmp_path / "t"))
    numbers = pd.read_csv(tmp_path / "t.csv").set_index(["init_scale", "n_train"])
    late = table6[table6["epoch"].isin([19, 20])]  # the last tenth of 20 epochs
    for (init, n), row in numbers.iterrows():
        group = late[(late["init_scale"] == init) & (late["n_train"] == n)]
        errors = group.groupby("replicate")[["train_error", "test_error"]].mean()
        gap = errors["test_error"] - errors["train_error"]
        last = group[group["epoch"] == EPOCHS]
        fits = last[last["train_error"] == 0]
        quarter = np.quantile(last["rho"], 0.25)
        expected = [np.median(last["rho"]), quarter, np.median(errors["test_error"])]
        columns = ["rho_median", "rho_low", "test_error_median"]
        assert row[columns].tolist() == pytest.approx(expected)
        assert row[["gap_low", "gap_median", "gap_high"]].tolist() == pytest.approx(
            np.quantile(gap, [0.25, 0.5, 0.75]).tolist()
        )
        assert row["bound_applies"] == len(fits)
        bound = np.median(fits["eq16_eq12"]) if len(fits) else math.nan
        assert row["eq16_eq12_median"] == pytest.approx(bound, nan_ok=True)
    markdown = (tmp_path / "t.md").read_text()
    assert "(2 of 3)" in markdown
    assert markdown.count("n/a") == 1  # the group that does not start
    assert markdown.splitlines()[0].count("Eq. 16") == 1
    assert " to " in (tmp_path / "t.tex").read_text()


def test_generalization_panels(table6):
    figure = generalization.draw(table6)
    assert_labelled(figure)
    numbers = generalization.tabulate(table6).numbers
    _, bars, bound = figure.axes
    heights = [bar.get_height() for container in bars.containers[1::2] for bar in container]
    assert heights == pytest.approx(numbers["gap_median"].tolist())
    assert "does not start" in words(figure)
    assert f"delta = {DELTA:g}, and" in words(figure)
    assert "init 0.1 with N = 250" in words(figure)
    # The bound of each replicate over its gap; grey where there is training error at the end.
    late = table6[table6["epoch"].isin([19, 20])]
    errors = late.groupby([*generalization.BY, "replicate"])[["train_error", "test_error"]].mean()
    last = finals(table6).set_index(errors.index.names)
    ratio = (last["eq16_printed"] / (errors["test_error"] - errors["train_error"])).dropna()
    ratio = ratio[ratio > 0]
    fails = last["train_error"].reindex(ratio.index) > 0
    shown = {True: [], False: []}
    for drawn in bound.lines:
        if drawn.get_marker() == "." and not drawn.get_label().startswith("train"):
            grey = same_color(drawn.get_color(), style.GREY)
            shown[grey] += [value for value in drawn.get_ydata() if np.isfinite(value)]
    np.testing.assert_allclose(sorted(shown[True]), sorted(ratio[fails]))
    np.testing.assert_allclose(sorted(shown[False]), sorted(ratio[~fails]))


def test_generalization_bars_stand_at_their_ticks():
    """Scale 0.1 has one N of two: the other scale's bar of the second stands at its tick."""
    table = pd.concat([run(0, init=0.1, n=500), run(1, n=250), run(2, n=500)])
    bars = generalization.draw(table.astype({"n_train": int})).axes[1]
    places = [bar.get_x() + bar.get_width() / 2 for bar in bars.patches]
    ticks = bars.get_xticks().tolist()
    assert [label.get_text() for label in bars.get_xticklabels()] == ["250", "500"]
    of_small, of_250, of_500 = places
    assert of_250 == pytest.approx(ticks[0])
    assert (of_small + of_500) / 2 == pytest.approx(ticks[1])


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("name", ["figure6", "figure7"])
def test_generalization_cells_do_not_overlap(name, fits):
    table = read_runs(ROOT / f"results/reference/long/aggregate/{name}.parquet", AGGREGATE)
    if not fits:  # errors have three digits and quartiles
        table["train_error"] = 0.2 + 0.01 * table["replicate"]
    figure = generalization.draw(table)
    figure.draw_without_rendering()
    [cells] = figure.axes[0].tables
    for (_, _), cell in cells.get_celld().items():
        text, box = cell.get_text().get_window_extent(), cell.get_window_extent()
        assert box.x0 <= text.x0 < text.x1 <= box.x1, cell.get_text().get_text()


def test_generalization_tail_is_a_hundred_epochs_of_a_long_run():
    table = pd.DataFrame({"epoch": range(1001), **identity()})
    assert generalization.tail(table)["epoch"].tolist() == list(range(901, 1001))


def test_two_networks_trained_by_different_recipes_have_panels_of_their_own():
    points = [("cnn6", 1000), ("small-start", 500), ("small-start", 1000)]
    tables = [
        run(i, recipe=name, n=n).assign(max_norm=10.0 if name == "cnn6" else 20.0)
        for i, (name, n) in enumerate(points)
    ]
    figure = figure_bounds.draw(pd.concat(tables, ignore_index=True))
    titles = [ax.get_title(loc="left") for ax in figure.axes[::2]]
    assert titles == [f"cnn6, images of norm at most {norm}" for norm in (10, 20)]
    # An N has one colour, whichever the others of a panel are.
    of_n = [
        {artist.get_label(): artist.get_markeredgecolor() for artist in ax.lines}
        for ax in figure.axes[::2]
    ]
    assert of_n[0]["N = 1,000"] == of_n[1]["N = 1,000"] != of_n[1]["N = 500"]


def test_bounds_are_ordered_and_only_of_networks_that_fit():
    table = pd.concat([run(0, n=500), run(1, n=1000), run(2, n=2000)], ignore_index=True)
    for i, name in enumerate(figure_bounds.TITLES):
        table.loc[table["epoch"] == EPOCHS, name] = 10.0 ** (len(figure_bounds.TITLES) - i)
    table.loc[table["n_train"] == 2000, "train_error"] = 0.1
    figure = figure_bounds.draw(table)
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == ["measured gap", *reversed(figure_bounds.TITLES.values())]
    assert "Not drawn, since they have training error: recipe = cnn6, N = 2000: 3 of 3" in words(
        figure
    )
    assert "N = 2,000" not in words(figure)
    # Text is wider at some resolutions than at others; in the file no label is cut off.
    style.settle(figure)
    figure.canvas.draw()
    labels = [tick.get_window_extent() for tick in figure.axes[0].get_yticklabels()]
    assert min(label.x0 for label in labels) >= 0
    assert figure.dpi == style.DPI
    text = figure_bounds.tabulate(table)
    assert text.numbers["n_train"].tolist() == [500, 1000]
    assert text.numbers["parameters"].tolist() == [10.0, 10.0]
    # A bound of 10 at N = 500 would be 1 at 100 times as many images.
    assert text.numbers["parameters_images"].tolist() == [50_000.0, 100_000.0]
    right = figure.axes[1]
    assert max(line.get_xdata().max() for line in right.lines) >= 100_000


def test_bounds_with_ample_data_are_drawn_where_the_data_are_fitted():
    rows = [
        {"replicate": r, "network": name, "n_train": n, "bound": bound, "value": 20 / n**0.5}
        | {"rho": 3.0, "test_error": 1e-3 * r, "train_error": 0.1 * (r == 2)}
        for r in range(3)
        for name in ("a", "b")
        for n in (100, 10_000)
        for bound in figure_ample.TITLES
    ]
    figure = figure_ample.draw(pd.DataFrame(rows))
    first = figure.axes[0]
    assert first.get_title(loc="left") == "a: median test error 0.0005"
    few, many = first.containers
    assert [few.get_label(), many.get_label()] == ["N = 100", "N = 10,000"]
    np.testing.assert_allclose(middles(few), 2.0)
    np.testing.assert_allclose(middles(many), 0.2)
    # From quartile to quartile of the two problems that were fitted.
    spread = pd.DataFrame(rows).assign(value=lambda t: t["value"] * (1 + t["replicate"]))
    bars = figure_ample.draw(spread).axes[0].containers[1][2][0].get_segments()
    np.testing.assert_allclose([bar[:, 0] for bar in bars], [[0.25, 0.35]] * len(bars))
    numbers = figure_ample.tabulate(pd.DataFrame(rows)).numbers
    assert numbers["eq16_printed"].tolist() == pytest.approx([2.0, 0.2] * 2)
    assert numbers["test_error"].tolist() == [5e-4] * 4


def test_generalization_draws_each_start_and_size_at_its_place():
    table = runs(init=[0.1, 0.9], n=[250, 1000]).astype({"n_train": int})
    # In the tail, and not at the end, where there would be no bound.
    table.loc[table["epoch"] == EPOCHS - 1, "train_error"] = table["mu"]
    figure = generalization.draw(table)
    _, bars, bound = figure.axes
    numbers = generalization.tabulate(table).numbers
    assert bars.get_xticks().tolist() == [0, 1]
    assert [tick.get_text() for tick in bars.get_xticklabels()] == ["250", "1,000"]
    errors, heights = bars.containers[0::2], bars.containers[1::2]
    for error, container, init in zip(errors, heights, (0.1, 0.9), strict=True):
        rows = numbers[numbers["init_scale"] == init]
        assert container.get_label() == f"init {init:g}"
        assert [bar.get_height() for bar in container] == pytest.approx(rows["gap_median"].tolist())
        centres = [bar.get_x() + bar.get_width() / 2 for bar in container]
        assert [round(x) for x in centres] == [0, 1]
        spans = rows[["gap_low", "gap_high"]].to_numpy()
        np.testing.assert_allclose(bar_ends(error[2][0], 1), spans)
    for init, container in zip((0.1, 0.9), heights, strict=True):
        assert same_color(container[0].get_facecolor()[:3], style.NAMED[init])
        rows = numbers[numbers["init_scale"] == init]
        middles, spans = [], []
        for n in rows["n_train"]:
            one = table[(table["init_scale"] == init) & (table["n_train"] == n)]
            late = one[one["epoch"] >= EPOCHS - 1].groupby("replicate")
            gap = (late["test_error"].mean() - late["train_error"].mean()).to_numpy()
            ratios = finals(one)["eq16_printed"].to_numpy() / gap
            ratios = ratios[gap > 0]
            middles.append(np.median(ratios))
            spans.append(np.quantile(ratios, [0.25, 0.75]))
        found = [
            bars for bars in bound.containers if same_color(bars[0].get_color(), style.NAMED[init])
        ]
        np.testing.assert_allclose([float(bars[0].get_ydata()[0]) for bars in found], middles)
        np.testing.assert_allclose([bar_ends(bars[2][0], 1)[0] for bars in found], spans)
        assert [round(bars[0].get_xdata()[0]) for bars in found] == [0, 1]


def test_bounds_are_drawn_on_the_row_of_their_name():
    table = pd.concat([run(0, n=500), run(1, n=1000)], ignore_index=True)
    last = finals(table)
    left, right = figure_bounds.draw(table).axes
    names = {bound.title: name for name, bound in BOUNDS.items()} | {"measured gap": "gap"}
    order = [names[tick.get_text()] for tick in left.get_yticklabels()]
    assert set(order) == {"gap", *BOUNDS}
    logs = np.log(last[list(BOUNDS)]).median()
    assert order[1:] == logs.sort_values().index.tolist()
    last = last.assign(gap=last["test_error"] - last["train_error"])
    circles = [artist for artist in left.lines if artist.get_marker() == "o"]
    colours = {a.get_label(): a.get_markeredgecolor() for a in circles if "N =" in a.get_label()}
    for n in (500, 1000):
        rows = last[last["n_train"] == n]
        of_n = [a for a in circles if a.get_markeredgecolor() == colours[f"N = {n:,}"]]
        for artist, name in zip(of_n, order, strict=True):
            np.testing.assert_allclose(artist.get_xdata(), rows[name])
            assert set(np.round(artist.get_ydata())) == {order.index(name)}
        needed = [a for a in right.lines if a.get_markeredgecolor() == colours[f"N = {n:,}"]]
        for artist, name in zip(needed, order[1:], strict=True):
            stays = rows["ramp_loss"] * BOUNDS[name].ramp
            expected = n * ((rows[name] - stays) / (1 - stays)) ** 2
            np.testing.assert_allclose(artist.get_xdata(), expected)
            assert set(np.round(artist.get_ydata())) == {order.index(name)}


def test_bounds_on_ample_data_are_medians_of_one_network_and_bound():
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"replicate": r, "network": name, "n_train": n, "bound": bound, "value": draw.random()}
        | {"rho": 1.0 + r, "test_error": 0.01 * r + n / 1e6, "train_error": 0.0}
        for r in (0, 1, 5)
        for name in ("a", "b")
        for n in (100, 10_000)
        for bound in figure_ample.TITLES
    )
    made = figure_ample.tabulate(rows).numbers.set_index(["network", "n_train"])
    figure = figure_ample.draw(rows)
    for ax, network in zip(figure.axes, "ab", strict=False):
        order = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        curves = {bars.get_label(): bars[0] for bars in ax.containers}
        for bound, text in figure_ample.TITLES.items():
            of = rows[(rows["network"] == network) & (rows["bound"] == bound)]
            expected = [np.median(of[of["n_train"] == n]["value"]) for n in (100, 10_000)]
            for n, value in zip((100, 10_000), expected, strict=True):
                x, y = curves[f"N = {n:,}"].get_data()
                [place] = [a for a, b in zip(x, y, strict=True) if round(b) == order.index(text)]
                assert place == pytest.approx(value)
            np.testing.assert_allclose(made.loc[network, bound], expected)
        error = np.median([0.01 * r + n / 1e6 for r in (0, 1, 5) for n in (100, 10_000)])
        assert title(ax) == f"{network}: median test error {error:.2g}"
    assert made["rho"].tolist() == [2.0] * 4
    assert made.loc["a", "test_error"].tolist() == pytest.approx([0.0101, 0.02])
