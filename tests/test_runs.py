"""A study's runs: each once, with the study's threads, and counted as runs."""

from itertools import product

import pytest
from test_config import raw

from squareloss.study import sweep
from squareloss.study.load import load


@pytest.fixture
def study():
    """One experiment of two grids that share a point, on one data set."""
    text = raw("config/demo.yaml")
    text["experiments"]["figure_size"] = {
        "sweeps": [
            {"n_train": [100, 200], "weight_decay": [0, 0.001]},
            {"n_train": [200, 300], "weight_decay": [0.001]},
        ]
    }
    changes = {"figures": ["figure_size"], "replicates": 4, "block_size": 2, "threads": 3}
    return load(text | changes)


def test_a_point_of_two_grids_is_one_run(study):
    points = sweep.points_of(study, "figure_size")
    asked = [*product((100, 200), (0, 0.001)), (300, 0.001)]
    assert sorted((p.n_train, p.weight_decay) for p in points) == sorted(asked)
    assert list(sweep.runs_table(study)["point"]) == points


def test_a_study_is_as_large_as_its_runs(study):
    [dataset] = {
        study.recipes[p.recipe_name].dataset for p in sweep.points_of(study, "figure_size")
    }
    title = study.datasets[dataset].title
    assert sweep.size(study) == f"{title}. 5 runs of 4 replicates."


def test_training_and_planning_take_the_studys_threads(study):
    point = sweep.points_of(study, "figure_size")[0]
    assert sweep.run_spec(study, point, 1).threads == study.threads == 3
