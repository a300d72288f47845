"""Every output can be read by those whom the umask allows, so that a colleague can merge it."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from small_clone import RUNS, TINY, small_clone

from squareloss.data.split import write_split
from squareloss.figures import style
from squareloss.files import whole
from squareloss.share import archive, fetch, merge
from squareloss.tables.small import TREE
from squareloss.train.checkpoint import save_tensors


def text(folder, split):
    with whole(folder / "a.txt") as path:
        path.write_text("a", encoding="utf-8")


def weights(folder, split):
    save_tensors(folder / "a.safetensors", {"a": torch.zeros(3)})


def checkpoint(folder, split):
    save_tensors(folder / "a.safetensors", {"a": torch.zeros(3)}, "{}")


def prepared(folder, split):
    write_split(folder / "a.safetensors", split)


def table(folder, split):
    small_clone(folder, RUNS[:1])


def plain_table(folder, split):
    row = dict.fromkeys(TREE.schema().names, 1)
    TREE.write(folder / "a.parquet", pd.DataFrame([row]))


def figure(folder, split):
    style.save(Figure(), str(folder / "a"))


def private(folder):
    """A clone whose files are its owner's alone, as an earlier version left weights."""
    small_clone(folder, RUNS[:1])
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o600)


def merged(folder, split):
    private(folder.parent / "source")
    (folder / "clone").mkdir()
    merge.merge(merge.Clones(folder.parent / "source", folder / "clone"))


def archived(folder, split):
    private(folder.parent / "source")
    archive.archive(TINY, folder.parent / "source", folder)


def fetched(folder, split):
    archived(folder.parent / "archive", split)
    (folder / "clone").mkdir()
    fetch.fetch(str(folder.parent / "archive"), folder / "clone", TINY)


OUTPUTS = [text, weights, checkpoint, prepared, table, plain_table, figure, merged, archived]
OUTPUTS.append(fetched)
OWN = {".snakemake", "run.json", "snapshots.safetensors"}  # written by the helper, not by a stage


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002], ids=oct)
@pytest.mark.parametrize("write", OUTPUTS)
def test_the_umask_alone_says_who_may_read_an_output(tmp_path, split, write, mask):
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "archive").mkdir()
    before = os.umask(mask)
    try:
        write(folder, split)
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    if write is table:
        files = [path for path in files if not OWN & {*path.parts}]
    assert files
    modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    assert set(modes.values()) == {0o666 & ~mask}, modes


def test_a_training_job_leaves_readable_files(tmp_path, split, make_spec):
    write_split(tmp_path / "split.safetensors", split)
    spec = make_spec(epochs=1, replicates=(0,))
    names = {"checkpoint": "c.safetensors", "run": "run.json", "history": "h.parquet"}
    names |= {"snapshots": "s.safetensors", "data": "split.safetensors"}
    words = [sys.executable, "-m", "squareloss.train", "--spec", spec.model_dump_json()]
    words += [word for name, file in names.items() for word in (f"--{name}", str(tmp_path / file))]
    done = subprocess.run(words, umask=0o027, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    del names["data"]
    assert {Path(tmp_path / file).stat().st_mode & 0o777 for file in names.values()} == {0o640}


def test_a_default_access_list_of_the_folder_is_kept(tmp_path):
    """Where a folder gives its group more than the umask does, as on shared disks."""
    if os.system(f"setfacl -d -m g::rwx {tmp_path} 2>/dev/null"):
        pytest.skip("no access lists here")
    before = os.umask(0o077)
    try:
        text(tmp_path, None)
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o060 == 0o060
