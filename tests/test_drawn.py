"""Each number that a figure draws, against the table: column, run, epoch, axis and error bar."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import StepPatch
from test_figures import (
    EPOCHS,
    SNAPSHOTS,
    arc,
    finals,
    identity,
    layer_rows,
    line,
    margins_of,
    readings_of,
    run,
    runs,
)

from squareloss.figures import (
    figure2,
    figure4,
    figure5,
    figure8,
    figure9,
    figure10,
    figure_ample,
    figure_bounds,
    figure_gradientflow,
    figure_layers,
    figure_loss,
    figure_lowrank,
    figure_normalization,
    figure_optimizer,
    figure_precision,
    figure_randomlabels,
    figure_readings,
    figure_readings_rank,
    figure_sgdnoise,
    figure_size,
    figure_unit,
    generalization,
    reading_statements,
    style,
)
from squareloss.theory.bounds import BOUNDS


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()


def pairs(x, y):
    """Points in one order."""
    return sorted(zip(np.asarray(x, float).tolist(), np.asarray(y, float).tolist(), strict=True))


def medians(table, column):
    """Median over the replicates at each epoch that has the column."""
    return table.groupby("epoch")[column].median().dropna()


def bar_ends(collection, axis):
    """Of error bars: where each begins and ends along an axis."""
    return [segment[:, axis].tolist() for segment in collection.get_segments()]


def quartiles(groups):
    """Of each group: the quarters of its values, linear between two, by hand."""
    found = []
    for _, values in groups:
        ordered = np.sort(values)
        places = [(len(ordered) - 1) * share for share in (0.25, 0.75)]
        found.append(
            [
                ordered[int(p)]
                + (p % 1) * (ordered[min(int(p) + 1, len(ordered) - 1)] - ordered[int(p)])
                for p in places
            ]
        )
    return found


def half_lengths(collection, axis):
    """Of error bars: half of what each segment spans along an axis."""
    return [np.ptp(segment[:, axis]) / 2 for segment in collection.get_segments()]


# Figures of several courses: of each, its panels' columns and its curves' runs


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


# The paper's figures


def test_figure2_draws_the_first_two_replicates():
    later = arc().assign(replicate=1, other=2, rho_trained=lambda a: a["rho_trained"] * 3)
    for table in (pd.concat([arc(), later]), pd.concat([later, arc()])):
        ax = figure2.draw(table).axes[0]
        np.testing.assert_array_equal(line(ax, 1), [480, 390])
        np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0, 60])
        assert "replicates 0 and 1" in title(ax)
    mesh = ax.collections[0]
    assert mesh.get_array().shape[1] == len(arc())


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


def course_of(**rho):
    """A run of two replicates whose rho is as given by epoch: `first`, then `last`."""
    table = run(0, replicates=2)
    table["rho"] = np.where(table["epoch"] == EPOCHS, rho["last"], rho["first"])
    table.loc[table["replicate"] == 1, "rho"] *= 3
    return table


@pytest.mark.parametrize("lost", [(), (0,)])
def test_figure8s_line_is_one_over_the_last_rho_of_the_replicate_drawn(lost):
    """Margins are 1e-3 within 1e-6; 1 / rho at epoch 0 would lie elsewhere, but on the scale."""
    replicate = len(lost)
    last = 1000 / 3**replicate
    table = course_of(first=last * 0.99999, last=last * 0.999999)
    _, closer, right = figure8.draw(table, margins_of(0, 2, diverged=lost)).axes
    (drawn,) = {artist.get_xdata()[0] for artist in closer.lines if len(artist.get_xdata())}
    assert drawn == pytest.approx(1 / (1000 * 0.999999), rel=1e-9)
    label = closer.get_legend().get_texts()[-1].get_text()
    assert label == rf"$1/\rho$ = {style.power(drawn)} (interpolation)"
    one = table[table["replicate"] == replicate]
    np.testing.assert_allclose(line(right, 0), one["rho"])
    assert right.lines[0].get_label() == f"replicate {replicate}"
    np.testing.assert_allclose(line(right, 1), medians(table, "rho"))


def test_figure8_shows_a_run_that_was_trained():
    """The paper's lambda and the paper's start, but no run has both."""
    runs = [run(0, decay=0.001, init=1.3), run(0, decay=0.0, init=0.9)]
    table = pd.concat(runs)
    kept = figure8.keep(table, table)
    assert kept[["weight_decay", "init_scale"]].drop_duplicates().to_numpy().tolist() == [
        [0.001, 1.3]
    ]


def test_figure8_says_where_interpolation_is_off_its_scale():
    closer = figure8.draw(course_of(first=1.0, last=2.0), margins_of(0, 2)).axes[1]
    assert closer.get_legend().get_texts()[-1].get_text() == (
        rf"$1/\rho$ = {style.power(0.5)} (off this scale)"
    )
    assert not [artist for artist in closer.lines if len(artist.get_xdata())]


def test_figure8s_histograms_are_each_of_their_epoch_and_of_one_replicate():
    margins = margins_of(0)
    margins["margin"] += 1e-3 * margins["epoch"] * (margins["replicate"] + 1) / EPOCHS
    left, closer, _ = figure8.draw(run(0), margins).axes
    filled = [p for p in left.patches if isinstance(p, StepPatch) and p.get_fill()]
    one = margins[margins["replicate"] == 0].groupby("epoch")["margin"]
    for patch, epoch in zip(filled, SNAPSHOTS, strict=True):
        values, edges, base = patch.get_data()
        counts = np.histogram(one.get_group(epoch), edges)[0]
        np.testing.assert_allclose(values - base, figure8.OVERLAP * counts / counts.max())
    legend = [text.get_text() for text in closer.get_legend().get_texts()[:2]]
    assert legend == ["epoch 4", "epoch 20"]
    for patch, epoch in zip(closer.patches, SNAPSHOTS[-2:], strict=True):
        edges, heights = steps(patch)
        expected = np.histogram(one.get_group(epoch), edges, density=True)[0]
        np.testing.assert_allclose(heights, expected, rtol=1e-6)


def steps(patch):
    """Edges and heights of a histogram that `hist` has drawn as a polygon."""
    corners = patch.get_xy()
    edges = np.unique(corners[:, 0])
    return edges, corners[1 : 2 * len(edges) - 1 : 2, 1]


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


def test_figure10_has_a_row_a_start_and_a_column_a_lambda():
    points = [(decay, init) for init in (0.8, 1.5) for decay in (0.001, 0.0)]
    table = pd.concat(
        run(i, replicates=i + 1, decay=decay, init=init) for i, (decay, init) in enumerate(points)
    )
    parts = [
        margins_of(i, replicates=i + 1, decay=decay, init=init)
        for i, (decay, init) in enumerate(points)
    ]
    kept = pd.concat([figure10.keep(part, table) for part in parts])
    last = finals(pd.concat(parts))
    pd.testing.assert_frame_equal(kept, last)
    axes = figure10.draw(table, kept).axes
    for i, (ax, (decay, init)) in enumerate(zip(axes, points, strict=True)):
        edges, heights = steps(ax.patches[0])
        rows = last[(last["weight_decay"] == decay) & (last["init_scale"] == init)]
        margins = rows["margin"].astype(float)
        deviations = margins / margins.groupby(rows["replicate"]).transform("mean") - 1
        np.testing.assert_array_equal(heights, np.histogram(deviations, edges)[0])
        sd = margins.groupby(rows["replicate"]).std().median()
        assert f"sd {style.power(sd)}" in ax.texts[0].get_text()
        assert f"replicates: {i + 1}" in ax.texts[0].get_text()
    assert [title(ax) for ax in axes[:2]] == [rf"{LAMBDA} = 0.001", rf"{LAMBDA} = 0"]
    assert [ax.get_ylabel() for ax in axes[::2]] == ["init 0.8\nsamples", "init 1.5\nsamples"]


# Figures 6 and 7


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


# Figures of statements


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


def test_precisions_stand_at_their_names():
    parts = [
        run(i, decay=decay, recipe=recipe)
        for i, (decay, recipe) in enumerate(
            (d, r) for d in (1e-3, 0) for r in ("float64", "bfloat16", "tf32")
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    figure = figure_precision.draw(table)
    measures = dict(zip(figure_precision.MEASURES, figure.axes, strict=True))
    assert title(measures["rho"]) == r"$\rho$"
    assert title(measures["test_error"]).startswith("test error")
    for measure, ax in measures.items():
        assert title(ax) == figure_precision.MEASURES[measure]
        names = [tick.get_text() for tick in ax.get_xticklabels()]
        assert names == ["bfloat16", "float64", "tf32"]
        for artist, bars, decay in zip(ax.lines[::2], ax.collections, (1e-3, 0), strict=True):
            rows = finals(table, weight_decay=decay)
            middle = [np.median(rows[rows["recipe_name"] == name][measure]) for name in names]
            found = [segment[0, 1] for segment in bars.get_segments()]
            if rows[measure].min() > 0:
                np.testing.assert_allclose(found, middle)
            if ax.get_yscale() == "log":
                rows = rows[rows[measure] > 0]
            x = [names.index(name) for name in rows["recipe_name"]]
            found = pairs(np.round(artist.get_xdata()), artist.get_ydata())
            assert found == pairs(x, rows[measure])
            assert (artist.get_markerfacecolor() == "none") == (decay == 0)


def test_readings_slopes_and_marks_stand_at_their_lambda_and_row():
    table = runs(recipe=["a", "b"], decay=[0.001, 0.0], init=[0.1, 0.9, 1.0, 1.3])
    *_, slopes, marks = figure_readings.draw(table).axes
    for marker, decay in (("s", 0.001), ("D", 0.0)):
        [drawn] = [artist for artist in slopes.lines if artist.get_marker() == marker]
        expected = []
        for name in ("a", "b"):
            rows = finals(table, recipe_name=name, weight_decay=decay)
            rows = rows[rows["init_scale"] > 0.5].assign(x=lambda t: 1 / t["rho"])
            x, y = rows.groupby("init_scale")[["x", "test_error"]].mean().to_numpy().T
            expected.append(np.polyfit(x, 1 - y, 1)[0])
        np.testing.assert_allclose(drawn.get_xdata(), expected)
        assert list(drawn.get_ydata()) == [0, 1]
    passed = {
        (x, y): hit.of(reading)
        for x, hit in enumerate(reading_statements.HITS)
        for y, reading in enumerate(reading_statements.readings(table))
    }
    found = {(a.get_xdata()[0], a.get_ydata()[0]): a.get_marker() == "o" for a in marks.lines}
    assert found == {place: value for place, value in passed.items() if value is not None}


def test_a_reading_is_not_met_the_wrong_way_round():
    """A rho that falls from one start to another, and a slope that is significant and rises."""
    falling = readings_of(rho=lambda scale, decay: 450 / scale**3 if decay else 450 * scale)
    assert falling["starts nearer with decay"] is False
    rising = readings_of(test_error=lambda scale, decay: 0.1 - 19 / (450 * scale))
    assert rising["slope falls"] is False


def test_the_flow_is_drawn_with_its_times_steps_and_predictions():
    nan = math.nan
    rows = [
        {"method": "flow", "replicate": r, "time": t, "rho": r + t} for r in (0, 1) for t in (0, 1)
    ]
    rows += [
        {"method": "descent", "replicate": r, "step": s, "distance": (r + 2) * s}
        for r in (0, 1)
        for s in (0.1, 0.2)
    ]
    rows += [
        {"method": "momentum", "replicate": r, "norms": g, "rho_dot_eq6": p, "rho_dot_measured": m}
        for r, g, p, m in ((0, 1.0, 1.0, 1.5), (0, 1.5, 2.0, 2.25), (1, 1.0, 4.0, 3.0))
    ]
    left, middle, right = figure_gradientflow.draw(pd.DataFrame(rows).fillna(nan)).axes
    for r in (0, 1):
        np.testing.assert_allclose(left.lines[r].get_data(), [[0, 1], [r, r + 1]])
        steps = np.array([0.1, 0.2])
        np.testing.assert_allclose(middle.lines[r].get_data(), [steps, (r + 2) * steps])
    np.testing.assert_allclose(middle.lines[2].get_data(), [[0.1, 0.2], [0.25, 0.5]])
    of = {artist.get_label(): artist.get_data() for artist in right.lines}
    np.testing.assert_allclose(of["layer norms 1"], [[1, 4], [1.5, 3]])
    np.testing.assert_allclose(of["layer norms 1.5"], [[2], [2.25]])
    np.testing.assert_allclose(of["equal"], [[1, 4], [1, 4]])


# What the figures share


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
