"""Image sources, the choice of images, label noise, and the file that training reads."""

import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from squareloss.data import prepare as stage
from squareloss.data.images import Images
from squareloss.data.prepare import choose, noisy, prepare
from squareloss.data.sources import cifar10, mnist5k, parquet
from squareloss.data.split import FIELDS, Split, inputs, read_split, write_split
from squareloss.errors import UserError, run_stage
from squareloss.spec import DataSpec, canonical_json

REAL = Path(
    os.environ.get(
        "SQUARELOSS_CIFAR10_JPEG", Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg"
    )
)


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


@pytest.fixture(scope="module")
def split() -> Split:
    return prepare(data_spec(label_noise=0.5), pool(3, 60, test=15))


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


# The choice of images


GROUPS = st.sampled_from([((1,), (2,)), ((0,), (1,), (2,)), ((0, 3), (1, 2)), ((3, 0, 1), (2,))])


@settings(max_examples=60, deadline=None)
@given(
    groups=GROUPS,
    train=st.integers(1, 15),
    more=st.integers(0, 10),
    test=st.integers(1, 10),
    own_test_set=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_choice_is_balanced_disjoint_and_nested(
    groups: tuple, train: int, more: int, test: int, own_test_set: bool, seed: int
) -> None:
    images = labels_only(4, 40, seed=1, test=12 if own_test_set else 0)
    classes = len(groups)
    small = data_spec(classes=groups, n_train=classes * train, n_test=classes * test, seed=seed)
    large = data_spec(
        classes=groups, n_train=classes * (train + more), n_test=classes * test, seed=seed
    )
    (small_train, small_test), (large_train, large_test) = (
        choose(small, images),
        choose(large, images),
    )
    test_labels = images.test_labels if own_test_set else images.train_labels
    for positions, labels, count in [
        (large_train, images.train_labels, train + more),
        (large_test, test_labels, test),
    ]:
        assert positions.dtype == np.int64
        assert len(set(positions.tolist())) == len(positions) == classes * count
        for number, group in enumerate(groups):
            assert np.isin(labels[positions[number::classes]], group).all()
    np.testing.assert_array_equal(large_train[: len(small_train)], small_train)
    np.testing.assert_array_equal(large_test, small_test)
    if not own_test_set:
        assert not set(large_train.tolist()) & set(large_test.tolist())


def test_split_holds_the_images_it_names_and_merged_labels() -> None:
    images = pool(4, 30, test=10)
    split = prepare(data_spec(classes=((3, 0), (2,))), images)
    np.testing.assert_array_equal(split.train_images, images.train_images[split.train_indices])
    np.testing.assert_array_equal(split.test_images, images.test_images[split.test_indices])
    merged = {3: 0, 0: 0, 2: 1}
    assert split.train_labels.tolist() == [
        merged[label] for label in images.train_labels[split.train_indices].tolist()
    ]
    assert split.test_labels.tolist() == [
        merged[label] for label in images.test_labels[split.test_indices].tolist()
    ]


def test_seed_changes_the_choice_and_label_order_in_a_group_does_not() -> None:
    images = pool(4, 30)
    first = choose(data_spec(classes=((0, 1), (2,))), images)[0]
    assert not np.array_equal(first, choose(data_spec(classes=((0, 1), (2,)), seed=1), images)[0])
    np.testing.assert_array_equal(first, choose(data_spec(classes=((1, 0), (2,))), images)[0])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"classes": ((1,), (7,))}, ["class 7", "0 to 2"]),
        ({"n_train": 62}, ["class 1", "30 images", "31"]),
        ({"n_test": 22}, ["class 1", "10 images", "test"]),
        ({"n_train": 41}, ["n_train", "41", "multiple"]),
        ({"n_test": 19}, ["n_test", "19", "multiple"]),
    ],
)
def test_impossible_choice_is_one_line(changes: dict, parts: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        prepare(data_spec(**changes), pool(3, 30, test=10))
    assert_one_line(str(caught.value), *parts)


def test_source_without_test_set_needs_room_for_both() -> None:
    prepare(data_spec(n_train=40, n_test=20), pool(3, 30))
    with pytest.raises(UserError, match="31 are needed"):
        prepare(data_spec(n_train=42, n_test=20), pool(3, 30))


# Label noise


@settings(max_examples=100, deadline=None)
@given(
    share=st.floats(0, 1),
    kind=st.sampled_from(["permute", "uniform"]),
    classes=st.integers(2, 5),
    per_class=st.integers(1, 60),
    replicate=st.integers(0, 50),
)
def test_noise(share: float, kind: str, classes: int, per_class: int, replicate: int) -> None:
    labels = np.arange(classes * per_class, dtype=np.int64) % classes
    groups = tuple((label,) for label in range(classes))
    spec = data_spec(classes=groups, noise_kind=kind, label_noise=share)
    result = noisy(spec, labels, replicate)
    assert result.dtype == np.int64
    assert set(result.tolist()) <= set(range(classes))
    assert (result != labels).sum() <= round(share * len(labels))
    if kind == "permute":
        np.testing.assert_array_equal(np.bincount(result), np.bincount(labels))
    none = data_spec(classes=groups, noise_kind=kind, label_noise=0)
    np.testing.assert_array_equal(noisy(none, labels, replicate), labels)


@pytest.mark.parametrize("kind", ["permute", "uniform"])
@pytest.mark.parametrize("classes", [2, 5])
def test_noise_changes_the_expected_share(kind: str, classes: int) -> None:
    # A label that is redrawn stays what it was with probability 1 / C: 5 sigma around r (1 - 1/C).
    labels, share = np.arange(20_000) % classes, 0.6
    groups = tuple((label,) for label in range(classes))
    spec = data_spec(classes=groups, noise_kind=kind, label_noise=share)
    changed = (noisy(spec, labels, 0) != labels).mean()
    assert changed == pytest.approx(share * (1 - 1 / classes), abs=5 * (0.25 / 12_000) ** 0.5)


@pytest.mark.parametrize("kind", ["permute", "uniform"])
def test_noise_of_a_replicate_does_not_depend_on_its_block(kind: str) -> None:
    images = pool(3, 60)
    changes = {"noise_kind": kind, "label_noise": 0.5}
    together = prepare(data_spec(replicates=(0, 1, 2, 3), **changes), images)
    block = prepare(data_spec(replicates=(3, 2), **changes), images)
    np.testing.assert_array_equal(together.noisy_labels[[3, 2]], block.noisy_labels)
    assert len({row.tobytes() for row in together.noisy_labels}) == 4
    np.testing.assert_array_equal(together.train_indices, block.train_indices)


def test_noisy_samples_of_a_smaller_share_are_among_those_of_a_larger() -> None:
    labels = np.arange(400) % 4
    groups = ((0,), (1,), (2,), (3,))
    small, large = (
        noisy(data_spec(classes=groups, noise_kind="uniform", label_noise=r), labels, 0)
        for r in (0.2, 0.7)
    )
    changed = small != labels
    np.testing.assert_array_equal(small[changed], large[changed])


# What training reads


def test_statistics_and_standardized_inputs_against_numpy(split: Split) -> None:
    scaled = split.train_images.astype(np.float64) / 255
    mean, std = scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))
    np.testing.assert_allclose(split.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(split.std, std, rtol=1e-6)
    assert split.mean.dtype == split.std.dtype == np.float32
    train, test = inputs(split, "standardized")
    assert train.dtype == test.dtype == np.float32
    np.testing.assert_allclose(train.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=(0, 2, 3), dtype=np.float64), 1, atol=1e-5)
    # The test images are scaled by the statistics of the train images.
    expected = (split.test_images / 255 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(test, expected, atol=1e-5)


def test_unit_norms(split: Split) -> None:
    for result, images in zip(
        inputs(split, "unit_norm"), (split.train_images, split.test_images), strict=True
    ):
        flat = result.reshape(len(result), -1).astype(np.float64)
        np.testing.assert_allclose(np.linalg.norm(flat, axis=1), 1, atol=1e-6)
        pixels = images.reshape(len(images), -1).astype(np.float64)
        expected = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
        np.testing.assert_allclose(flat, expected, atol=1e-7)
        assert result.dtype == np.float32


def test_standardized_images_of_norm_one(split: Split) -> None:
    both = zip(inputs(split, "standardized_unit_norm"), inputs(split, "standardized"), strict=True)
    for result, standardized in both:
        flat = standardized.reshape(len(standardized), -1).astype(np.float64)
        expected = flat / np.sqrt((flat**2).sum(1))[:, None]
        np.testing.assert_allclose(result.reshape(len(result), -1), expected, atol=1e-6)
        assert result.dtype == np.float32


def test_black_images_stay_finite() -> None:
    black = Images(np.zeros((60, 1, 32, 32), np.uint8), np.arange(60) % 3)
    split = prepare(data_spec(n_train=20, n_test=10), black)
    for images in ("standardized", "unit_norm", "standardized_unit_norm"):
        assert not np.concatenate(inputs(split, images)).any()


def test_unknown_inputs_are_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="whitened"):
        inputs(split, "whitened")  # type: ignore[arg-type]


