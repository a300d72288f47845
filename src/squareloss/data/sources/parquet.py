"""Any data set of 32 x 32 images in the Parquet layout of dataset hubs.

Origin: the user's files. `root` holds train.parquet and test.parquet, one row an image, with the
columns `img` or `image` (struct of `bytes`, an encoded PNG or JPEG, and `path`, unused) and `label`
(integers from 0). Licence and citation are those of the data; copies that were re-encoded, as JPEG
for instance, do not have the pixels of the original: say so in the `title` of the data set.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.data.images import SIDE, Images
from squareloss.errors import UserError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMN = "label"


def class_counts(root: str) -> tuple[dict[int, int], dict[int, int] | None]:
    """Images per label of the train set, train and test; reads the label columns only."""
    train, test = (_count(path) for path in _paths(root))
    return train, {label: test.get(label, 0) for label in train}


def files(root: str) -> list[str]:
    """The user's files: another content is another data set."""
    return [str(path) for path in _paths(root)]


def load(root: str) -> Images:
    """All images, decoded; one channel if all of them are grey, else three (RGB).

    Raises `UserError` that names the file if one is missing, damaged or laid out otherwise.
    """
    train, test = _paths(root)
    train_images, train_labels = _read(train)
    test_images, test_labels = _read(test)
    if train_images.shape[1] != test_images.shape[1]:
        raise UserError(f"{test}: one of it and {train.name} is grey and the other in colour")
    return Images(train_images, train_labels, test_images, test_labels)


def _paths(root: str) -> tuple[Path, Path]:
    if not root:
        raise UserError(
            "datasets.<name>.root: source parquet needs the folder of train.parquet and "
            "test.parquet"
        )
    return Path(root) / "train.parquet", Path(root) / "test.parquet"


def _count(path: Path) -> dict[int, int]:
    labels, counts = np.unique(_labels(path, _columns(path, [LABEL_COLUMN])), return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, channels, 32, 32) and labels int64 (N,) of one file."""
    table = _columns(path, [LABEL_COLUMN, *IMAGE_COLUMNS])
    labels = _labels(path, table)
    name = next((name for name in IMAGE_COLUMNS if name in table.column_names), None)
    if name is None:
        raise UserError(f"{path}: has no column {' or '.join(IMAGE_COLUMNS)}")
    column = table[name]
    if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
        raise UserError(f"{path}: column {name}: must be a struct with a field `bytes`")
    images = [
        _decode(path, row, None if image is None else image["bytes"])
        for row, image in enumerate(column.to_pylist())
    ]
    if any(image.ndim == 3 for image in images):
        images = [_rgb(image) for image in images]
        stacked = np.stack(images).transpose(0, 3, 1, 2)
    else:
        stacked = np.stack(images)[:, None]
    return np.ascontiguousarray(stacked), labels


def _columns(path: Path, names: list[str]) -> Any:
    """Those of the columns `names` that the file has, as an Arrow table."""
    if not path.is_file():
        raise UserError(f"{path}: does not exist; set datasets.<name>.root to the folder it is in")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read([name for name in names if name in file.schema_arrow.names])
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a Parquet file, truncated or altered ({reason}); fetch it again"
        ) from None
    return table


def _labels(path: Path, table: Any) -> np.ndarray:
    """The label column as int64 (N,)."""
    if LABEL_COLUMN not in table.column_names:
        raise UserError(f"{path}: has no column {LABEL_COLUMN}")
    column = table[LABEL_COLUMN]
    if not pa.types.is_integer(column.type) or column.null_count or not len(column):
        raise UserError(f"{path}: column {LABEL_COLUMN}: must be one integer an image, none empty")
    return column.to_numpy().astype(np.int64)


def _decode(path: Path, row: int, data: bytes | None) -> np.ndarray:
    """One encoded image as uint8 (32, 32) if it is grey, else (32, 32, 3)."""
    from PIL import Image

    if not data:
        raise UserError(f"{path}: row {row}: holds no image bytes")
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except Exception as error:  # each decoder of Pillow has exceptions of its own
        reason = type(error).__name__
        raise UserError(
            f"{path}: row {row}: image cannot be decoded ({reason}); fetch the file again"
        ) from None
    if pixels.shape[:2] != (SIDE, SIDE):
        height, width = pixels.shape[:2]
        raise UserError(f"{path}: row {row}: image is {width} x {height}; must be {SIDE} x {SIDE}")
    return pixels


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
