"""Data sets that hold more than 8 bits a channel do, and placeholders where data should be."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from squareloss.data.sources import cifar10, parquet
from squareloss.errors import UserError


def data_set(root, images):
    """A data set whose train and test images are these, encoded; two labels."""
    rows = [{"bytes": data, "path": ""} for data in images]
    for part in ("train", "test"):
        labels = [k % 2 for k in range(len(rows))]
        pq.write_table(pa.table({"img": rows, "label": labels}), root / f"{part}.parquet")


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


GREY = np.arange(1024, dtype=np.uint8).reshape(32, 32)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
SOLID = np.full((32, 32), 255, np.uint8)
GLASS = np.where(GREY > 3, 255, 254).astype(np.uint8)


def palette(colours):
    """An image of numbers into a palette of 256 colours (256, 3)."""
    image = Image.fromarray(GREY, "P")
    image.putpalette(np.asarray(colours, np.uint8).tobytes())
    return image


RAMP = np.stack([np.arange(256)] * 3, axis=1)
MIXED = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) // 2], axis=1)
KEPT = {
    "L": (encoded(Image.fromarray(GREY)), GREY),
    "RGB": (encoded(Image.fromarray(COLOUR)), COLOUR),
    "1": (encoded(Image.fromarray(GREY > 100)), 255 * (GREY > 100)),
    "P, grey": (encoded(palette(RAMP)), GREY),
    "P, colours": (encoded(palette(MIXED)), COLOUR),
    "LA, opaque": (encoded(Image.fromarray(np.dstack([GREY, SOLID]), "LA")), GREY),
    "RGBA, opaque": (encoded(Image.fromarray(np.dstack([COLOUR, SOLID]), "RGBA")), COLOUR),
    "RGB, WebP": (encoded(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR),
}
LOST = {
    "I;16": encoded(Image.fromarray(GREY.astype(np.uint16) * 257)),
    "LA": encoded(Image.fromarray(np.dstack([GREY, GLASS]), "LA")),
    "RGBA": encoded(Image.fromarray(np.dstack([COLOUR, GLASS]), "RGBA")),
    "P": encoded(palette(MIXED), transparency=7),
    "CMYK": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize(("data", "expected"), KEPT.values(), ids=KEPT)
def test_what_fits_is_read_to_the_last_bit(tmp_path, data, expected):
    data_set(tmp_path, [data, data])
    images = parquet.load(str(tmp_path)).train_images
    wanted = expected[None] if expected.ndim == 2 else np.moveaxis(expected, -1, 0)
    np.testing.assert_array_equal(images, np.stack([wanted] * 2))


@pytest.mark.parametrize(("mode", "data"), LOST.items(), ids=LOST)
def test_what_would_lose_a_part_is_refused_by_its_mode(tmp_path, mode, data):
    data_set(tmp_path, [encoded(Image.fromarray(GREY)), data])
    with pytest.raises(UserError) as caught:
        parquet.load(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'train.parquet'}: row 1: image of mode {mode}")
    assert "\n" not in message


LFS = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
PLACEHOLDERS = {
    "Git LFS": (LFS, "git lfs pull"),
    "git-annex": ("/annex/objects/SHA256E-s1--ab.parquet\n", "git annex get"),
    "a login": ("\n<!DOCTYPE html>\n<html><body>Log in</body></html>", "logged in"),
    "a page": ("\ufeff<HTML><head>", "logged in"),
    "an error of a store": ('<?xml version="1.0"?><Error><Code>AccessDenied', "XML"),
    "an error of an API": ('{"error": "Repository not found"}', "JSON"),
    "a stub": ("", "empty"),
}


@pytest.mark.parametrize(("text", "wanted"), PLACEHOLDERS.values(), ids=PLACEHOLDERS)
@pytest.mark.parametrize("function", [parquet.class_counts, parquet.load])
def test_a_placeholder_for_a_table_says_what_it_is(tmp_path, text, wanted, function):
    data_set(tmp_path, [encoded(Image.fromarray(GREY))] * 2)
    (tmp_path / "test.parquet").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        function(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'test.parquet'}: ")
    assert wanted in message
    assert "truncated" not in message
    assert "\n" not in message


def test_a_placeholder_for_an_image_says_what_it_is(tmp_path):
    data_set(tmp_path, [encoded(Image.fromarray(GREY)), LFS.encode()])
    with pytest.raises(UserError, match=r"train\.parquet: row 1: is not an image but a Git LFS"):
        parquet.load(str(tmp_path))


def test_a_link_that_git_annex_has_not_followed_says_what_it_is(tmp_path):
    data_set(tmp_path, [encoded(Image.fromarray(GREY))] * 2)
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "train.parquet").symlink_to(".git/annex/objects/xx/yy/key/key")
    with pytest.raises(UserError, match="git annex get"):
        parquet.files(str(tmp_path))


def test_a_placeholder_for_a_file_of_cifar10_says_what_it_is(tmp_path):
    folder = tmp_path / cifar10.FILES
    folder.mkdir()
    (folder / "data_batch_1").write_text(LFS, encoding="utf-8")
    with pytest.raises(UserError, match=r"data_batch_1: is a Git LFS pointer; `git lfs pull`"):
        cifar10.load(str(tmp_path))
