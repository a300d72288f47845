"""The figures show what their tables say; the tables here are small and made up."""

import importlib
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from made_tables import SETTINGS
from matplotlib.colors import same_color
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from scipy.stats import t as student
from workflow_copy import ROOT

from squareloss.claims.regression import regress
from squareloss.errors import UserError
from squareloss.figures import (
    courses,
    figure1,
    figure2,
    figure3,
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
    figure_verdicts,
    generalization,
    reading_statements,
    style,
)
from squareloss.small.problems import flow_rows
from squareloss.source import catalog
from squareloss.tables.aggregate import AGGREGATE, BOUND_COLUMNS, LAYER_COLUMNS, SPREAD
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.history import HISTORY
from squareloss.tables.runs import read_runs

EPOCHS = 20
SNAPSHOTS = [0, 1, 4, 20]
HISTORY_COLUMNS = [column.name for column in HISTORY.columns if column.type == "float64"]
AT_SNAPSHOTS = [column.name for column in (*COLLAPSE.columns, *LAYER_COLUMNS, *BOUND_COLUMNS)]
DELTA = 0.02
MEASURED = [*HISTORY_COLUMNS, SPREAD.name, *AT_SNAPSHOTS]


def identity(decay=0.001, init=0.9, noise=0.0, n=1000, recipe="cnn6"):
    return {
        "recipe_name": recipe,
        "weight_decay": decay,
        "init_scale": init,
        "label_noise": noise,
        "n_train": n,
        "batch_size": 128,
        "learning_rate": 0.03,
    }


def run(seed, replicates=3, diverged=(), classes=2, **point):
    """Aggregate rows of one run: random positive numbers, no training error at the end.

    `point` may hold settings of the recipe, too, which then is named after them.
    """
    rng = np.random.default_rng(seed)
    parts, settings = [], {name: point.pop(name) for name in SETTINGS if name in point}
    point = ({"recipe": "-".join(map(str, settings.values()))} if settings else {}) | point
    trained = SETTINGS | settings
    for replicate in range(replicates):
        part = pd.DataFrame({"epoch": range(EPOCHS + 1)}).assign(replicate=replicate)
        part = part.assign(**identity(**point), classes=classes, **trained)
        for name in MEASURED:
            part[name] = rng.uniform(0.1, 1, EPOCHS + 1)
        part["rho"] = part["rho"] * 1000 * part["init_scale"]
        part["delta"] = DELTA
        part.loc[part["epoch"] > 10, "train_error"] = 0.0
        part.loc[~part["epoch"].isin(SNAPSHOTS), AT_SNAPSHOTS] = np.nan
        if replicate in diverged:
            part.loc[part["epoch"] > 2, MEASURED] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def runs(**lists):
    """Runs over one or two lists of coordinates."""
    grid = pd.MultiIndex.from_product(lists.values()).to_frame().to_numpy()
    points = [dict(zip(lists, values, strict=True)) for values in grid]
    return pd.concat([run(i, **point) for i, point in enumerate(points)], ignore_index=True)


def margins_of(seed, replicates=3, diverged=(), samples=200, **point):
    rng = np.random.default_rng(seed)
    parts = []
    for replicate in range(replicates):
        for epoch in SNAPSHOTS:
            sd = 1e-4 if epoch < EPOCHS else 1e-6
            values = rng.normal(1e-3, sd, samples).astype("float32")
            if replicate in diverged and epoch > 2:
                values[:] = np.nan
            part = pd.DataFrame({"sample": range(samples), "margin": values})
            parts.append(part.assign(**identity(**point), replicate=replicate, epoch=epoch))
    return pd.concat(parts, ignore_index=True)


def arc(decay=0.001, init=0.9):
    angle = np.linspace(0, 60, 7)
    mu = np.array([2, 1, 0.2, -0.1, 0.2, 1, 2.5]) * 1e-3
    rho = np.array([480.0, *[np.nan] * 5, 390.0])
    frame = pd.DataFrame({"angle": angle, "mu": mu, "M": 1.1 * mu**2 + 1e-9, "rho_trained": rho})
    point = identity(decay, init)
    return frame.assign(**point, replicate=0, other=1, epoch=EPOCHS, lambda_eff=decay * 1e-6)


def words(figure):
    """All text of a figure on one line."""
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(Text)]
    return "\n".join(texts).replace("\n", " ")


