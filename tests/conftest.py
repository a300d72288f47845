"""Small data and specs that several test files train on."""

import fcntl
import os
import shutil
from pathlib import Path

# Without a GPU the kernels of tests/test_kernels.py are interpreted. Triton reads this when it is
# first imported, which importing torchvision does.
os.environ.setdefault("TRITON_INTERPRET", "0" if Path("/dev/nvidiactl").exists() else "1")

import numpy as np
import pytest
import torch
from hypothesis import settings
from workflow_copy import copy_repository, snakemake

from squareloss.data.split import Split
from squareloss.spec import Point, Recipe, RunSpec, Schedule

torch.set_num_threads(1)
# A busy machine must not fail a property that holds.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def split() -> Split:
    """40 training and 20 test images of 9 x 9 pixels that two classes can be told apart on."""
    rng = np.random.default_rng(0)

    def images(labels: np.ndarray) -> np.ndarray:
        noise = rng.integers(0, 80, (len(labels), 1, 9, 9))
        noise[:, 0, :4] += (labels * 120)[:, None, None]
        return noise.astype(np.uint8)

    train, test = np.arange(40) % 2, np.arange(20) % 2
    x, test_x = images(train), images(test)
    scaled = x / 255
    return Split(
        train_images=x,
        train_indices=np.arange(40),
        train_labels=train,
        noisy_labels=np.stack([train] * 4),
        test_images=test_x,
        test_indices=np.arange(20),
        test_labels=test,
        mean=scaled.mean((0, 2, 3)).astype(np.float32),
        std=scaled.std((0, 2, 3)).astype(np.float32),
    )


@pytest.fixture(scope="session")
def make_spec():
    """Build a small RunSpec; keywords go to the point, the recipe or the spec, by name."""

    def build(**changes: object) -> RunSpec:
        point = {
            "recipe_name": "tiny",
            "weight_decay": 1e-3,
            "init_scale": 1.0,
            "label_noise": 0.0,
            "n_train": 40,
            "batch_size": 16,
            "learning_rate": 0.05,
        }
        recipe = {
            "dataset": "tiny",
            "network": "cnn3",
            "width": 0.125,
            "epochs": 3,
            "snapshots": 3,
            "momentum": 0.9,
            "schedule": Schedule(name="constant"),
        }
        rest = {"seed": 7, "replicates": (0, 1, 2, 3), "device": "cpu", "threads": 1}
        for key, value in changes.items():
            home = next(d for d in (point, rest, recipe) if key in d or d is recipe)
            home[key] = value
        return RunSpec(point=Point(**point), recipe=Recipe(**recipe), **rest)

    return build


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A copy of the repository in which the tiny study has been run.

    It takes minutes, so that the test processes share one run, and each works on a copy of its own.
    """
    folder = tmp_path_factory.mktemp("finished")
    if worker_id == "master":  # the only process
        run_tiny_study(folder)
        return folder
    first = tmp_path_factory.getbasetemp().parent / "finished"
    with first.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = first.with_suffix(".done")
        if not done.exists():
            run_tiny_study(first)
            done.touch()
    shutil.copytree(first, folder, symlinks=True, dirs_exist_ok=True)
    return folder


# The small problems take two thirds of the tiny study. They have tests of their own, and here it
# only matters that their tables are there.
SHORTER = {
    "HORIZON = 2.0": "HORIZON = 0.2",
    "steps=3000": "steps=100",
    "epochs=800": "epochs=10",
    "(3, 36)": "(3, 9)",
    "20_000)": "400)",
    "ATTEMPTS = 8": "ATTEMPTS = 1",
    "ATTEMPTS_OF_THREE = 24": "ATTEMPTS_OF_THREE = 1",
    "iterations: int = 1000": "iterations: int = 20",
    "iterations=200": "iterations=20",
    "iterations=100)": "iterations=10)",
    "max_iter=300": "max_iter=20",
    "step=0.02, steps=50": "step=0.02, steps=5",
    "TEST = 50_000": "TEST = 5_000",
}


def run_tiny_study(folder: Path) -> None:
    """Make a copy of the repository, and run the tiny study in it."""
    copy_repository(folder)
    found = set()
    for name in ("problems", "critical_points", "large_sample"):
        path = folder / f"src/squareloss/small/{name}.py"
        text = path.read_text(encoding="utf-8")
        found |= {long for long in SHORTER if long in text}
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        path.write_text(text, encoding="utf-8")
    assert found == set(SHORTER)
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout + done.stderr
