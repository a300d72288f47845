"""No name from another clone, a record or the list of an archive leads out of the study's runs."""

import io
import json
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_clone import RUNS, STUDY, TINY, contents, small_clone, write_record

from squareloss.errors import UserError
from squareloss.files import checksum
from squareloss.share import archive as packing
from squareloss.share import fetch as fetching
from squareloss.share import merge as merging
from squareloss.share import snakemake_records as records
from squareloss.share.check import TABLES
from squareloss.source.code import digest_here
from squareloss.spec import Point
from squareloss.tables.paths import RUN_TABLES, below, part, plain, point_path, run_and_block

RUN = RUNS[0]
# Each is one change away from the name of a part.
HOSTILE = [
    f"../outside/runs/{RUN}/run.json",
    f"/{STUDY}/runs/{RUN}/run.json",
    f"./{STUDY}/runs/{RUN}/run.json",
    f"results/../tiny/runs/{RUN}/run.json",
    f"results//tiny/runs/{RUN}/run.json",
    f".git/tiny/runs/{RUN}/run.json",
    f"results/.snakemake/runs/{RUN}/run.json",
    f"runs/{RUN}/run.json",
    f"{STUDY}/runs/{RUN}/../run.json",
    f"{STUDY}/runs/{RUN}/sub/run.json",
    f"{STUDY}/runs/{RUN}/run.json\n",
    f"{STUDY}/runs/{RUN}/run.json\0",
    f"{STUDY}/runs/{RUN}/Snakefile",
    f"{STUDY}/runs/recipe=evil/block=0/run.json",
    f"{STUDY}/runs/{RUN.replace('recipe=cnn6', 'recipe=../x')}/run.json",
    f"{STUDY}/runs/{RUN.replace('recipe=cnn6', 'recipe=..')}/run.json",
    f"{STUDY}/runs/{RUN.replace('init=0.9', 'init=0.90')}/run.json",
    f"{STUDY}/runs/{RUN.replace('init=0.9', 'init=nan')}/run.json",
    f"{STUDY}/runs/{RUN.replace('n=40', 'n=4_0')}/run.json",
    f"{STUDY}/runs/{RUN.replace('block=0', 'block=00')}/run.json",
    f"{STUDY}/runs/{RUN[:-1]}\u0660/run.json",
    f"{STUDY}/runs/{RUN}/block=0/run.json",
    f"{STUDY}/metrics/none/{RUN}.parquet",
    f"{STUDY}/metrics/../{RUN}.parquet",
    f"{STUDY}/metrics/margins/{RUN}.parquet.sh",
    f"{STUDY}/metrics/margins/{RUN}",
    f"results\\tiny/runs/{RUN}/run.json",
    "results/tiny/explore.html",
    "Snakefile",
    "/etc/passwd",
    "",
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_what_is_no_part_of_a_run_is_none(name):
    assert part(name) is None


@given(
    st.builds(
        Point,
        recipe_name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}", fullmatch=True),
        weight_decay=st.floats(0, 1e300),
        init_scale=st.floats(0, 1e300, exclude_min=True),
        label_noise=st.floats(0, 1),
        n_train=st.integers(1, 10**9),
        batch_size=st.integers(1, 10**9),
        learning_rate=st.floats(0, 1e300, exclude_min=True),
    ),
    st.integers(0, 10**8),
    st.sampled_from(RUN_TABLES),
)
def test_every_run_that_the_workflow_names_is_read_back(point, block, table):
    run = f"{point_path(point)}/block={block}"
    assert run_and_block(run) == (point, block)
    for study in ("results/demo", "a/squareloss/results/ü x", "results/runs/metrics"):
        for name, file in (
            (f"{study}/runs/{run}/run.json", "run.json"),
            (f"{study}/metrics/{table}/{run}.parquet", table),
        ):
            found = part(name)
            assert (found.study, found.run, found.file) == (study, run, file)
            assert (found.point, found.block) == (point, block)
            assert below(f"/somewhere/{name}").run == run
            assert plain(name)


def test_the_names_of_tables_are_those_that_are_written():
    assert set(RUN_TABLES) == set(TABLES)


@pytest.fixture
def clones(tmp_path):
    small_clone(tmp_path / "source")
    (tmp_path / "target").mkdir()
    return merging.Clones(tmp_path / "source", tmp_path / "target")


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if name and "\0" not in name and name[0] != "/"], ids=repr
)
def test_merge_takes_no_file_by_another_name(clones, name):
    """Such a file exists in the other clone, with a record as good as any."""
    source = clones.source / name
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        source.write_text("evil", encoding="utf-8")
    write_record(clones.source, name, "train", "code of train: 1")
    before = contents(clones.target.parent)
    assert merging.merge(clones) == []
    new = set(contents(clones.target.parent)) - set(before)
    taken = {name.removeprefix("target/") for name in new if name.startswith("target/results")}
    assert {part(name).run for name in taken} == set(RUNS)
    assert new == {name for name in new if name.startswith(("target/results", "target/.snakemake"))}


@pytest.mark.parametrize("where", ["file", "folder", "table"])
def test_merge_follows_no_link(clones, tmp_path, where):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret", encoding="utf-8")
    folder = clones.source / STUDY / "runs" / RUN
    if where == "file":
        (folder / "run.json").unlink()
        (folder / "run.json").symlink_to(secret / "file")
    elif where == "folder":
        folder.rename(secret / "run")
        folder.symlink_to(secret / "run")
    else:
        path = clones.source / STUDY / "metrics" / "margins" / f"{RUN}.parquet"
        path.rename(secret / "margins")
        path.symlink_to(secret / "margins")
    [line] = merging.merge(clones)
    assert "is a link or no regular file" in line
    assert not list(clones.target.rglob("*init=0.9*"))


