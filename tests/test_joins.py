"""Every cell of an aggregate against the row of the table that it comes from, looked up by hand.

Two runs that share all but N and the recipe, three replicates, rows in random order. No two cells
hold the same number, so that a value from another run, replicate, epoch or column shows.
"""

import itertools

import numpy as np
import pandas as pd
import pytest

from squareloss.errors import UserError
from squareloss.measure.join import aggregate, averages
from squareloss.spec import Recipe
from squareloss.tables.aggregate import AGGREGATE, AVERAGED, TRAINED
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.history import HISTORY
from squareloss.tables.layers import LAYERS
from squareloss.tables.runs import RUN, last_epoch
from squareloss.tables.schema import IDENTITY
from squareloss.theory.bounds import BOUNDS

KEYS = [column.name for column in IDENTITY]
POINT = {
    "weight_decay": 1e-3,
    "init_scale": 0.9,
    "label_noise": 0.2,
    "batch_size": 32,
    "learning_rate": 0.03,
}
RUNS = [
    POINT | {"recipe_name": "deep", "n_train": 100},
    POINT | {"recipe_name": "deep", "n_train": 200},
    POINT | {"recipe_name": "flat", "n_train": 100},
]
DEPTH = {"deep": 4, "flat": 2}
EPOCHS, SNAPSHOTS = range(4), (0, 3)
UNMEASURED = (1, 2, 3)  # number of a run, replicate and epoch: no snapshot could be measured there
RECIPES = {
    "deep": Recipe(dataset="d", network="cnn6", width=0.5, normalization="lm", epochs=3),
    "flat": Recipe(dataset="e", network="mlp", loss="cross_entropy", optimizer="gd", epochs=3),
}
SETTINGS = {name: recipe.model_dump() for name, recipe in RECIPES.items()}


class Tables:
    """The four tables that are joined, their numbers drawn at random."""

    def __init__(self):
        self.draw = np.random.default_rng(0)
        rows = [(run, r, epoch) for run in range(3) for r in range(3) for epoch in EPOCHS]
        kept = [key for key in rows if key[2] in SNAPSHOTS and key != UNMEASURED]
        self.history = self.table(HISTORY.columns, rows)
        self.history["mean_margin"] *= self.draw.choice([-1, 1], len(rows))
        self.collapse = self.table(COLLAPSE.columns, kept)
        layers = [(*k, la) for k in kept for la in range(1, 1 + DEPTH[RUNS[k[0]]["recipe_name"]])]
        self.layers = self.table(LAYERS.columns, layers, "layer")
        bounds = [(*key, name) for key in kept for name in BOUNDS]
        self.bounds = self.table([], bounds, "bound").assign(
            value=self.draw.random(len(bounds)), applies=True, rho=9.0, layers=7, train_error=9.0
        )
        inputs = {key: self.draw.random(3) for key in kept}
        for i, name in enumerate(("max_norm", "ramp_loss", "delta")):
            self.bounds[name] = [inputs[key[:3]][i] for key in bounds]
        for name in ("history", "collapse", "layers", "bounds"):
            setattr(self, name, getattr(self, name).sample(frac=1, random_state=1))

    def table(self, columns, keys, extra=None):
        """Rows of the runs, replicates and epochs of `keys`, which may hold one thing more."""
        frame = pd.DataFrame(
            RUNS[run]
            | {"replicate": replicate, "epoch": epoch}
            | ({extra: more[0]} if more else {})
            for run, replicate, epoch, *more in keys
        )
        for column in columns:
            if column.name != extra:
                frame[column.name] = self.draw.random(len(frame))
        return frame

    def joined(self):
        return aggregate(SETTINGS, self.history, self.collapse, self.layers, self.bounds)


@pytest.fixture(scope="module")
def tables():
    return Tables()


def rows_of(table, row):
    """The rows of a table with a row's identity, found without a join."""
    same = np.ones(len(table), dtype=bool)
    for key in KEYS:
        same &= (table[key] == row[key]).to_numpy()
    return table[same]


def test_every_cell_is_that_of_its_run_replicate_and_epoch(tables):
    joined = tables.joined()
    assert len(joined) == len(tables.history) == 3 * 3 * len(EPOCHS)
    without = 0
    for row in joined.to_dict("records"):
        one = rows_of(tables.history, row).iloc[0]
        for column in HISTORY.columns:
            assert row[column.name] == one[column.name]
        assert row["margin_spread"] == pytest.approx(one["margin_sd"] / abs(one["mean_margin"]))
        for name in TRAINED:
            assert row[name] == SETTINGS[row["recipe_name"]][name]
        collapse, layers, bounds = (
            rows_of(table, row) for table in (tables.collapse, tables.layers, tables.bounds)
        )
        measured = [c.name for c in COLLAPSE.columns] + [*AVERAGED, *BOUNDS, "max_norm", "delta"]
        if collapse.empty:
            without += 1
            assert all(np.isnan(row[name]) for name in measured)
            continue
        for column in COLLAPSE.columns:
            assert row[column.name] == collapse.iloc[0][column.name]
        hidden = layers[layers["layer"] < DEPTH[row["recipe_name"]]]
        assert len(hidden) == DEPTH[row["recipe_name"]] - 1
        for name in AVERAGED:
            assert row[name] == pytest.approx(hidden[name].mean())
        for bound, value in zip(bounds["bound"], bounds["value"], strict=True):
            assert row[bound] == value
        for name in ("max_norm", "ramp_loss", "delta"):
            assert row[name] == bounds[name].iloc[0]
    assert without == 3 * 3 * 2 + 1


def test_rows_are_in_the_order_of_their_runs_replicates_and_epochs(tables):
    joined = tables.joined()
    assert list(joined.columns) == AGGREGATE.schema().names
    keys = joined[KEYS].to_records(index=False).tolist()
    assert keys == sorted(keys)
    epochs = itertools.cycle(EPOCHS)
    assert joined["epoch"].tolist() == [next(epochs) for _ in range(len(joined))]


@pytest.mark.parametrize("name", ["history", "collapse", "layers", "bounds"])
def test_a_replicate_that_one_table_lacks_is_refused(tables, name):
    parts = {n: getattr(tables, n) for n in ("history", "collapse", "layers", "bounds")}
    parts[name] = parts[name][parts[name]["replicate"] != 1]
    with pytest.raises(UserError, match="other runs, replicates or epochs than each other"):
        aggregate(SETTINGS, **parts)


@pytest.mark.parametrize("name", ["history", "collapse"])
def test_a_row_that_is_there_twice_is_refused(tables, name):
    parts = {n: getattr(tables, n) for n in ("history", "collapse", "layers", "bounds")}
    parts[name] = pd.concat([parts[name], parts[name].iloc[:1]])
    with pytest.raises(pd.errors.MergeError):
        aggregate(SETTINGS, **parts)


def test_means_are_over_the_layers_of_one_epoch_and_replicate(tables):
    means = averages(tables.layers)
    assert len(means) == len(tables.collapse)
    assert set(means.columns) == {*KEYS, *AVERAGED}


def test_the_last_epoch_is_that_of_each_run():
    short, long = ({"epoch": range(end + 1)} for end in (3, 5))
    runs = [pd.DataFrame(e).assign(**RUNS[i], replicate=r) for i, e in ((0, short), (1, long))
            for r in range(2)]  # fmt: skip
    last = last_epoch(pd.concat(runs))
    assert last.groupby(RUN)["epoch"].agg(list).tolist() == [[3, 3], [5, 5]]
