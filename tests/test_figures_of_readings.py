"""The figure of readings: numbers, slopes and which statements each reading meets."""

import math
from itertools import pairwise

import numpy as np
import pytest
from made_runs import MEASURED, runs
from matplotlib.text import Text
from read_figures import finals, words
from workflow_copy import ROOT

from squareloss.figures import figure_readings, reading_statements
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import read_runs


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
