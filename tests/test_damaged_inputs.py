"""A job whose input is not what it should be says so in one line that names the file, and writes
nothing: no traceback, and above all no other result."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from small_clone import RUNS, STUDY, TINY, small_clone

import squareloss.aggregate
import squareloss.claims.report
import squareloss.extract
import squareloss.figures.__main__
import squareloss.landscape
import squareloss.pages.explore
from squareloss import errors
from squareloss.data.split import write_split
from squareloss.errors import UserError, run_stage
from squareloss.study import sweep
from squareloss.tables.history import HISTORY
from squareloss.tables.margins import MARGINS
from squareloss.tables.parts import read
from squareloss.train.checkpoint import save_tensors
from squareloss.train.job import history_rows, prepare, record, train
from squareloss.train.record import checksums

FIRST, SECOND = RUNS


def job(module, monkeypatch, options):
    """Run a stage as its command does; its line if it failed."""
    words = []
    for name, value in options.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    monkeypatch.setattr(sys, "argv", [module.__name__, *words])
    try:
        run_stage(module.main)
    except SystemExit as end:
        return str(end.code)
    return None


def refused(line, name):
    assert line is not None, "it was taken"
    assert line.startswith("squareloss: error: ")
    assert line.isprintable()
    assert name in line


def rewrite(edit):
    def damage(path):
        pq.write_table(edit(pq.read_table(path, partitioning=None)), path)

    return damage


def replaced(name, value):
    def edit(table):
        column = pa.array([value] * len(table), table[name].type)
        return table.set_column(table.column_names.index(name), name, column)

    return edit


def instead(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


def in_place_of(other):
    return lambda path: shutil.copy(str(path).replace(FIRST, other), path)


# Damage of a part of any table
PARTS = {
    "missing": Path.unlink,
    "a folder": instead(Path.mkdir),
    "a pipe": instead(os.mkfifo),
    "nothing": instead(Path.touch),
    "notes": lambda path: path.write_text("my notes", encoding="utf-8"),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "no rows": rewrite(lambda t: t.slice(0, 0)),
    "rows twice": rewrite(lambda t: pa.concat_tables([t, t])),
    "a row less": rewrite(lambda t: t.slice(1)),
    "a column less": rewrite(lambda t: t.drop_columns([t.column_names[-1]])),
    "a column more": rewrite(lambda t: t.append_column("x", t["replicate"])),
    "a column twice": rewrite(
        lambda t: pa.table([*t.columns, t.columns[-1]], names=[*t.column_names, t.column_names[-1]])
    ),
    "a column as text": rewrite(
        lambda t: t.set_column(t.column_names.index("epoch"), "epoch", t["epoch"].cast(pa.string()))
    ),
    "another run": in_place_of(SECOND),
    "another block": rewrite(
        lambda t: t.set_column(
            t.column_names.index("replicate"),
            "replicate",
            pa.array(np.asarray(t["replicate"]) + 2),
        )
    ),
    "a replicate less": rewrite(lambda t: t.filter(pa.compute.equal(t["replicate"], 1))),
    "another weight decay": rewrite(replaced("weight_decay", 0.5)),
    "another recipe": rewrite(replaced("recipe_name", "mlp")),
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "clone"
    small_clone(folder)
    return folder


@pytest.fixture
def study(clone, tmp_path):
    """The folder of a study of two runs, to be damaged."""
    return shutil.copytree(clone / STUDY, tmp_path / "study")


def part(study, table, run=FIRST):
    return study / "metrics" / table / f"{run}.parquet"


@pytest.mark.parametrize("how", PARTS)
@pytest.mark.parametrize("table", [HISTORY, MARGINS], ids=lambda table: table.name)
def test_the_reader_of_parts_refuses(study, table, how):
    path = part(study, table.name)
    assert len(read([path], table)) > 0
    PARTS[how](path)
    with pytest.raises(UserError) as caught:
        read([path, part(study, table.name, SECOND)], table)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "Permission"), (errno.EIO, "Input")])
def test_a_part_that_may_be_whole_is_not_to_be_deleted(study, monkeypatch, number, words):
    def read_table(*_, **__):
        raise OSError(number, "a message")

    monkeypatch.setattr(pq, "read_table", read_table)
    with pytest.raises(UserError, match=f"could not be read: {words}") as caught:
        read([part(study, "history")], HISTORY)
    assert "delete" not in str(caught.value)


def aggregate_options(study, name="figure5"):
    inputs = ("history", "collapse", "layers", "bounds")
    return {
        "recipes": sweep.recipes_json(TINY, name),
        **{table: [part(study, table, run) for run in RUNS] for table in inputs},
        "output": study / "aggregate" / f"{name}.parquet",
        "output-layers": study / "aggregate" / "layers" / f"{name}.parquet",
    }


def test_undamaged_parts_go_through_every_stage(study, monkeypatch):
    """Without this, the tests below would hold for jobs that refuse everything."""
    assert job(squareloss.aggregate, monkeypatch, aggregate_options(study)) is None
    for module, options, output in (
        (squareloss.pages.explore, explore_options(study), "explore.html"),
        (squareloss.claims.report, claims_options(study), "claims.parquet"),
    ):
        assert job(module, monkeypatch, options) is None, module
        assert (study / output).exists()


@pytest.mark.parametrize("table", ["history", "collapse", "layers", "bounds"])
@pytest.mark.parametrize("how", PARTS)
def test_aggregating_refuses(study, monkeypatch, table, how):
    path = part(study, table)
    PARTS[how](path)
    refused(job(squareloss.aggregate, monkeypatch, aggregate_options(study)), str(path))
    assert not (study / "aggregate").exists()


@pytest.mark.parametrize("table", ["history", "collapse", "layers", "bounds"])
@pytest.mark.parametrize("lacking", ["epoch", "replicate"])
def test_aggregating_refuses_tables_of_other_snapshots(study, monkeypatch, table, lacking):
    """All replicates lack an epoch, or the last one is away: only the other tables know of it."""
    path = part(study, table)
    rewrite(lambda t: t.filter(pa.compute.not_equal(t[lacking], 1)))(path)
    line = job(squareloss.aggregate, monkeypatch, aggregate_options(study))
    refused(line, table)
    assert not (study / "aggregate").exists()


def explore_options(study):
    return {
        "tables": [study / "aggregate" / "figure5.parquet"],
        "margins": study / "metrics" / "margins",
        "made-from": '"x"',
        "output": study / "explore.html",
    }


def claims_options(study):
    return {
        "tables": [study / "aggregate" / "figure5.parquet"],
        "layers": [study / "aggregate" / "layers" / "figure5.parquet"],
        "made-from": '"x"',
        "output": study / "claims",
    }


@pytest.mark.parametrize("how", PARTS)
def test_the_page_to_explore_refuses_margins(study, monkeypatch, how):
    assert job(squareloss.aggregate, monkeypatch, aggregate_options(study)) is None
    PARTS[how](part(study, "margins"))
    line = job(squareloss.pages.explore, monkeypatch, explore_options(study))
    refused(line, str(part(study, "margins")))
    assert not (study / "explore.html").exists()


# Damage of a table of many runs
TABLES = [name for name in PARTS if name not in ("a row less", "a column less", "a column more")]
TABLES = [name for name in TABLES if not name.startswith(("another", "a replicate"))]


@pytest.mark.parametrize("how", TABLES)
@pytest.mark.parametrize("reader", ["explore", "claims", "claims of layers", "figure"])
def test_readers_of_aggregates_refuse(study, monkeypatch, reader, how):
    options = aggregate_options(study)
    assert job(squareloss.aggregate, monkeypatch, options) is None
    path = options["output-layers" if "layers" in reader else "output"]
    PARTS[how](path)
    if reader == "figure":
        monkeypatch.setattr(sys, "argv", ["figures", "figure5", "--table", str(path)])
        sys.argv += ["--results", str(study)]
        with pytest.raises(SystemExit) as end:
            run_stage(squareloss.figures.__main__.main)
        line = end.value.code
    elif reader == "explore":
        line = job(squareloss.pages.explore, monkeypatch, explore_options(study))
    else:
        line = job(squareloss.claims.report, monkeypatch, claims_options(study))
    refused(line, str(path))


@pytest.mark.parametrize("how", ["missing", "cut", "rows twice", "another run", "no rows"])
def test_a_figure_refuses_margins(study, monkeypatch, how):
    options = aggregate_options(study, "figure5")
    assert job(squareloss.aggregate, monkeypatch, options) is None
    PARTS[how](part(study, "margins"))
    words = ["figures", "figure8", "--table", options["output"], "--margins"]
    words += [part(study, "margins", run) for run in RUNS] + ["--results", study]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit) as end:
        run_stage(squareloss.figures.__main__.main)
    refused(end.value.code, str(part(study, "margins")))
    assert not (study / "figures").exists()


def test_a_table_of_another_run_is_refused_by_its_relative_path_too(study, monkeypatch):
    """From within its folder the path has no `metrics` before it to tell a part by."""
    PARTS["another run"](part(study, "margins"))
    monkeypatch.chdir(study)
    with pytest.raises(UserError, match="of another run than its path says"):
        read([f"metrics/margins/{FIRST}.parquet"], MARGINS)


# What training left


@pytest.fixture(scope="module")
def left(tmp_path_factory, split, make_spec):
    """A trained run as the workflow names its files."""
    folder = tmp_path_factory.mktemp("trained")
    run = "recipe=tiny/wd=0.001/init=1/noise=0/n=40/batch=16/lr=0.05/block=0"
    spec = make_spec(replicates=(0, 1))
    block = prepare(spec, split)
    train(block, spec.recipe.epochs)
    files = {
        "run": folder / "runs" / run / "run.json",
        "snapshots": folder / "runs" / run / "snapshots.safetensors",
        "data": folder / "split.safetensors",
        "history": folder / "metrics" / "history" / f"{run}.parquet",
    }
    write_split(files["data"], split)
    replicates = block.replicates.values()
    save_tensors(files["snapshots"], {k: t for r in replicates for k, t in r.snapshots.items()})
    HISTORY.write(
        files["history"], spec.point, [row for r in replicates for row in history_rows(r)]
    )
    found = record(spec, block, 1.0)
    found |= checksums(snapshots=files["snapshots"], history=files["history"])
    files["run"].write_text(json.dumps(found), encoding="utf-8")
    return folder


@pytest.fixture
def run(left, tmp_path):
    folder = shutil.copytree(left, tmp_path / "run")
    [path] = folder.rglob("run.json")
    return {
        "run": path,
        "snapshots": path.with_name("snapshots.safetensors"),
        "data": folder / "split.safetensors",
    }


def with_values(**values):
    def damage(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        spec = found["spec"] | values.get("spec", {})
        path.write_text(json.dumps(found | values | {"spec": spec}), encoding="utf-8")

    return damage


def with_point(**values):
    def damage(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        found["spec"]["point"] |= values
        path.write_text(json.dumps(found), encoding="utf-8")

    return damage


def text(words):
    return lambda path: path.write_text(words, encoding="utf-8")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 16
    path.write_bytes(data)


def tensors(edit):
    def damage(path):
        safetensors.numpy.save_file(edit(safetensors.numpy.load_file(path)), path)

    return damage


TRAINED = {
    "no record": ("run", Path.unlink),
    "a list": ("run", text("[1, 2]")),
    "a number": ("run", text("1")),
    "deep nesting": ("run", text("[" * 100_000)),
    "half a record": ("run", lambda path: os.truncate(path, 100)),
    "no text": ("run", lambda path: path.write_bytes(b"\xff\xfe")),
    "a folder for a record": ("run", instead(Path.mkdir)),
    "very many threads": ("run", with_values(spec={"threads": 10**12})),
    "other replicates": ("run", with_values(spec={"replicates": [2, 3]})),
    "more replicates": ("run", with_values(spec={"replicates": [0, 1, 2]})),
    "the course of others": ("run", with_values(diverged_at={"2": None, "3": None})),
    "diverged, and is not": ("run", with_values(diverged_at={"0": 1, "1": None})),
    "fewer samples": ("run", with_point(n_train=20)),
    "another weight decay": ("run", with_point(weight_decay=0.5)),
    "no snapshots": ("snapshots", Path.unlink),
    "a folder for snapshots": ("snapshots", instead(Path.mkdir)),
    "half of the snapshots": ("snapshots", lambda path: os.truncate(path, 5000)),
    "a flipped bit": ("snapshots", flip),
    "no tensors": ("snapshots", tensors(lambda _: {})),
    "no tensors of an epoch": (
        "snapshots",
        tensors(lambda found: {k: t for k, t in found.items() if not k.startswith("1/3/")}),
    ),
    "tensors of other names": (
        "snapshots",
        tensors(lambda found: {k.replace("/", "."): t for k, t in found.items()}),
    ),
    "a tensor less": (
        "snapshots",
        tensors(lambda found: {k: t for k, t in found.items() if k != "0/3/weight1"}),
    ),
    "a layer of another shape": (
        "snapshots",
        tensors(lambda found: {k: t[:1] if k == "0/3/weight1" else t for k, t in found.items()}),
    ),
}
STAGES = {
    squareloss.extract: {
        "delta": 0.05,
        **{n: n for n in ("margins", "collapse", "layers", "bounds")},
    },
    squareloss.landscape: {"output": "landscape"},
}


def outputs(module, folder):
    return {k: folder / v if isinstance(v, str) else v for k, v in STAGES[module].items()}


@pytest.mark.parametrize("checksummed", [True, False], ids=["", "of an earlier version"])
@pytest.mark.parametrize("how", TRAINED)
@pytest.mark.parametrize("module", STAGES, ids=lambda module: module.__name__)
def test_measuring_refuses(run, tmp_path, monkeypatch, module, how, checksummed):
    name, damage = TRAINED[how]
    if not checksummed:
        if how == "a flipped bit":
            pytest.skip("nothing but a checksum tells")
        with_values(sha256={})(run["run"])
    damage(run[name])
    line = job(module, monkeypatch, run | outputs(module, tmp_path))
    refused(line, run[name].name)
    assert not [path for path in tmp_path.iterdir() if path.name != "run"]


@pytest.mark.parametrize("module", STAGES, ids=lambda module: module.__name__)
def test_measuring_takes_what_is_whole(run, tmp_path, monkeypatch, module):
    assert job(module, monkeypatch, run | outputs(module, tmp_path)) is None
    with_values(sha256={})(run["run"])
    assert job(module, monkeypatch, run | outputs(module, tmp_path)) is None


@pytest.mark.parametrize("module", [*STAGES, None], ids=lambda m: m.__name__ if m else "train")
@pytest.mark.parametrize(
    "changes",
    [
        lambda s: {"train_labels": s.train_labels[:20]},
        lambda s: {"noisy_labels": s.noisy_labels[:1]},
    ],
    ids=["fewer samples", "fewer replicates"],
)
def test_data_of_another_run_are_refused(
    run, split, make_spec, monkeypatch, tmp_path, module, changes
):
    other = dataclasses.replace(split, **changes(split))
    if module is None:
        with pytest.raises(UserError, match="the prepared data is not"):
            prepare(make_spec(replicates=(0, 1)), other)
        return
    write_split(run["data"], other)
    refused(job(module, monkeypatch, run | outputs(module, tmp_path)), "the prepared data is not")


# What nobody foresaw


def test_an_unforeseen_error_is_one_line_and_a_traceback_on_request(tmp_path, monkeypatch, capsys):
    files = [tmp_path / f"{i}\n.parquet" for i in range(9)]
    for path in files:
        path.touch()
    monkeypatch.setattr(sys, "argv", ["stage", *map(str, files), "--option", "no file"])

    def main():
        raise ZeroDivisionError("first\nsecond \x1b[2J")

    for asked in (False, True):
        monkeypatch.setenv(errors.TRACEBACK, "1" if asked else "")
        with pytest.raises(SystemExit) as end:
            run_stage(main)
        line = end.value.code
        assert line.isprintable()
        assert "ZeroDivisionError: first;" in line
        assert "5\\x0a.parquet and 3 more" in line
        assert ("Traceback" in capsys.readouterr().err) == asked


def test_a_killed_stage_still_says_so():
    """What is no error, a signal or `sys.exit`, passes as it is."""
    program = "import sys; from squareloss.errors import run_stage; run_stage(lambda: sys.exit(75))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 75


def test_an_unforeseen_error_is_one_line_whatever_the_job_was_given():
    """The JSON of a `--spec` is longer than a file's name can be."""
    program = "from squareloss.errors import run_stage; run_stage(lambda: 1 / 0)"
    spec = json.dumps({"point": "x" * 400})
    done = subprocess.run(
        [sys.executable, "-c", program, "--spec", spec, __file__],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("squareloss: error: ZeroDivisionError: division by zero; is one of")
    assert f"damaged? {__file__}; " in line