def test_results_on_another_disk_are_merged(clones, tmp_path):
    """The folder of all results may be a link of the user's own, on both sides."""
    (clones.source / "results").rename(tmp_path / "disk")
    (clones.source / "results").symlink_to(tmp_path / "disk")
    (tmp_path / "other").mkdir()
    (clones.target / "results").symlink_to(tmp_path / "other")
    assert merging.merge(clones) == []
    assert len(list((tmp_path / "other").rglob("run.json"))) == 2


# The list of an archive


@pytest.fixture
def published(clones, tmp_path):
    folder = tmp_path / "archive"
    packing.archive(TINY, clones.source, folder)
    return folder


def change(folder, run=RUN, **values):
    path = folder / packing.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["runs"][run].update(values)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE,
        f"{STUDY}/runs/{RUNS[1]}/run.json",  # of another run, whose file brings its own
        f"results/other/runs/{RUN}/run.json",
        f"x/{STUDY}/runs/{RUN}/run.json",
    ],
    ids=repr,
)
def test_an_archive_brings_parts_of_its_run_and_nothing_else(published, tmp_path, name):
    """The file holds what the list says, record and all, and its checksum is right."""
    path = published / packing.file_of(RUN)
    with tarfile.open(path, "w:xz") as tar:
        for member in (name, name + packing.RECORD):
            try:
                info = tarfile.TarInfo(member)
                info.size = 4
                tar.addfile(info, io.BytesIO(b"evil"))
            except ValueError:  # no tar can hold it
                pass
    change(published, parts=[name], sha256=checksum(path), size=path.stat().st_size)
    (tmp_path / "clone").mkdir()
    with pytest.raises(UserError, match="do not belong below results/tiny/"):
        fetching.fetch(str(published), tmp_path / "clone", TINY)
    assert contents(tmp_path / "clone") == {}


@pytest.mark.parametrize(
    "file", ["../../../dev/zero", "/dev/zero", "x.tar.xz", packing.file_of(RUNS[1])]
)
def test_the_file_of_a_run_has_its_name(published, tmp_path, file):
    change(published, file=file)
    (tmp_path / "clone").mkdir()
    with pytest.raises(UserError, match=r"must be recipe=cnn6/.*block=0\.tar\.xz"):
        fetching.fetch(str(published), tmp_path / "clone", TINY)


def test_archiving_again_removes_what_its_list_names_and_nothing_else(clones, published, tmp_path):
    backup, thesis = published / "backup-of-mine.tar.xz", published / "mine" / "thesis.tar.xz"
    outside = tmp_path / "outside.tar.xz"
    thesis.parent.mkdir()
    for path in (backup, thesis, outside):
        path.write_text("mine", encoding="utf-8")
    path = published / packing.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    one = manifest["runs"][RUN]
    manifest["runs"] |= {"../outside": one, "mine/thesis": one, "backup-of-mine": one}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    records.record_path(clones.source, f"{STUDY}/runs/{RUN}/run.json").unlink()
    packing.archive(TINY, clones.source, published)
    assert {path.read_text(encoding="utf-8") for path in (backup, thesis, outside)} == {"mine"}
    assert not (published / packing.file_of(RUN)).exists()  # it was listed, and is not finished now
    assert (published / packing.file_of(RUNS[1])).exists()


@pytest.mark.parametrize(
    "label",
    [
        "code of train, /etc/passwd: 1",
        "code of ../../x: 1",
        "code of a\0b: 1",
        "code of .x: 1",
        "code of train: 1\n",
    ],
)
def test_a_label_of_code_names_modules_and_no_files(clones, label):
    name = f"{STUDY}/runs/{RUN}/run.json"
    write_record(clones.source, name, "train", label, spec="{}")
    assert records.read(clones.source, name) is None


def test_a_label_of_code_that_is_not_here_is_none():
    assert digest_here("code of train, model.networks.nobody: 12345678".rpartition(":")[0]) is None


@pytest.mark.parametrize("key", ["../secret/data/x", "/secret/data/x"])
def test_checksums_of_files_elsewhere_are_not_told(clones, tmp_path, key):
    """Data are compared by the names in a foreign record: no other file is read for it."""
    secret = tmp_path / "secret" / "data" / "x"
    secret.parent.mkdir(parents=True)
    secret.write_text("secret", encoding="utf-8")
    name = f"{STUDY}/runs/{RUN}/run.json"
    path = records.record_path(clones.source, name)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["input_checksums"] = {key.replace("/secret", str(secret.parents[1]), 1): "sha256:0"}
    path.write_text(json.dumps(record), encoding="utf-8")
    assert not [k for k in merging.settings(clones.source, [name]) if "secret" in k]


def test_a_pipe_in_the_place_of_a_record_does_not_hang(clones):
    name = f"{STUDY}/runs/{RUN}/run.json"
    path = records.record_path(clones.source, name)
    path.unlink()
    os.mkfifo(path)
    assert records.read(clones.source, name) is None
    assert merging.merge(clones) == []
    assert not list(clones.target.rglob("*init=0.9*"))
