"""Any data set of 32 x 32 images in the Parquet layout of dataset hubs.

Origin: the user's files, as hubs offer them. `root`, or one folder in it, holds train.parquet and
test.parquet, or each of them in shards: train-00000-of-00002.parquet and so on, which are one table
in the order of their numbers. One row is an image, with the columns `img` or `image` (struct of
`bytes`, an encoded PNG or JPEG, and `path`, unused) and `label` or `fine_label` (integers from 0).
Licence and citation are those of the data; copies that were re-encoded, as JPEG for instance, do
not have the pixels of the original: say so in the `title` of the data set.
"""

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.data.images import SIDE, Images
from squareloss.data.placeholders import in_place_of, placeholder
from squareloss.errors import UserError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")
MAX_LABEL = np.iinfo(np.int64).max  # a larger one would come out negative
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "BMP",
)  # Pillow's others may run programs, or decode to learn a size


def class_counts(root: str) -> tuple[dict[int, int], dict[int, int] | None]:
    """Images per label of the train set, train and test; reads the label columns only."""
    train, test = (_count(_shards(root, part)) for part in ("train", "test"))
    return train, {label: test.get(label, 0) for label in train}


def files(root: str) -> list[str]:
    """The user's files, every shard: another content is another data set."""
    return [str(path) for part in ("train", "test") for path in _shards(root, part)]


def load(root: str) -> Images:
    """All images, decoded; one channel if all of them are grey, else three (RGB).

    Raises `UserError` that names the file if one is missing, damaged or laid out otherwise.
    """
    train, test = _shards(root, "train"), _shards(root, "test")
    train_images, train_labels = _read(train)
    test_images, test_labels = _read(test)
    if train_images.shape[1] != test_images.shape[1]:
        raise UserError(f"{test[0]}: one of it and {train[0].name} is grey and the other in colour")
    return Images(train_images, train_labels, test_images, test_labels)


def _shards(root: str, part: str) -> list[Path]:
    """The files of `part`, train or test, in their order.

    Raises `UserError` if there is none, if it is not clear which are meant, or if a shard is
    missing.
    """
    if not root:
        raise UserError(
            "datasets.<name>.root: source parquet needs the folder of train.parquet and "
            "test.parquet"
        )
    pattern = re.compile(rf"{part}(-(?P<number>\d+)-of-(?P<count>\d+))?\.parquet")
    found = [(path, name) for path in _near(Path(root)) if (name := pattern.fullmatch(path.name))]
    if not found:
        raise UserError(
            f"{Path(root) / part}.parquet: does not exist, nor {part}-00000-of-....parquet there "
            "or in a folder below; set datasets.<name>.root to the folder it is in"
        )
    first = found[0][0]
    kinds = {(path.parent, name["count"] and int(name["count"])) for path, name in found}
    by_number = {int(name["number"] or 0): path for path, name in found}
    if len(kinds) > 1 or len(by_number) < len(found):
        raise UserError(
            f"{first} and {found[-1][0]}: only one of them can be the {part} set; keep one of them "
            "below datasets.<name>.root"
        )
    [(folder, count)] = kinds
    for number in range(count or 1):
        if number not in by_number:
            raise UserError(f"{folder}: shard {number} of the {count} of {part} is missing")
    if len(by_number) > (count or 1):
        raise UserError(f"{by_number[max(by_number)]}: its number is not below {count}")
    for path in by_number.values():
        if not path.is_file():
            instead = in_place_of(path) or "not a file; put the data set's file in its place"
            raise UserError(f"{path}: is {instead}")
    return [by_number[number] for number in sorted(by_number)]


def _near(root: Path) -> list[Path]:
    """What lies in `root` and in the folders in it, sorted."""
    try:
        there = sorted(root.iterdir())
        folders = [path for path in there if path.is_dir() and not path.name.startswith(".")]
        return there + [path for folder in folders for path in sorted(folder.iterdir())]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f"datasets.<name>.root: {error.filename}: {error.strerror}; name a folder that can be "
            "read"
        ) from None