def test_round_trip_and_repeat(split: Split, tmp_path: Path) -> None:
    write_split(tmp_path / "a" / "split.safetensors", split)
    write_split(tmp_path / "b.safetensors", prepare(data_spec(label_noise=0.5), pool(3, 60, 0, 15)))
    first = (tmp_path / "a" / "split.safetensors").read_bytes()
    assert first == (tmp_path / "b.safetensors").read_bytes()
    assert b"__metadata__" not in first
    again = read_split(tmp_path / "b.safetensors")
    for name in FIELDS:
        written, read = getattr(split, name), getattr(again, name)
        np.testing.assert_array_equal(written, read)
        assert written.dtype == read.dtype
        assert read.flags.writeable  # torch.from_numpy warns otherwise


def test_arrays_with_strides_are_written_as_they_read(split: Split, tmp_path: Path) -> None:
    values = {name: getattr(split, name) for name in FIELDS}
    values["train_images"] = split.train_images[::-2]
    values["noisy_labels"] = np.asfortranarray(split.noisy_labels)
    write_split(tmp_path / "s.safetensors", Split(**values))
    again = read_split(tmp_path / "s.safetensors")
    np.testing.assert_array_equal(again.train_images, split.train_images[::-2])
    np.testing.assert_array_equal(again.noisy_labels, split.noisy_labels)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "s.safetensors"
    write_split(path, prepare(data_spec(n_train=2, n_test=2), pool(3, 3, channels=1)))
    return path.read_bytes()


def refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_split(path)
    assert_one_line(str(caught.value), path, "delete it and run again")


def test_truncated_split_is_refused(small_file: bytes, tmp_path: Path) -> None:
    end = len(small_file)
    for length in [0, 1, 7, 8, 9, 100, 800, 1500, end // 2, end - 33, end - 1]:
        refused(tmp_path / "s.safetensors", small_file[:length])
    refused(tmp_path / "s.safetensors", small_file + b"\0")


def test_flipped_bytes_of_a_split_are_refused(small_file: bytes, tmp_path: Path) -> None:
    header = 8 + int.from_bytes(small_file[:8], "little")
    data = np.linspace(header, len(small_file) - 1, 60).astype(int).tolist()
    for position in [*range(header), *data]:  # every byte of the header
        altered = bytearray(small_file)
        altered[position] ^= 1 << position % 8
        refused(tmp_path / "s.safetensors", bytes(altered))


def test_other_contents_are_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    refused(tmp_path / "s.safetensors", b"not a split at all")
    refused(tmp_path / "s.safetensors", safetensors.numpy.save({"x": np.zeros(3)}))


def test_missing_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_split(tmp_path / "s.safetensors")
    assert_one_line(str(caught.value), tmp_path / "s.safetensors", "run again")


def test_failed_write_keeps_the_earlier_file(split: Split, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "s.safetensors"
    write_split(path, split)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space"):
        write_split(path, split)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Parquet files


def encoded(pixels: np.ndarray, format_: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_)
    return buffer.getvalue()


def write_parquet(
    path: Path, images: list, labels: list, image: str = "img", label: str = "label"
) -> None:
    rows = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(images)]
    pq.write_table(pa.table({image: rows, label: labels}), path, write_page_checksum=True)


def write_pair(root: Path, channels: int = 3, image: str = "img") -> tuple[np.ndarray, np.ndarray]:
    """A data set of 3 labels, 20 and 6 images each; returns the pixels of both files (N, ...)."""
    draw = np.random.default_rng(5)
    shape = (32, 32, 3) if channels == 3 else (32, 32)
    parts = []
    for name, count in [("train", 60), ("test", 18)]:
        pixels = draw.integers(256, size=(count, *shape), dtype=np.uint8)
        write_parquet(
            root / f"{name}.parquet",
            [encoded(each) for each in pixels],
            [i % 3 for i in range(count)],
            image,
        )
        parts.append(pixels)
    return parts[0], parts[1]


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("channels", [1, 3])
def test_parquet_gives_the_images_encoded(tmp_path: Path, channels: int, image: str) -> None:
    train, test = write_pair(tmp_path, channels, image)
    assert parquet.class_counts(str(tmp_path)) == (
        dict.fromkeys(range(3), 20),
        dict.fromkeys(range(3), 6),
    )
    images = parquet.load(str(tmp_path))
    assert images.train_images.shape == (60, channels, 32, 32)
    assert images.train_images.dtype == np.uint8
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64
    assert images.train_labels.tolist() == [i % 3 for i in range(60)]
    for read, pixels in [(images.train_images, train), (images.test_images, test)]:
        expected = pixels[:, None] if channels == 1 else np.moveaxis(pixels, -1, 1)
        np.testing.assert_array_equal(read, expected)


def test_parquet_with_some_grey_images_is_colour(tmp_path: Path) -> None:
    train, _ = write_pair(tmp_path)
    grey = train[0, :, :, 0]
    write_parquet(tmp_path / "train.parquet", [encoded(grey), encoded(train[1])], [0, 1])
    images = parquet.load(str(tmp_path)).train_images
    np.testing.assert_array_equal(images[0], np.stack([grey] * 3))
    np.testing.assert_array_equal(images[1], np.moveaxis(train[1], -1, 0))


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


NO_LABELS = {  # of two images
    "text labels": ["cat", "dog"],
    "null label": [0, None],
    "label -1": [0, -1],  # hubs have it where a test set's labels are kept secret
    "label beyond int64": pa.array([0, 2**64 - 1], pa.uint64()),
}
TWO_COLUMNS = {  # the column, and the name that a second one gets
    "two labels": ("label", "fine_label"),
    "two images": ("img", "image"),
    "label twice": ("label", "label"),
    "image twice": ("img", "img"),
}


def damage(root: Path, what: str) -> Path:
    """Damage one file of a pair; returns the file that the message must name."""
    train, test = root / "train.parquet", root / "test.parquet"
    good = encoded(np.zeros((32, 32, 3), np.uint8))
    jpeg = encoded(np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8), "JPEG")
    altered = bytearray(good)
    altered[60] ^= 0xFF
    if what == "missing":
        test.unlink()
        return test
    if what.startswith("truncated file"):
        train.write_bytes(train.read_bytes()[: int(what.split()[-1])])
    elif what == "altered page":
        data = bytearray(train.read_bytes())
        data[len(data) // 2] ^= 0xFF
        train.write_bytes(data)
    elif what == "not parquet":
        train.write_text("img,label\n", encoding="utf-8")
    elif what == "no label":
        pq.write_table(pq.read_table(train).drop_columns("label"), train)
    elif what == "no image":
        pq.write_table(pq.read_table(train).drop_columns("img"), train)
    elif what == "bare bytes":
        pq.write_table(pa.table({"img": [good], "label": [0]}), train)
    elif what in NO_LABELS:
        write_parquet(train, [good, good], NO_LABELS[what])
    elif what in TWO_COLUMNS:
        old, new = TWO_COLUMNS[what]
        table = pq.read_table(train)
        pq.write_table(table.append_column(new, table[old]), train)
    elif what in ("FIFO", "loop", "folder"):
        train.unlink()
        {"FIFO": os.mkfifo, "loop": lambda p: p.symlink_to(p), "folder": os.mkdir}[what](train)
    elif what == "empty":
        pq.write_table(pq.read_table(train).slice(0, 0), train)
    else:
        images = {
            "no bytes": None,
            "truncated PNG": good[:50],
            "truncated JPEG": jpeg[: len(jpeg) // 2],
            "altered PNG": bytes(altered),
            "not an image": b"hello",
            "too large": encoded(np.zeros((33, 32, 3), np.uint8)),
            "bomb": png_header(60_000, 60_000),
            "half a bomb": png_header(12_000, 12_000),
            "script": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n",
        }
        write_parquet(train, [good, images[what]], [0, 1])
    return train


@pytest.mark.parametrize(
    "what",
    [
        *(*NO_LABELS, *TWO_COLUMNS),
        "missing",
        *(f"truncated file {length}" for length in (0, 3, 900, 20_000)),
        *("altered page", "not parquet", "no label", "no image", "text labels", "null label"),
        *("bare bytes", "empty", "no bytes", "truncated PNG", "truncated JPEG", "altered PNG"),
        *("not an image", "too large", "bomb", "half a bomb", "script", "FIFO"),
        *("loop", "folder"),
    ],
)
def test_damaged_parquet_is_one_line_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    write_pair(tmp_path)
    named = damage(tmp_path, what)
    output = tmp_path / "out" / "split.safetensors"
    spec = data_spec(source="parquet", root=str(tmp_path), n_train=30, n_test=10)
    message = run_main(monkeypatch, canonical_json(spec), output)
    assert_one_line(message, "squareloss: error:", named)
    assert not output.parent.exists()


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_huge_image_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    write_pair(tmp_path)
    small = encoded(np.zeros((32, 32), np.uint8))
    write_parquet(tmp_path / "train.parquet", [small, png_header(side, side)], [0, 1])
    with pytest.raises(UserError) as caught, warnings.catch_warnings(action="error"):
        parquet.load(str(tmp_path))
    assert_one_line(str(caught.value), tmp_path / "train.parquet", "row 1", "image")
    if side == 12_000:  # Pillow itself refuses to open larger ones
        assert_one_line(str(caught.value), "12000 x 12000")


@settings(max_examples=30, deadline=None)
@given(
    counts=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    digits=st.integers(1, 6),
    folder=st.sampled_from(["", "data", "plain_text"]),
    order=st.randoms(use_true_random=False),
    label=st.sampled_from(["label", "fine_label"]),
)
def test_shards_are_one_table_in_the_order_of_their_numbers(
    counts: tuple, digits: int, folder: str, order, label: str, tmp_path_factory
) -> None:
    root = tmp_path_factory.mktemp("shards")
    names = [
        root / folder / f"{part}-{i:0{digits}d}-of-{count:0{digits}d}.parquet"
        for part, count in zip(("train", "test"), counts, strict=True)
        for i in range(count)
    ]
    wanted = [str(path) for path in names]
    order.shuffle(names)  # the order in which they were written must not matter
    for path in names:
        path.parent.mkdir(exist_ok=True)
        number = int(path.name.split("-")[1])
        grey = np.full((32, 32), number, np.uint8)
        write_parquet(path, [encoded(grey)] * 2, [number, number + 1], label=label)
    (root / "README.md").touch()
    assert parquet.files(str(root)) == wanted
    images = parquet.load(str(root))
    for pixels, labels, count in [
        (images.train_images, images.train_labels, counts[0]),
        (images.test_images, images.test_labels, counts[1]),
    ]:
        assert pixels[:, 0, 0, 0].tolist() == [i for i in range(count) for _ in range(2)]
        assert labels.tolist() == [i + more for i in range(count) for more in range(2)]
    total = parquet.class_counts(str(root))[0]
    assert sum(total.values()) == 2 * counts[0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train.parquet", "train-00000-of-00001.parquet"], ["only one of them", "train"]),
        (["train.parquet", "data/train.parquet"], ["only one of them", "data"]),
        (["a/train.parquet", "b/train.parquet"], ["only one of them", "a/train", "b/train"]),
        (["train-0-of-2.parquet", "train-0-of-3.parquet"], ["only one of them"]),
        (["train-0-of-1.parquet", "train-00-of-01.parquet"], ["only one of them"]),
        (
            ["train-0-of-3.parquet", "train-2-of-3.parquet"],
            ["shard 1 of the 3 of train is missing"],
        ),
        (["train-1-of-1.parquet", "train-0-of-1.parquet"], ["train-1-of-1", "not below 1"]),
        (["train-0-of-0.parquet", "train-1-of-0.parquet"], ["train-"]),
        (["train_0.parquet", "a/b/train.parquet"], ["train.parquet: does not exist"]),
    ],
)
def test_shards_that_are_not_clear_are_one_line(tmp_path: Path, names: list, words: list) -> None:
    for name in ["test.parquet", *names]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(tmp_path / name, [encoded(np.zeros((32, 32), np.uint8))], [0])
    for function in (parquet.class_counts, parquet.files, parquet.load):
        with pytest.raises(UserError) as caught:
            function(str(tmp_path))
        assert_one_line(str(caught.value), *words)


def test_a_root_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "loop", "absent"):
        with pytest.raises(UserError, match="root") as caught:
            parquet.files(str(tmp_path / name))
        assert_one_line(str(caught.value), tmp_path / name)


