"""What a figure compares: the one of any recipes, and refusals while planning instead of later."""

import numpy as np
import pandas as pd
import pytest
from accepted import refusal
from made_runs import EPOCHS, run
from read_figures import medians, title, words
from test_config import raw

from squareloss.errors import UserError
from squareloss.figures import figure_compare
from squareloss.source import catalog
from squareloss.study.load import load

COMPARING = {name: about for name, about in catalog.figures().items() if about.varies is not None}


DEMO = raw("config/demo.yaml")
RUN = run(0, recipe="cnn3", network="cnn3")


def sweeps(name, *grids):
    """The demo's config with one figure and its experiment alone."""
    return DEMO | {"figures": [name], "experiments": {name: {"sweeps": list(grids)}}}


def test_any_recipes_stand_beside_each_other():
    points = {
        "mine, λ = 0.001": {"recipe": "mine", "network": "mlp", "normalization": "bn"},
        "mine, λ = 0": {"recipe": "mine", "network": "mlp", "normalization": "bn", "decay": 0.0},
        "cnn6, λ = 0.001": {},
    }
    tables = {label: run(i, **point) for i, (label, point) in enumerate(points.items())}
    table = pd.concat(tables.values(), ignore_index=True)
    figure = figure_compare.draw(table, "made up")
    assert "Median and quartiles of 3 replicates" in words(figure)
    columns = {panel.title: panel.column for panel in figure_compare.PANELS}
    shown = {title(ax): ax for ax in figure.axes}
    assert shown.keys() == columns.keys()
    for name, ax in shown.items():
        curves = {line.get_label(): line for line in ax.lines}
        for label, one in tables.items():
            expected = medians(one, columns[name])
            np.testing.assert_allclose(curves[label].get_data(), [expected.index, expected])
        colour = {label: curves[label].get_color() for label in tables}
        assert colour["mine, λ = 0"] == colour["mine, λ = 0.001"] != colour["cnn6, λ = 0.001"]

    made = figure_compare.tabulate(table)
    assert made.text["fit"].tolist() == ["3 of 3"] * 3
    last = table[(table["epoch"] == EPOCHS) & (table["recipe_name"] == "cnn6")]
    [row] = made.numbers[made.numbers["recipe_name"] == "cnn6"].to_dict("records")
    for column in columns.values():
        assert row[f"{column}_median"] == last[column].median()
        assert row[f"{column}_largest"] == last[column].max()


def test_each_lambda_above_zero_has_its_colour():
    table = pd.concat([run(i, decay=decay) for i, decay in enumerate((1e-2, 1e-3, 0))])
    ax = figure_compare.draw(table).axes[0]
    assert len({line.get_color() for line in ax.lines if line.get_label()[0] != "_"}) == 3


def test_more_runs_than_colours_are_refused_while_planning():
    values = [0.1 * k for k in range(1, 12)]
    with pytest.raises(UserError, match=r"figure_compare\.sweeps: 11 runs; .* up to 10"):
        load(sweeps("figure_compare", {"init_scale": values}))
    # Two grids that share points ask for each of them once.
    load(sweeps("figure_compare", {"init_scale": values[:9]}, {"init_scale": values[3:10]}))


def refused(config):
    """Why a config is refused while planning, in words; "" if it is taken."""
    try:
        load(config)
    except UserError as error:
        return str(error)
    return ""


# A coordinate's two values in a sweep of the demo, and two recipes that differ in one setting.
COORDINATES = {
    "n_train": [200, 400],
    "label_noise": [0, 0.5],
    "learning_rate": [0.1, 0.2],
    "init_scale": [0.5, 1],
    "weight_decay": [0, 0.1],
    "batch_size": [8, 16],
}
SETTINGS = {
    "dataset": ("ten-classes", "mnist"),
    "network": ("six", "cnn6"),
    "normalization": ("lm", "lm"),
    "loss": ("cross-entropy", "cross_entropy"),
    "optimizer": ("gd", "gd"),
    "recipe_name": ("twin", "cnn3"),  # the same network by another name
}


def cases(name):
    """For each column: a table whose runs differ in it, and a config that asks for such runs."""
    for column, values in COORDINATES.items():
        table = pd.concat([RUN.assign(**{column: value}) for value in values])
        yield column, table, sweeps(name, {column: values})
    for column, (recipe, value) in SETTINGS.items():
        config = sweeps(name, {"recipe": ["cnn3", recipe]})
        more = {"six": {"like": "cnn3", "network": "cnn6"}, "twin": {"like": "cnn3"}}
        config["recipes"] = DEMO["recipes"] | more
        other = RUN.assign(recipe_name=recipe)
        if column != "recipe_name":
            other = other.assign(**{column: value})
        yield column, pd.concat([RUN, other]), config


@pytest.mark.parametrize("name", COMPARING)
def test_what_a_figure_refuses_is_refused_while_planning(name, monkeypatch):
    """And what it takes is planned."""
    about = COMPARING[name]
    for column, table, config in cases(name):
        drawn, planned = refusal(monkeypatch, name, table), refused(config)
        if column in about.varies:
            assert (drawn, planned) == ("", "")
            continue
        assert f"one {column}" in drawn
        assert f"experiments.{name}.sweeps" in planned
        if name != "figure2":  # which takes no label noise at all
            assert f"{name} takes one {column.removesuffix('_name')}" in planned