def line(ax, i=0):
    return np.asarray(ax.lines[i].get_ydata(), dtype=float)


def middles(bars):
    """The values between error bars: of bars along x those, else those along y."""
    values = bars[0].get_xdata() if bars.has_xerr else bars[0].get_ydata()
    return np.asarray(values, dtype=float)


def finals(table, **where):
    rows = table[table["epoch"] == EPOCHS]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows


def assert_labelled(figure):
    for ax in figure.axes:
        if ax.axison and ax.get_subplotspec() is not None:
            grid = ax.get_subplotspec()
            assert ax.get_ylabel() or not grid.is_first_col(), ax.get_title()
            assert ax.get_xlabel() or not grid.is_last_row(), ax.get_title()


def test_regression_equals_polyfit_and_student():
    x, y = np.array([1.0, 2, 3, 5, 8]), np.array([2.0, 1, 4, 3, 7])
    ours = regress(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    r = np.corrcoef(x, y)[0, 1]
    p = 2 * student.sf(abs(r) * math.sqrt(3 / (1 - r**2)), 3)
    assert ours.points == 5
    numbers = (ours.slope, ours.intercept, ours.r_squared, ours.p_value)
    assert numbers == pytest.approx((slope, intercept, r**2, p))


def test_regression_p_value_known():
    # The paper's right panel of R^2 = 0.94 over 4 means: t = sqrt(0.94 * 2 / 0.06), p = 1 - R.
    x = np.array([-1.0, -1, 1, 1])
    noise = np.array([1.0, -1, 1, -1]) * math.sqrt(0.06 / 0.94)
    ours = regress(x, x + noise)
    assert ours.r_squared == pytest.approx(0.94)
    assert ours.p_value == pytest.approx(1 - math.sqrt(0.94))  # exact for 4 points; 0.0305


@pytest.mark.parametrize(
    ("x", "y", "points"),
    [([], [], 0), ([1, 2], [1, 2], 2), ([1, 1, 1], [1, 2, 3], 3), ([1, 2, np.nan], [1, 2, 3], 2)],
)
def test_regression_undefined(x, y, points):
    ours = regress(x, y)
    assert ours.points == points
    assert all(map(math.isnan, (ours.slope, ours.intercept, ours.r_squared, ours.p_value)))


def test_figure1_shows_both():
    text = words(figure1.draw("made up"))
    for part in ("(a)", "(b)", r"$\rho_1$", r"$\rho$", "$V_L$", "made up"):
        assert part in text


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


def test_short_axes_have_thousands_written_one_way():
    figure = style.canvas(3, 3)
    ax = figure.subplots()
    ax.set_yscale("log")
    ax.set_ylim(800, 30_000)
    style.short_ticks(ax)
    figure.canvas.draw()
    shown = [text.get_text() for text in ax.get_yticklabels()]
    assert {"1,000", "2,000", "20,000"} <= set(shown)


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


def test_figure8_last_is_red_and_rho_is_the_median():
    table = pd.concat([run(0, replicates=2), run(1, init=1.3)])
    margins = pd.concat([margins_of(0, init=1.3), margins_of(1, diverged=[0])])
    figure = figure8.draw(table, margins)
    assert_labelled(figure)
    left, closer, right = figure.axes
    filled = [p for p in left.patches if isinstance(p, StepPatch) and p.get_fill()]
    reds = [same_color(p.get_facecolor()[:3], style.RED) for p in filled]
    assert reds == [False] * (len(SNAPSHOTS) - 1) + [True]
    assert same_color(closer.patches[-1].get_facecolor()[:3], style.RED)
    assert [t.get_text() for t in left.get_yticklabels()] == ["0", "1", "4", "20"]
    middle = table[table["init_scale"] == 0.9].groupby("epoch")["rho"].median()
    np.testing.assert_allclose(line(right, 1), middle)
    assert "replicate 1" in words(figure)  # 0 diverged
    # Counts of the last histogram are those of that replicate's last epoch.
    rows = margins[(margins["init_scale"] == 0.9) & (margins["epoch"] == EPOCHS)]
    values = rows[rows["replicate"] == 1]["margin"]
    data = filled[-1].get_data()
    counts = np.histogram(values, data.edges)[0]
    peak = figure8.OVERLAP * counts / counts.max()
    np.testing.assert_allclose(data.values - data.baseline, peak, atol=1e-12)


def test_figure8_closer_shows_the_last_two_snapshots_wherever_they_lie():
    margins = margins_of(0)
    margins.loc[margins["epoch"] == EPOCHS, "margin"] += 5e-3  # rho fell, so the margins grew
    closer = figure8.draw(run(0), margins).axes[1]
    low, high = closer.get_xlim()
    shown = margins[margins["replicate"] == 0].groupby("epoch")["margin"]
    for epoch in SNAPSHOTS[-2:]:
        assert shown.get_group(epoch).between(low, high).mean() > 0.99
    labels = [text.get_text() for text in closer.get_legend().get_texts()]
    assert labels[:-1] == [f"epoch {epoch:,}" for epoch in SNAPSHOTS[-2:]]


def test_figure8s_dashed_line_ends_below_the_legend():
    table = run(0)
    margins = margins_of(0)
    margins["margin"] += 1 / finals(table, replicate=0)["rho"].item() - 1e-3  # interpolation
    figure = figure8.draw(table, margins)
    figure.draw_without_rendering()
    closer = figure.axes[1]
    [dashed] = [a for a in closer.lines if a.get_linestyle() == "--" and len(a.get_xdata())]
    top = closer.transAxes.transform((0, dashed.get_ydata()[1]))[1]
    assert top < closer.get_legend().get_window_extent().y0


def test_figure8_shows_a_replicate_that_fits():
    table = run(0)
    table.loc[table["replicate"] == 0, "train_error"] = 0.5
    assert "Margins: replicate 1" in words(figure8.draw(table, margins_of(0)))
    table["train_error"] = 0.5
    assert "Margins: replicate 0" in words(figure8.draw(table, margins_of(0)))


def test_figure8_without_margins():
    figure = figure8.draw(run(0, diverged=[0, 1, 2]), margins_of(0, diverged=[0, 1, 2]))
    assert "every replicate diverged" in words(figure)


def test_figure8_of_one_replicate_has_no_mean():
    for replicates, names in (
        (1, ["replicate 0"]),
        (3, ["replicate 0", "median and quartiles"]),
    ):
        course = figure8.draw(run(0, replicates), margins_of(0)).axes[2]
        assert [text.get_text() for text in course.get_legend().get_texts()] == names
        labelled = [a for a in course.lines if not a.get_label().startswith("_")]
        assert len(labelled) == len(names)


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


def test_figure10_histograms_and_sd_within_a_replicate():
    table = runs(decay=[0.001, 0.0], init=[0.8, 1.5])
    parts = [
        margins_of(0, decay=0.001, init=0.8),
        margins_of(1, decay=0.001, init=1.5, diverged=[1]),
        margins_of(2, decay=0.0, init=0.8),
        margins_of(3, decay=0.0, init=1.5, diverged=[0, 1, 2]),
    ]
    last = pd.concat([figure10.keep(part, table) for part in parts])
    assert set(last["epoch"]) == {EPOCHS}
    figure = figure10.draw(table, last)
    assert_labelled(figure)
    one = parts[1][parts[1]["epoch"] == EPOCHS].dropna().groupby("replicate")["margin"]
    text = "\n".join(t.get_text() for t in figure.axes[2].texts)
    assert style.power(one.std().median()) in text
    assert style.power(one.mean().median()) in text
    assert "replicates: 2" in text
    assert "no replicate fits" in figure.axes[3].texts[0].get_text()
    assert not len(figure.axes[3].get_yticks())
    # All initialisations of a lambda share their axis.
    assert figure.axes[0].get_xlim() == figure.axes[2].get_xlim()


def test_figure10_shows_the_spread_of_margins_and_not_that_of_replicates():
    """Three replicates far apart, each with margins that are nearly equal, one without a fit."""
    table, margins = run(0, replicates=4), margins_of(0, replicates=4)
    margins = figure10.keep(margins, table)
    margins["margin"] = margins["margin"].astype(float) * (1 + margins["replicate"])
    table.loc[table["replicate"] == 3, "train_error"] = 0.5
    margins.loc[margins["replicate"] == 3, "margin"] *= -1
    figure = figure10.draw(table, margins)
    low, high = figure.axes[0].get_xlim()
    deviation = 1e-6 / 1e-3  # of a margin's sd from its mean, in `margins_of`
    assert -6 * deviation < low < -2 * deviation
    assert 2 * deviation < high < 6 * deviation
    assert "replicates: 3" in words(figure)
    lost = (
        "replicates that did not fit (training error 0.05 or more): λ = 0.001, init = 0.9: 1 of 4"
    )
    assert f"Left out: {lost}" in words(figure)


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


def layer_rows(decay=0.001, depth=3):
    """Collapse that gets tighter with the layer, the epoch and on training images."""
    rows = [
        identity(decay)
        | {
            "replicate": r,
            "epoch": epoch,
            "layer": layer,
            "nc1_trace": 10.0 / layer / (1 + epoch) + r,
            "test_nc1_trace": 20.0 / layer / (1 + epoch) + r,
            "nearest_mean_error": 0.1 / layer,
            "test_nearest_mean_error": 0.2 / layer,
        }
        for r in range(2)
        for epoch in SNAPSHOTS
        for layer in range(1, depth + 1)
    ]
    return pd.DataFrame(rows)


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


def test_the_flow_of_small_problems_is_drawn():
    table = pd.DataFrame(flow_rows(2022, 0))
    figure = figure_gradientflow.draw(table)
    left, middle, right = figure.axes
    course = table[table["method"] == "flow"]
    np.testing.assert_allclose(line(left), course["rho"])
    assert sorted(line(middle)) == sorted(table["distance"].dropna())
    points = [len(line(right, i)) for i in range(2)]  # by layer norm
    assert sum(points) == (table["method"] == "momentum").sum()


def test_readings_stand_beside_the_papers_statements():
    table = runs(recipe=["a", "b"], decay=[0.001, 0.0], init=[0.9, 1.0, 1.3])
    lost = (table["recipe_name"] == "b") & (table["weight_decay"] == 0.001)
    table.loc[lost & (table["epoch"] > 2), MEASURED] = np.nan
    figure = figure_readings.draw(table)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]
    start = finals(table, recipe_name="a", weight_decay=0.001, init_scale=0.9)
    measures = [name for name in figure_readings.MEASURES if name != "train_error"]
    assert "0 in all of them: training error (share)" in words(figure)
    for ax, name in zip(figure.axes, measures, strict=False):
        values = np.sqrt(start["train_loss"]) if name == "residual" else start[name]
        np.testing.assert_allclose(ax.lines[0].get_xdata(), values)
    end = finals(table, recipe_name="a", weight_decay=0.0)
    end = end.assign(inverse=1 / end["rho"]).groupby("init_scale")[["inverse", "test_error"]].mean()
    slope = -np.polyfit(end["inverse"], end["test_error"], 1)[0]
    numbers = figure_readings.tabulate(table).numbers.set_index("reading")
    assert numbers.loc["a", "slope without"] == pytest.approx(slope)
    assert numbers.loc["a", "rho"] == pytest.approx(start["rho"].median())
    text = figure_readings.tabulate(table).text
    assert text.iloc[-1][["reading", "slope with decay"]].tolist() == ["the paper", ""]
    # A dot or a cross for each test of each reading that has the runs for it: all but scale 0.1.
    *_, hits = figure.axes
    marks = [line.get_marker() for line in hits.lines]
    assert len(marks) == numbers["of"].sum()
    assert marks.count("o") == numbers["met"].sum()
    assert text["met: 0.1 trains"].tolist()[:2] == ["", ""]


