"""rho of the convolutions, and what is divided by it, against networks computed in plain NumPy.

Each epoch is a network with weights of its own, and outputs on images. The join is given what
training and extraction would have written of it, and must answer what the outputs say.
"""

from itertools import product
from math import log, prod, sqrt

import numpy as np
import pandas as pd
import plain
import pytest

from squareloss.measure.convolutions import counted
from squareloss.spec import Recipe
from squareloss.tables.aggregate import CONVOLUTION_COLUMNS

EPOCHS, SNAPSHOTS, REPLICATES = range(4), (0, 3), range(2)
CONVOLUTIONS = {
    "cnn6": [(32, 3, 1), (64, 32, 2), (128, 64, 1), (128, 128, 2)],
    "cnn3": [(32, 3, 3), (64, 32, 3)],
}
DENSE = {"cnn6": [6, None], "cnn3": [None], "mlp": [6] * 10 + [None]}
POINT = {
    "weight_decay": 1e-3,
    "init_scale": 0.9,
    "label_noise": 0.0,
    "n_train": 400,
    "batch_size": 32,
    "learning_rate": 0.03,
}
DELTA = 0.05


class Course:
    """One run: its networks by replicate and epoch, and the rows that the join takes of them."""

    def __init__(self, name, network, normalization, classes=2, seed=0):
        self.name, self.classes, self.draw = name, classes, np.random.default_rng(seed)
        self.recipe = Recipe(dataset="d", network=network, normalization=normalization, epochs=3)
        self.images = self.draw.random((5, 3, 27, 27))
        self.labels = np.array([0, 1, 0, 1, 1])
        self.frozen = normalization in ("wn", "lm")
        self.networks = {}
        for replicate in REPLICATES:
            norms = self.draw.uniform(0.5, 4, 11)
            for epoch in EPOCHS:
                if not self.frozen:
                    norms = self.draw.uniform(0.5, 4, 11)
                self.networks[replicate, epoch] = self.network(network, norms)
        self.inputs = {key: self.draw.uniform(0.5, 2, 2) for key in self.networks}
        self.rows = pd.DataFrame([self.row(*key) for key in self.networks])
        self.layers = pd.DataFrame(
            self.identity(*key) | {"layer": k, "frobenius_norm": plain.norm(w)}
            for key, network in self.networks.items()
            if key[1] in SNAPSHOTS
            for k, w in enumerate(network.weights, start=1)
        )

    def network(self, name, norms):
        """A network of these layers, each weight scaled to its norm."""
        shapes = [(out, into, 3, 3) for out, into, _ in CONVOLUTIONS.get(name, [])]
        strides = tuple((stride, 1) for _, _, stride in CONVOLUTIONS.get(name, []))
        features = self.images
        for shape, (stride, _) in zip(shapes, strides, strict=True):
            features = plain.convolved(features, np.zeros(shape), stride)
        inputs = features[0].size
        for units in DENSE[name]:
            shapes.append((units or self.classes, inputs))
            inputs = units
        weights = [self.draw.normal(size=shape) for shape in shapes]
        weights = [plain.direction(w) * g for w, g in zip(weights, norms, strict=False)]
        return plain.Network(strides, weights, self.draw.choice([-1, 1]) * 3.0, [])

    def identity(self, replicate, epoch):
        return {"recipe_name": self.name, **POINT, "replicate": replicate, "epoch": epoch}

    def row(self, replicate, epoch):
        network = self.networks[replicate, epoch]
        margins = plain.margin(network.outputs(self.images) / network.rho, self.labels)
        max_norm, ramp_loss = self.inputs[replicate, epoch]
        measured = epoch in SNAPSHOTS
        return self.identity(replicate, epoch) | {
            "classes": self.classes,
            "rho": network.rho,
            "rho_top": network.rho_top,
            "mean_margin": margins.mean(),
            "margin_sd": margins.std(),
            "max_norm": max_norm if measured else np.nan,
            "ramp_loss": ramp_loss if measured else np.nan,
            "delta": DELTA if measured else np.nan,
        }

    def expected(self, replicate, epoch):
        """The columns, from weights and outputs, and none of the columns that the join reads."""
        network = self.networks[replicate, epoch]
        kernels = [plain.norm(w) for w in network.weights if w.ndim == 4]
        known = bool(kernels) and (self.frozen or epoch in SNAPSHOTS)
        rho = abs(network.rho_top) * prod(kernels) if known else np.nan
        f = network.outputs(self.images)
        own = f[np.arange(5), self.labels]
        margins = plain.margin(f, self.labels) / rho
        difference = (own - (f.sum(1) - own)) / rho if self.classes == 2 else np.full(5, np.nan)
        max_norm, ramp_loss = self.inputs[replicate, epoch]
        norm, layers, n = rho * max_norm, len(network.weights), POINT["n_train"]
        first = 2 * (norm + 1) * (sqrt(2 * log(2) * layers) + 1) / sqrt(n) + ramp_loss

        def second(x):
            return 3 * sqrt(log(2 * x**2 / DELTA) / (2 * n))

        bounded = known and epoch in SNAPSHOTS
        return {
            "rho_convolutions": rho,
            "mean_margin_convolutions": margins.mean(),
            "margin_sd_convolutions": margins.std(),
            "mean_difference_convolutions": difference.mean(),
            "difference_sd_convolutions": difference.std(),
            "eq16_printed_convolutions": first + second(log(norm) + 1) if bounded else np.nan,
            "eq16_eq12_convolutions": first + second(norm + 1) if bounded else np.nan,
        }