def test_parquet_label_without_test_images_counts_zero(tmp_path: Path) -> None:
    write_pair(tmp_path)
    write_parquet(tmp_path / "test.parquet", [encoded(np.zeros((32, 32, 3), np.uint8))], [1])
    assert parquet.class_counts(str(tmp_path))[1] == {0: 0, 1: 1, 2: 0}


def test_parquet_class_counts_of_damaged_files_is_one_line(tmp_path: Path) -> None:
    for root in ("", str(tmp_path)):
        with pytest.raises(UserError, match="root") as caught:
            parquet.class_counts(root)
        assert_one_line(str(caught.value), "train.parquet")


@pytest.mark.parametrize("what", [*NO_LABELS, "two labels", "label twice"])
def test_labels_that_are_none_are_refused_while_planning(tmp_path: Path, what: str) -> None:
    write_pair(tmp_path)
    named = damage(tmp_path, what)
    with pytest.raises(UserError) as caught:
        parquet.class_counts(str(tmp_path))
    assert_one_line(str(caught.value), named)


# MNIST


def test_mnist5k_is_real_balanced_and_padded() -> None:
    images = mnist5k.load("")
    assert images.train_images.shape == (5000, 1, 32, 32)
    assert images.train_images.dtype == np.uint8
    assert images.train_labels.dtype == np.int64
    counts = dict(enumerate(np.bincount(images.train_labels).tolist()))
    assert mnist5k.class_counts("") == (counts, None)
    assert set(counts.values()) == {500}
    inside = images.train_images[:, :, 2:-2, 2:-2]
    assert inside.sum(dtype=int) == images.train_images.sum(dtype=int) > 0
    # Zeros are hollow, ones are not, and ones have the least ink of all digits.
    centre = inside[:, 0, 12:16, 12:16].mean(axis=(1, 2))
    zeros, ones = images.train_labels == 0, images.train_labels == 1
    assert centre[zeros].mean() < 20 < 150 < centre[ones].mean()
    ink = [inside[images.train_labels == digit].mean() for digit in range(10)]
    assert int(np.argmin(ink)) == 1
    assert images.test_images is None