def test_what_the_readings_axes_say_is_apart():
    table = ROOT / "results/reference/readings/aggregate/figure_readings.parquet"
    figure = figure_readings.draw(read_runs(table, AGGREGATE))
    figure.draw_without_rendering()
    for ax in figure.axes:
        shown = [text for text in ax.get_xticklabels() if text.get_text()]
        boxes = sorted((text.get_window_extent() for text in shown), key=lambda box: box.x0)
        if turned := max(text.get_rotation() for text in shown):  # lines of text on a slope
            apart = ax.bbox.width / len(shown) * math.sin(math.radians(turned))
            assert apart > shown[0].get_size() / 72 * figure.dpi
            continue
        inside = [box for box in boxes if ax.bbox.x0 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1]
        assert len(inside) >= 2, ax.get_xlabel()
        assert all(a.x1 < b.x0 for a, b in pairwise(inside)), ax.get_xlabel()
    [title] = [t for t in figure.findobj(Text) if t.get_text().startswith("The paper's statements")]
    assert title.get_window_extent().x1 <= figure.get_window_extent().x1


def readings_of(**columns):
    """What the tests say of a reading whose last rows are a good one's but for `columns`.

    A column is a number, or a function of scale, replicate and whether there is weight decay.
    """
    no_line = {0.1: 0.1, 0.9: 0.1, 1.0: 0.13, 1.3: 0.1}
    good = {
        "train_error": 0.0,
        "train_loss": 0.04**2,
        "rho": lambda scale, decay: 450 * (scale if decay else scale**3),
        "mean_margin": lambda scale, decay: 0.004 if decay else 0.001,
        "margin_sd": lambda scale, decay: 1e-4 if decay else 1e-6,
        # 1 / rho rises by 1e-3, test accuracy falls by 19e-3.
        "test_error": lambda scale, decay: 19 / (450 * scale) if decay else no_line[scale],
    }
    table = runs(recipe=["a"], decay=[0.001, 0.0], init=[0.1, 0.9, 1.0, 1.3])
    for name, value in (good | columns).items():
        keys = zip(table["init_scale"], table["weight_decay"] > 0, strict=True)
        table[name] = [value(*key) if callable(value) else value for key in keys]
    [reading] = reading_statements.readings(table)
    return {hit.name: hit.of(reading) for hit in reading_statements.HITS}