def _count(paths: list[Path]) -> dict[int, int]:
    labels = np.concatenate([_labels(path, _columns(path, LABEL_COLUMNS)) for path in paths])
    values, counts = np.unique(labels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _read(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, channels, 32, 32) and labels int64 (N,) of the shards of one set."""
    images, labels = [], []
    for path in paths:
        table = _columns(path, (*LABEL_COLUMNS, *IMAGE_COLUMNS))
        labels.append(_labels(path, table))
        images += _images(path, table)
    if any(image.ndim == 3 for image in images):
        stacked = np.stack([_rgb(image) for image in images]).transpose(0, 3, 1, 2)
    else:
        stacked = np.stack(images)[:, None]
    return np.ascontiguousarray(stacked), np.concatenate(labels)


def _images(path: Path, table: Any) -> list[np.ndarray]:
    """The images of one file, each as `_decode` gives it."""
    name = _only(path, table, IMAGE_COLUMNS)
    column = table[name]
    if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
        raise UserError(f"{path}: column {name}: must be a struct with a field `bytes`")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of large images: those are refused
        return [
            _decode(path, row, None if image is None else image["bytes"])
            for row, image in enumerate(column.to_pylist())
        ]


def _only(path: Path, table: Any, names: tuple[str, ...]) -> str:
    """Which one of the columns `names` a table has."""
    there = [name for name in table.column_names if name in names]  # twice, where it is there twice
    if len(there) != 1:
        has = f"the columns {' and '.join(there)}: keep one" if there else "no column "
        raise UserError(f"{path}: has {has}{'' if there else ' or '.join(names)}")
    return there[0]


def _columns(path: Path, names: tuple[str, ...]) -> Any:
    """Those of the columns `names` that the file has, as an Arrow table."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read([name for name in names if name in file.schema_arrow.names])
    except (OSError, ValueError, pa.ArrowException) as error:
        if instead := in_place_of(path):
            raise UserError(f"{path}: is not Parquet but {instead}") from None
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a Parquet file, truncated or altered ({reason}); fetch it again"
        ) from None
    return table


def _labels(path: Path, table: Any) -> np.ndarray:
    """The label column as int64 (N,)."""
    name = _only(path, table, LABEL_COLUMNS)
    column = table[name]
    if not pa.types.is_integer(column.type) or column.null_count or not len(column):
        raise UserError(f"{path}: column {name}: must be one integer an image, none empty")
    labels = column.to_numpy()
    for row in np.flatnonzero((labels < 0) | (labels > MAX_LABEL))[:1]:
        raise UserError(
            f"{path}: row {row}: {name} is {labels[row]}; must be from 0 to {MAX_LABEL}, so leave "
            "out images without a label"
        )
    return labels.astype(np.int64)


def _decode(path: Path, row: int, data: bytes | None) -> np.ndarray:
    """One encoded image as uint8 (32, 32) if it is grey, else (32, 32, 3)."""
    from PIL import Image

    if not data:
        raise UserError(f"{path}: row {row}: holds no image bytes")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # By the header, before anything is decoded: a small file may hold a huge image.
            size, mode = image.size, image.mode
            pixels = _pixels(image) if size == (SIDE, SIDE) else None
    except Exception as error:  # each decoder of Pillow has exceptions of its own
        if instead := placeholder(data[:100]):
            raise UserError(f"{path}: row {row}: is not an image but {instead}") from None
        reason = type(error).__name__
        raise UserError(
            f"{path}: row {row}: image cannot be decoded ({reason}); fetch the file again"
        ) from None
    if size != (SIDE, SIDE):
        width, height = size
        raise UserError(f"{path}: row {row}: image is {width} x {height}; must be {SIDE} x {SIDE}")
    if pixels is None:
        raise UserError(
            f"{path}: row {row}: image of mode {mode} holds more than 8 bits of grey or RGB do; "
            "convert the images to one of these"
        )
    return pixels


def _pixels(image: Any) -> np.ndarray | None:
    """An image as `_decode` gives it; None where that would lose a part of it.

    Pillow's conversion to RGB cuts 16 bits of grey off at 255, and leaves transparency out.
    """
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    if image.mode == "1":  # black and white
        return np.asarray(image.convert("L"))
    if image.mode in ("P", "PA", "LA", "RGBA"):
        whole = np.asarray(image.convert("RGBA"))
        colour, opacity = whole[..., :3], whole[..., 3]
        if (opacity == 255).all():
            grey = image.mode != "RGBA" and (colour == colour[..., :1]).all()
            return colour[..., 0] if grey else colour
    return None


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
