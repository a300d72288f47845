"""Specs and images for the tests of data, and the stage called in this process."""

import sys
from pathlib import Path

import numpy as np
import pytest

from squareloss.data import prepare as stage
from squareloss.data.images import Images
from squareloss.errors import run_stage
from squareloss.spec import DataSpec


def data_spec(**changes: object) -> DataSpec:
    values = {
        "source": "mnist5k",
        "root": "",
        "classes": ((1,), (2,)),
        "n_train": 40,
        "n_test": 20,
        "noise_kind": "permute",
        "label_noise": 0.0,
        "seed": 0,
        "replicates": (0, 1),
    }
    return DataSpec.model_validate(values | changes)


def pool(labels: int, per_label: int, seed: int = 0, test: int = 0, channels: int = 3) -> Images:
    """Random images of `labels` labels in random order; `test` of each label in a test set."""
    draw = np.random.default_rng(seed)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (labels * count, channels, 32, 32)
        pixels = draw.integers(256, size=shape, dtype=np.uint8)
        return pixels, draw.permutation(np.repeat(np.arange(labels), count))

    return Images(*part(per_label), *(part(test) if test else ()))


def labels_only(labels: int, per_label: int, seed: int, test: int) -> Images:
    """As `pool`, with images of one pixel: enough for `choose`."""
    draw = np.random.default_rng(seed)
    train = draw.permutation(np.repeat(np.arange(labels), per_label))
    if not test:
        return Images(np.zeros((len(train), 1, 1, 1), np.uint8), train)
    held = draw.permutation(np.repeat(np.arange(labels), test))
    pixels = np.zeros((max(len(train), len(held)), 1, 1, 1), np.uint8)
    return Images(pixels[: len(train)], train, pixels[: len(held)], held)


def run_main(monkeypatch: pytest.MonkeyPatch, spec: str, output: Path) -> object:
    """What the stage exits with: None, or the message that goes to stderr with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["prepare", "--spec", spec, "--output", str(output)])
    try:
        run_stage(stage.main)
    except SystemExit as stop:
        return stop.code
    return None


def assert_one_line(message: object, *parts: object) -> None:
    assert isinstance(message, str)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