@pytest.mark.parametrize(
    ("column", "value", "missed"),
    [
        (None, None, set()),
        ("train_error", lambda scale, decay: 0.001 * (scale == 0.9), {"fits"}),
        ("train_error", lambda scale, decay: 0.06 * (scale == 0.1), {"0.1 trains"}),
        ("train_loss", lambda scale, decay: 0.06**2, {"interpolates"}),
        ("mean_margin", lambda scale, decay: 0.002 if decay else 0.003, {"smaller without decay"}),
        ("margin_sd", lambda scale, decay: 1e-4 if decay else 2e-5, {"no spread without decay"}),
        ("rho", lambda scale, decay: 450 * scale, {"starts nearer with decay"}),
        (
            "test_error",
            lambda scale, decay: 19 / (450 * scale if decay else 450 * scale**3),
            {"no slope without decay"},
        ),
        (
            "test_error",
            lambda scale, decay: 0.1 + 0.03 * (scale == 1.0) - (scale == 1.3) * 0.01,
            {"slope falls"},
        ),
    ],
)
def test_a_reading_meets_what_it_should(column, value, missed):
    found = readings_of(**({column: value} if column else {}))
    assert {name for name, passed in found.items() if not passed} == missed


def test_the_rule_of_the_claims_is_drawn(monkeypatch):
    monkeypatch.setattr(figure_verdicts, "STUDIES", 60)
    figure = figure_verdicts.draw()
    assert_labelled(figure)
    left, right = figure.axes
    level, tests = 0.05, 192
    shares = {line.get_label(): line.get_ydata() for line in left.lines}
    # The sign test does not know whether a law is skewed; the t test does.
    assert max(shares["sign test, lognormal"]) <= 3 * level
    assert min(shares["t test, lognormal"]) > 0.5
    # All of 12 must agree, 15 of 16.
    power = {line.get_label(): line.get_ydata() for line in right.lines}
    share = right.lines[0].get_xdata()
    assert 2**-12 * tests < level < 2**-11 * tests
    np.testing.assert_allclose(power["12 replicates"], share**12)
    np.testing.assert_allclose(power["16 replicates"], 16 * share**15 - 15 * share**16)
    assert not power["10 replicates"].any()


