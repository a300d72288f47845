"""The pandas examples of README and docs/query.md: none mixes networks, whatever the study has."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflow_copy import blocks

from squareloss.spec import Point
from squareloss.study import files, plan
from squareloss.tables.paths import point_path
from squareloss.tables.runs import RUN

EXAMPLES = blocks("README.md", "python") + blocks("docs/query.md", "python")[:2]
REPLICATES, EPOCHS, SAMPLES = 3, {"cnn6": (0, 5, 10), "gd": (0, 20)}, 4


def points():
    """Runs that differ in every setting by turns: what an example forgets would mix two of them."""
    values = {
        "recipe_name": ("cnn6", "gd"),
        "weight_decay": (0.001, 0.0),
        "init_scale": (0.9, 1.3),
        "label_noise": (0.0, 0.2),
        "n_train": (40, 50),
        "batch_size": (8, 16),
        "learning_rate": (0.03, 0.1),
    }
    first = {name: pair[0] for name, pair in values.items()}
    yield Point(**first)
    for name, pair in values.items():
        yield Point(**{**first, name: pair[1]})


def rows(point, number):
    """A row a replicate and epoch; the columns of tables of history, with values of its run."""
    for replicate, epoch in itertools.product(range(REPLICATES), EPOCHS[point.recipe_name]):
        yield {
            **point.model_dump(),
            "replicate": replicate,
            "epoch": epoch,
            "rho": 100.0 * (number + 1) + replicate + epoch,
            "mu": 0.01 * (number + 1),
            "M": 1e-4,
            "lambda_eff": point.weight_decay,
            "test_error": 0.01 * (number + 1) + 0.001 * replicate,
        }


def metrics(table):
    """The parts of a table."""
    return sorted(map(str, Path("results/demo/metrics", table).rglob("*.parquet")))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study in the layout of results/demo: two recipes, eight runs. The table of all rows."""
    monkeypatch.chdir(tmp_path)
    tables = [pd.DataFrame(rows(point, number)) for number, point in enumerate(points())]
    for point, table in zip(points(), tables, strict=True):
        samples = table.loc[table.index.repeat(SAMPLES)].reset_index(drop=True)
        samples["margin"] = samples["rho"] + np.arange(len(samples)) % SAMPLES
        for name, part in (("history", table), ("margins", samples)):
            path = Path("results/demo/metrics", name, point_path(point), "block=0.parquet")
            path.parent.mkdir(parents=True)
            part.to_parquet(path)
    whole = pd.concat(tables, ignore_index=True)
    # These runs are those that the config asks for.
    monkeypatch.setattr(files, "read", lambda paths: paths)
    monkeypatch.setattr(plan, "parts", lambda _, table: [*metrics(table)])
    path = Path("results/demo/aggregate/figure5.parquet")
    path.parent.mkdir(parents=True)
    whole.to_parquet(path)
    return whole


def printed(example):
    """What an example prints, as it is: a table."""
    tables = []
    exec(example, {"print": tables.append})
    [table] = tables
    return table


def test_there_are_three_examples_that_read_results():
    assert [example.count("read_parquet") for example in EXAMPLES] == [1, 1, 1]


def test_the_end_of_every_run(study):
    found = printed(EXAMPLES[0])
    assert len(found) == 8
    for number, point in enumerate(points()):
        mine = (found[RUN] == pd.Series(point.model_dump())[RUN]).all(axis=1)
        last = EPOCHS[point.recipe_name][-1]
        assert found.loc[mine, "rho"].tolist() == [100.0 * (number + 1) + 1 + last]  # replicate 1
        np.testing.assert_allclose(found.loc[mine, "test_error"], 0.01 * (number + 1) + 0.001)


def test_margins_are_those_of_one_network(study):
    found = printed(EXAMPLES[1])
    assert not found.duplicated([*RUN, "epoch"]).any()
    # Of the eight runs, six are of cnn6 with decay, each with three epochs.
    assert len(found) == 6 * 3
    assert (found["count"] == SAMPLES).all()
    of_point = {point: number for number, point in enumerate(points())}
    for row in found.to_dict("records"):
        number = of_point[Point(**{name: row[name] for name in RUN})]
        assert row["min"] == 100.0 * (number + 1) + row["epoch"]
        assert row["max"] == row["min"] + SAMPLES - 1


def test_the_equilibrium_is_that_of_networks_it_holds_for(study):
    found = printed(EXAMPLES[2])
    assert len(found) == 6
    assert (found["recipe_name"] == "cnn6").all()
    assert (found["weight_decay"] == 0.001).all()
    ratios = found.drop(columns=RUN).squeeze(axis=1)
    expected = {
        (100.0 * (number + 1) + 1 + 10) * (1e-4 + 1e-3) / (0.01 * (number + 1))
        for number, point in enumerate(points())
        if point.recipe_name == "cnn6" and point.weight_decay
    }
    np.testing.assert_allclose(sorted(ratios), sorted(expected))