COURSES = [
    Course("wn", "cnn6", "wn", seed=1),
    Course("lm", "cnn3", "lm", seed=2),
    Course("none", "cnn3", "none", seed=3),
    Course("five", "cnn3", "wn", classes=5, seed=4),
    Course("dense", "mlp", "wn", seed=5),
]


def joined(courses, layers=None):
    """The columns of several runs at once, rows in random order, and the rows they are of."""
    rows = pd.concat([course.rows for course in courses]).sample(frac=1, random_state=0)
    rows = rows.reset_index(drop=True)
    layers = pd.concat([course.layers for course in courses]) if layers is None else layers
    layers = layers.sample(frac=1, random_state=1)
    recipes = {course.name: course.recipe.model_dump() for course in courses}
    return rows, counted(recipes, rows, layers)


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.name)
def test_columns_are_what_weights_and_outputs_say(course):
    rows, columns = joined(COURSES)
    assert list(columns) == [column.name for column in CONVOLUTION_COLUMNS]
    for replicate, epoch in product(REPLICATES, EPOCHS):
        same = (rows["replicate"] == replicate) & (rows["epoch"] == epoch)
        found = columns[same & (rows["recipe_name"] == course.name)]
        assert len(found) == 1
        expected = course.expected(replicate, epoch)
        for name, value in expected.items():
            assert found[name].iloc[0] == pytest.approx(value, rel=1e-9, nan_ok=True), name


def test_the_courses_tell_every_case_apart():
    rows, columns = joined(COURSES)
    known = columns["rho_convolutions"].notna().groupby([rows["recipe_name"], rows["epoch"]]).all()
    assert known["wn"].tolist() == known["lm"].tolist() == [True] * 4
    assert known["none"].tolist() == [True, False, False, True]
    assert not known["dense"].any()
    assert columns.loc[rows["recipe_name"] == "five", "mean_difference_convolutions"].isna().all()
    values = columns["rho_convolutions"].dropna()
    assert values.nunique() > len(REPLICATES) * 3


def test_a_layer_that_is_missing_or_diverged_leaves_no_smaller_product():
    course = COURSES[2]  # norms are not frozen: each snapshot stands for itself
    layers = course.layers.copy()
    first = (layers["replicate"] == 0) & (layers["layer"] == 2)
    layers.loc[first & (layers["epoch"] == 0), "frobenius_norm"] = np.nan
    layers = layers[~(first & (layers["epoch"] == 3))]
    rows, columns = joined([course], layers)
    lost = rows["replicate"] == 0
    assert columns[lost].isna().all(axis=None)
    kept = columns.loc[~lost & rows["epoch"].isin(SNAPSHOTS), "rho_convolutions"]
    assert kept.notna().all()


def test_frozen_norms_are_those_of_the_first_snapshot_that_has_them():
    course = COURSES[0]
    layers = course.layers.copy()
    layers.loc[layers["epoch"] == 3, "frobenius_norm"] = np.nan  # as after divergence
    _, whole = joined([course])
    _, columns = joined([course], layers)
    pd.testing.assert_frame_equal(columns, whole)


def test_a_dead_network_has_no_margin():
    course = COURSES[0]
    rows = course.rows.assign(rho_top=0.0, rho=0.0)
    columns = counted({course.name: course.recipe.model_dump()}, rows, course.layers)
    assert (columns["rho_convolutions"] == 0).all()
    assert columns["mean_margin_convolutions"].isna().all()