def test_precision_is_compared_replicate_by_replicate():
    table = pd.concat(
        [
            run(i, replicates=7, decay=decay, recipe=recipe)
            for i, (decay, recipe) in enumerate(
                (decay, recipe) for decay in (1e-3, 0) for recipe in ("float64", "bfloat16")
            )
        ],
        ignore_index=True,
    )
    stuck = table["replicate"].eq(3) & table["recipe_name"].eq("bfloat16")
    lost = table.assign(train_error=table["train_error"].where(~stuck, 0.5))
    figure = figure_precision.draw(lost)
    assert_labelled(figure)
    rho = figure.axes[0]
    grey = [a for a in rho.lines if a.get_markeredgecolor() == style.GREY]
    values = [value for a in grey for value in a.get_ydata()]
    np.testing.assert_allclose(sorted(values), sorted(finals(table[stuck])["rho"]))
    good = finals(lost[lost["train_error"].eq(0) & ~stuck], weight_decay=1e-3)
    bars = np.concatenate([bar.get_segments() for bar in rho.collections])[:, 0, 1]
    assert good.groupby("recipe_name")["rho"].median()["bfloat16"] in bars
    made = figure_precision.tabulate(table)
    numbers, text = made.numbers, made.text
    found = numbers[numbers["weight_decay"].eq(0) & numbers["recipe_name"].eq("bfloat16")].iloc[0]
    last = table[table["epoch"].eq(EPOCHS) & table["weight_decay"].eq(0)]
    exact, rounded = (
        last[last["recipe_name"] == name].sort_values("replicate")["rho"].to_numpy()
        for name in ("float64", "bfloat16")
    )
    ratio = rounded / exact
    assert found["rho"] == np.median(rounded)
    assert found["rho_ratio"] == pytest.approx(np.median(ratio))
    # Of seven replicates all lie on one side of the median with probability 1/64: the range.
    assert [found["rho_ratio_low"], found["rho_ratio_high"]] == pytest.approx(
        [ratio.min(), ratio.max()]
    )
    assert "(ratio" in text.set_index("precision").loc["bfloat16", r"$\rho$"].iloc[0]
    assert "(ratio" not in text.set_index("precision").loc["float64", r"$\rho$"].iloc[0]
    # Of three replicates no interval holds the median with 95%.
    few = figure_precision.tabulate(table[table["replicate"] < 3]).text.astype(str)
    assert few.apply(lambda column: column.str.contains(r"\(ratio [^,]*\)")).any(axis=None)
    assert not few.apply(lambda column: column.str.contains("nan")).any(axis=None)


