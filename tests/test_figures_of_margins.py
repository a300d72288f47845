"""Figures 8 and 10: each histogram is of its epoch, replicate, start and lambda."""

import numpy as np
import pandas as pd
import pytest
from made_runs import EPOCHS, SNAPSHOTS, margins_of, run, runs
from matplotlib.colors import same_color
from matplotlib.patches import StepPatch
from read_figures import assert_labelled, finals, line, medians, steps, title, words

from squareloss.figures import figure8, figure10, style


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
    assert [title(ax) for ax in axes[:2]] == [r"$\lambda$ = 0.001", r"$\lambda$ = 0"]
    assert [ax.get_ylabel() for ax in axes[::2]] == ["init 0.8\nsamples", "init 1.5\nsamples"]
