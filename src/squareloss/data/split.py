"""The prepared split: the one file of data that training reads.

A safetensors file without metadata, so that equal splits are equal bytes, with a checksum of its
contents as one more tensor. Imports little: whatever this module imports, training depends on.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy

from squareloss.errors import UserError
from squareloss.files import whole

CHECKSUM = "sha256"
OTHER_DATA = "the prepared data is not what this run was trained on; give the run's own"


@dataclass(frozen=True, eq=False)
class Split:
    """Train and test images of one block of replicates, R replicates, classes 0 ... C-1.

    train_images    uint8 (N, channels, 32, 32)
    train_indices   int64 (N,): positions in the source's train set
    train_labels    int64 (N,): the true classes
    noisy_labels    int64 (R, N): the classes to train on, one row a replicate, in the block's order
    test_images     uint8 (N_test, channels, 32, 32)
    test_indices    int64 (N_test,): positions in the source's test set; in its train set if the
                    source has no test set of its own
    test_labels     int64 (N_test,)
    mean, std       float32 (channels,): of the train pixels, scaled to [0, 1]
    """

    train_images: np.ndarray
    train_indices: np.ndarray
    train_labels: np.ndarray
    noisy_labels: np.ndarray
    test_images: np.ndarray
    test_indices: np.ndarray
    test_labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes C; from the true labels, since noise may empty a class."""
        return int(self.train_labels.max()) + 1

    def refuse_other(self, n_train: int, replicates: int) -> None:
        """Raise `UserError` if a run of N = `n_train` and so many replicates cannot be of it."""
        if len(self.train_labels) != n_train or len(self.noisy_labels) < replicates:
            raise UserError(OTHER_DATA)


FIELDS = tuple(field.name for field in dataclasses.fields(Split))


def write_split(path: str | Path, split: Split) -> None:
    """Write `split` to `path`, whole or not at all."""
    # safetensors copies raw memory: an array with strides would come out scrambled.
    tensors = {name: np.ascontiguousarray(getattr(split, name)) for name in FIELDS}
    tensors[CHECKSUM] = _checksum(tensors)
    with whole(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(tensors))


def read_split(path: str | Path) -> Split:
    """Read what `write_split` wrote.

    Raises `UserError` that names the file if it is missing, truncated or altered.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: the prepared data does not exist; run again to make it") from None
    try:
        tensors = safetensors.numpy.load(data)
        checksum = tensors.pop(CHECKSUM)
        intact = tensors.keys() == set(FIELDS) and np.array_equal(checksum, _checksum(tensors))
    except Exception:  # a damaged header fails in any of the parser's ways
        intact = False
    if not intact:
        raise UserError(
            f"{path}: the prepared data is truncated or altered; delete it and run again"
        )
    return Split(**tensors)


def inputs(
    split: Split, images: Literal["standardized", "unit_norm", "standardized_unit_norm"]
) -> tuple[np.ndarray, np.ndarray]:
    """Network inputs, train and test, float32 (N, channels, 32, 32).

    standardized    (pixels in [0, 1] - mean) / std, per channel, with the train images' statistics
    unit_norm       each image divided by its own L2 norm (an all-black image stays 0)
    standardized_unit_norm    standardised, and then each image divided by its own L2 norm

    Raises `ValueError` for another value of `images`.
    """
    if images == "standardized":
        return _standardized(split, split.train_images), _standardized(split, split.test_images)
    if images == "unit_norm":
        return _unit_norm(split.train_images), _unit_norm(split.test_images)
    if images == "standardized_unit_norm":
        train, test = inputs(split, "standardized")
        return _over_norm(train), _over_norm(test)
    raise ValueError(f"unknown images: {images!r}")


def statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel of uint8 images, in [0, 1] units, float32."""
    # Integers are summed exactly, so the result does not depend on the order of the images.
    pixels = images.size // images.shape[1]
    mean = images.sum(axis=(0, 2, 3), dtype=np.int64) / pixels
    square = np.einsum("nchw,nchw->c", images, images, dtype=np.int64) / pixels
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return (mean / 255).astype(np.float32), (std / 255).astype(np.float32)


def _standardized(split: Split, images: np.ndarray) -> np.ndarray:
    # A channel that never varies is 0 after centring, whatever it is divided by.
    std = np.where(split.std > 0, split.std, np.float32(1))
    scaled = images.astype(np.float32)
    scaled /= np.float32(255)
    scaled -= split.mean[:, None, None]
    scaled /= std[:, None, None]
    return scaled


def _unit_norm(images: np.ndarray) -> np.ndarray:
    # The norm is that of the pixels from 0 to 255, since their scale cancels.
    squares = np.einsum("nchw,nchw->n", images, images, dtype=np.int64)
    norms = np.sqrt(np.maximum(squares, 1)).astype(np.float32)
    scaled = images.astype(np.float32)
    scaled /= norms[:, None, None, None]
    return scaled


def _over_norm(images: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("nchw,nchw->n", images, images, dtype=np.float64))
    scaled = images / np.maximum(norms, 1e-12)[:, None, None, None]
    return scaled.astype(np.float32)


def _checksum(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """SHA-256 over names, types, shapes and bytes: uint8 (32,)."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype.name} {tensor.shape}\n".encode())
        digest.update(tensor.data)
    return np.frombuffer(digest.digest(), dtype=np.uint8)