# CIFAR-10


@pytest.fixture
def fake_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A folder of torchvision's layout whose checksums are declared good; returns the pixels."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / cifar10.FILES
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(256, size=(12, 3072), dtype=np.uint8)

    def put(name: str, content: dict) -> str:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    lists = []
    for part, names in [(slice(0, 8), ["data_batch_1"]), (slice(8, 12), ["test_batch"])]:
        labels = [i % 2 for i in range(len(pixels[part]))]
        lists.append(
            [[name, put(name, {"data": pixels[part], "labels": labels})] for name in names]
        )
    meta = {"filename": "batches.meta", "key": "label_names"}
    meta["md5"] = put("batches.meta", {"label_names": ["a", "b"]})
    monkeypatch.setattr(CIFAR10, "train_list", lists[0])
    monkeypatch.setattr(CIFAR10, "test_list", lists[1])
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return pixels.reshape(12, 3, 32, 32)


def test_cifar10_reads_channels_first(fake_cifar10: np.ndarray, tmp_path: Path) -> None:
    images = cifar10.load(str(tmp_path))
    np.testing.assert_array_equal(images.train_images, fake_cifar10[:8])
    np.testing.assert_array_equal(images.test_images, fake_cifar10[8:])
    assert images.train_labels.dtype == np.int64
    assert images.train_labels.tolist() == [0, 1] * 4
    assert not (tmp_path / ".lock").exists()  # good files may lie in a folder that is read-only


