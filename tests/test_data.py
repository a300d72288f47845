"""The choice of images, label noise, and the file that training reads."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import assert_one_line, data_spec, labels_only, pool, run_main

from squareloss.data.images import Images
from squareloss.data.prepare import choose, noisy, prepare
from squareloss.data.sources import mnist5k
from squareloss.data.split import FIELDS, Split, inputs, read_split, write_split
from squareloss.errors import UserError
from squareloss.spec import canonical_json


@pytest.fixture(scope="module")
def split() -> Split:
    return prepare(data_spec(label_noise=0.5), pool(3, 60, test=15))


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


def drawn_by_hand(name: str) -> np.random.Generator:
    """The generator of a stream, from its documented name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big") >> 1)


def test_a_seed_draws_the_same_images_and_noise_for_ever() -> None:
    """Published results are of seed 2022: other names of streams would be other data."""
    images = pool(4, 30, test=10)
    spec = data_spec(seed=2022, label_noise=0.5)
    train, test = choose(spec, images)
    for k, label in enumerate((1, 2)):
        for found, labels, part in (
            (train, images.train_labels, "train"),
            (test, images.test_labels, "test"),
        ):
            draw = drawn_by_hand(f"2022/0/images/mnist5k/{part}/{label}")
            expected = draw.permutation(np.flatnonzero(labels == label))
            np.testing.assert_array_equal(found[k::2], expected[: len(found) // 2])
    clean = np.arange(40) % 2
    for replicate in (0, 1):
        draw = drawn_by_hand(f"2022/{replicate}/label_noise/mnist5k/permute/40")
        chosen = draw.permutation(40)[:20]
        expected = clean.copy()
        expected[chosen] = clean[draw.permutation(chosen)]
        np.testing.assert_array_equal(noisy(spec, clean, replicate), expected)


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