def test_sizes_are_drawn_and_tabulated_by_width_and_images():
    table = pd.concat(
        [
            run(i, replicates=1, decay=decay, width=width, n=n)
            for i, (width, n, decay) in enumerate(
                (width, n, decay)
                for width in (0.25, 1.0)
                for n in (1000, 10000)
                for decay in (0, 1e-3)
            )
        ],
        ignore_index=True,
    )
    figure = figure_size.draw(table)
    assert_labelled(figure)
    assert len(figure.axes) == 16
    assert [ax.get_title("left").split("\n")[1] for ax in figure.axes[:2]] == [
        "N = 10,000, batches of 128",
        "N = 1,000, batches of 128",
    ]
    assert "Median" not in words(figure)  # of one replicate
    names = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert names == [figure_size.name(width, decay) for width in (1, 0.25) for decay in (1e-3, 0)]
    # What the paper prints stands at the convolutions' rho, which this table lacks.
    assert not [line for ax in figure.axes for line in ax.lines if line.get_linestyle() == ":"]

    made = figure_size.tabulate(table)
    assert len(made.numbers) == len(made.text) - 1 == 8
    paper = made.text.iloc[0].tolist()
    assert paper == ["the paper", *[""] * 11]  # whose numbers stand at the convolutions' rho
    last = table[table["epoch"].eq(EPOCHS)]
    for row in made.numbers.to_dict("records"):
        same = last[(last[figure_size.BY] == [row[name] for name in figure_size.BY]).all(axis=1)]
        assert row["rho_median"] == same["rho"].item()
        assert row["nc3_least"] == row["nc3_largest"] == same["nc3"].item()
        assert row["replicates"] == 1
    assert made.text.iloc[-1][["width", "N", r"$\lambda$"]].tolist() == ["1", "10,000", "0.001"]
    assert " to " not in "".join(made.text.iloc[1:].to_numpy().ravel())

    several = pd.concat([run(0, n=1000), run(1, n=2000)], ignore_index=True)
    rho = several[several["epoch"].eq(EPOCHS) & several["n_train"].eq(1000)]["rho"]
    cell = figure_size.tabulate(several).text.set_index("N").loc["1,000", r"Product norm $\rho$"]
    assert cell == f"{rho.median():.3g} ({rho.min():.3g} to {rho.max():.3g})"