@pytest.mark.parametrize("what", ["flipped", "truncated", "removed", "meta"])
def test_altered_cifar10_is_one_line_and_no_output(
    fake_cifar10: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = tmp_path / cifar10.FILES
    path = folder / ("batches.meta" if what == "meta" else "data_batch_1")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data[:-1] if what == "truncated" else data)
    if what == "removed":
        path.unlink()
    spec = data_spec(source="cifar10", root=str(tmp_path), classes=((0,), (1,)), n_train=2)
    output = tmp_path / "out" / "s.safetensors"
    message = run_main(monkeypatch, canonical_json(spec), output)
    assert_one_line(message, folder, "delete the folder", "datasets.<name>.root")
    assert not output.parent.exists()


class Trap:
    """What creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_pickle_of_somebody_else_is_never_loaded(
    fake_cifar10: np.ndarray, tmp_path: Path, name: str
) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))
    (tmp_path / cifar10.FILES / name).write_bytes(trap)
    with pytest.raises(UserError, match="checksums"):
        cifar10.load(str(tmp_path))
    assert not sprung.exists()
    pickle.loads(trap)
    assert sprung.exists()  # it would have been


def test_cifar10_that_cannot_be_downloaded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    with pytest.raises(UserError) as caught:
        cifar10.load(str(tmp_path / "root"))
    assert_one_line(str(caught.value), tmp_path / "root", "internet", "datasets.<name>.root")


def test_cifar10_class_counts() -> None:
    assert cifar10.class_counts("nowhere") == (
        dict.fromkeys(range(10), 5000),
        dict.fromkeys(range(10), 1000),
    )


# The stage, as the workflow calls it


def command(spec: str, output: Path) -> subprocess.CompletedProcess:
    arguments = ["-m", "squareloss.data.prepare", "--spec", spec, "--output", str(output)]
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_command_line_prepares_a_split(tmp_path: Path) -> None:
    output = tmp_path / "n=200" / "block=0.safetensors"
    spec = data_spec(classes=((0, 2, 4), (1, 3, 5)), n_train=200, n_test=100, label_noise=0.4)
    done = command(canonical_json(spec), output)
    assert done.returncode == 0, done.stderr
    for part in ["mnist5k", "0+2+4 1+3+5", "200 train", "100 test", "0.4 (permute)", str(output)]:
        assert part in done.stdout
    split, images = read_split(output), mnist5k.load("")
    np.testing.assert_array_equal(split.train_images, images.train_images[split.train_indices])
    np.testing.assert_array_equal(split.test_images, images.train_images[split.test_indices])
    np.testing.assert_array_equal(images.train_labels[split.train_indices] % 2, split.train_labels)
    assert split.noisy_labels.shape == (2, 200)


def test_command_line_failure_is_one_line(tmp_path: Path) -> None:
    spec = data_spec(source="parquet", root=str(tmp_path / "absent"))
    done = command(canonical_json(spec), tmp_path / "out" / "s.safetensors")
    assert done.returncode == 1
    assert_one_line(done.stderr.removesuffix("\n"), "squareloss: error:", "train.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("{", "--spec"),
        ("{}", "source"),
        (json.dumps(data_spec().model_dump() | {"colour": 1}), "colour"),
        (canonical_json(data_spec(source="imagenet")), "allowed: cifar10, mnist5k, parquet"),
        (canonical_json(data_spec(classes=((1,), (10,)))), "class 10"),
        (canonical_json(data_spec(n_train=1000)), "500 images"),
    ],
)
def test_bad_spec_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, part: str
) -> None:
    output = tmp_path / "out" / "s.safetensors"
    assert_one_line(run_main(monkeypatch, spec, output), "squareloss: error:", part)
    assert not output.parent.exists()


def test_planning_and_reading_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import squareloss.data.split\n"
        "heavy = {'torch', 'torchvision', 'pandas', 'PIL', 'mlxtend', 'squareloss.study.config'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from squareloss.data.sources import cifar10, mnist5k, parquet\n"
        "cifar10.class_counts(''); mnist5k.class_counts('')\n"
        "assert not (heavy - {'pandas'}) & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Real photographs


@pytest.mark.skipif(
    not (REAL / "train.parquet").exists(),
    reason="no Parquet copy of CIFAR-10 here; SQUARELOSS_CIFAR10_JPEG names its folder",
)
def test_real_cifar10_photographs() -> None:
    counts = dict.fromkeys(range(10), 5000), dict.fromkeys(range(10), 1000)
    assert parquet.class_counts(str(REAL)) == counts
    # Decoding the smaller file is enough: both are read by the same lines.
    images, labels = parquet._read([REAL / "test.parquet"])
    assert images.shape == (10_000, 3, 32, 32)
    spec = data_spec(source="parquet", root=str(REAL), n_train=1000, n_test=400)
    split = prepare(spec, Images(images, labels))
    assert set(labels[split.train_indices].tolist()) == {1, 2}
    # Published means and deviations of CIFAR-10's train images, all classes.
    whole_mean = images.mean(axis=(0, 2, 3)) / 255
    whole_std = images.std(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(whole_mean, [0.4914, 0.4822, 0.4465], atol=0.01)
    np.testing.assert_allclose(whole_std, [0.2470, 0.2435, 0.2616], atol=0.01)
    # The notes' derivation: a standardised image has a norm of about sqrt(3072) = 55.
    train, _ = inputs(split, "standardized")
    norms = np.linalg.norm(train.reshape(len(train), -1), axis=1)
    assert np.sqrt((norms**2).mean()) == pytest.approx(55.4, abs=0.1)
