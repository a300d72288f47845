"""Every run reads the split that its point asks for, and its noise is as the config says."""

import hashlib

import numpy as np
import pytest
from made_images import data_spec, pool
from test_config import raw

from squareloss.data.prepare import noisy, prepare
from squareloss.spec import Recipe, stream
from squareloss.study import sweep
from squareloss.study.load import load


@pytest.fixture(scope="module")
def study():
    """The paper's study, whose two data sets differ in all that a data set says."""
    text = raw()
    text["datasets"]["cifar10"] |= {"noise_kind": "uniform", "root": "elsewhere", "n_test": 1000}
    return load(text | {"replicates": 4, "block_size": 2, "seed": 5})


def test_two_noises_are_two_splits_each_with_its_own_noise(study):
    shares = [0.2, 0.4, 0.6, 0.8]
    points = [p for p in sweep.points_of(study, "figure4") if p.label_noise in shares]
    assert sorted(point.label_noise for point in points) == shares
    specs = sweep.data_specs(study)
    paths = [sweep.split_path(study, point, 1) for point in points]
    assert len(set(paths)) == 4
    for point, path in zip(points, paths, strict=True):
        name = f"dataset=cifar10-1v2/noise={point.label_noise}/n={point.n_train}/block=1"
        assert path == f"{name}.safetensors"
        assert specs[path].label_noise == point.label_noise


def test_a_split_is_of_its_points_data_set_size_and_block(study):
    specs, asked = sweep.data_specs(study), set()
    for point in sweep.runs_table(study)["point"]:
        dataset = study.datasets[study.recipes[point.recipe_name].dataset]
        for block, replicates in enumerate([(0, 1), (2, 3)]):
            path = sweep.split_path(study, point, block)
            asked.add(path)
            assert specs[path].model_dump() == {
                "source": dataset.source,
                "root": dataset.root,
                "classes": dataset.classes,
                "n_train": point.n_train,
                "n_test": dataset.n_test,
                "noise_kind": dataset.noise_kind,
                "label_noise": point.label_noise,
                "seed": 5,
                "replicates": replicates,
            }
    assert specs.keys() == asked
    assert {spec.noise_kind for spec in specs.values()} == {"permute", "uniform"}


def test_a_training_job_is_of_its_own_point_recipe_and_block(study):
    for point in sweep.runs_table(study)["point"]:
        spec = sweep.run_spec(study, point, 1)
        assert (spec.point, spec.recipe) == (point, study.recipes[point.recipe_name])
        assert (spec.replicates, spec.seed) == ((2, 3), 5)
        assert (spec.device, spec.threads) == (study.device, study.threads)


def test_the_foot_of_a_figure_says_the_ends_of_what_is_swept():
    text = raw("config/demo.yaml")
    text["recipes"]["cnn6"]["width"] = 0.25
    text["experiments"]["figure6"]["sweeps"] = [{"n_train": [300, 100, 200]}]
    study = load(text)
    line = sweep.made_from(study, "figure6")
    assert ", N = 100 to 300, " in line
    assert "cnn6 at 0.25 x width" in line
    assert line.startswith(study.datasets[study.recipes["cnn6"].dataset].title)
    named = sweep.recipes_json(study, "figure6")
    assert '"width": 0.25' in named
    assert '"cnn3"' not in named


# Label noise


@pytest.mark.parametrize("kind", ["permute", "uniform"])
def test_the_share_of_noisy_samples_is_rounded(kind):
    """Of 100 samples of 100 classes, 0.29 are 29. (0.29 * 100 is a little less than 29.)

    A chosen sample may keep its label by chance, so this is the most of ten replicates.
    """
    labels = np.arange(100)
    classes = tuple((label,) for label in labels.tolist())
    spec = data_spec(classes=classes, noise_kind=kind, label_noise=0.29)
    assert max((noisy(spec, labels, r) != labels).sum() for r in range(10)) == 29


def test_permuted_labels_keep_their_counts_and_uniform_ones_do_not():
    labels = np.arange(300) % 3
    counts = {}
    for kind in ("permute", "uniform"):
        spec = data_spec(classes=((0,), (1,), (2,)), noise_kind=kind, label_noise=1.0)
        counts[kind] = np.bincount(noisy(spec, labels, 0)).tolist()
    assert counts["permute"] == [100, 100, 100] != counts["uniform"]
    assert sum(counts["uniform"]) == 300


def test_training_images_alone_are_what_inputs_are_standardised_by():
    images = pool(3, 60, test=15)
    images.train_images[:] //= 2  # darker than the test images
    split = prepare(data_spec(), images)
    scaled = images.train_images[split.train_indices] / 255
    np.testing.assert_allclose(split.mean, scaled.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(split.std, scaled.std((0, 2, 3)), rtol=1e-6)
    assert (images.test_images[split.test_indices] / 255).mean() > 1.5 * split.mean.mean()
    assert len(split.train_indices) < len(images.train_images)


# Epochs and random streams


def test_the_papers_snapshots_by_hand():
    """500^(k / 9) for k = 0 to 9, rounded to whole epochs; then the last epoch."""
    recipe = Recipe(dataset="d", network="cnn6", epochs=1000, snapshots=12)
    assert recipe.snapshot_epochs() == [0, 1, 2, 4, 8, 16, 32, 63, 126, 251, 500, 1000]


def test_evaluated_epochs_by_hand():
    recipe = Recipe(dataset="d", network="mlp", epochs=25, snapshots=3, evaluate_every=10)
    assert recipe.snapshot_epochs() == [0, 12, 25]
    assert recipe.evaluation_epochs() == [*range(11), 12, 20, 25]


def test_a_stream_is_the_hash_of_its_names():
    """What has been drawn stays what it was only if the seeds stay what they were."""
    digest = hashlib.sha256(b"2022/3/wd=0.001/weights").hexdigest()
    assert stream(2022, 3, "wd=0.001", "weights") == int(digest[:16], 16) // 2
