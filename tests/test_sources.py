"""Image sources: Parquet files, MNIST, CIFAR-10."""

import functools
import hashlib
import io
import os
import pickle
import struct
import tarfile
import threading
import warnings
import zlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import assert_one_line, data_spec, run_main
from PIL import Image
from torchvision.datasets import CIFAR10

from squareloss.data.images import Images
from squareloss.data.prepare import prepare
from squareloss.data.sources import cifar10, mnist5k, parquet
from squareloss.data.split import inputs
from squareloss.errors import UserError
from squareloss.spec import canonical_json

REAL = Path(
    os.environ.get(
        "SQUARELOSS_CIFAR10_JPEG", Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg"
    )
)


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


def test_cifar10_is_downloaded_once(
    fake_cifar10: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server here, whose archive has the checksum that is asked for."""
    packed, root = tmp_path / "cifar-10-python.tar.gz", tmp_path / "root"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(tmp_path / cifar10.FILES, cifar10.FILES)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{packed.name}"
        monkeypatch.setattr(CIFAR10, "url", address)
        images = cifar10.load(str(root))
        server.shutdown()
    np.testing.assert_array_equal(images.train_images, fake_cifar10[:8])
    again = cifar10.load(str(root))  # the server is gone
    np.testing.assert_array_equal(again.test_images, fake_cifar10[8:])


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
