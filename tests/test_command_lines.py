"""Command lines of the stages: a mistake is a line, and no input is overwritten."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from squareloss import arguments
from squareloss.errors import UserError, run_stage
from squareloss.spec import DataSpec, RunSpec, canonical_json


def said(monkeypatch, capsys, stage, words):
    """What a stage says when it ends: the last line of the parser's, or its own."""
    monkeypatch.setattr(sys, "argv", [stage, *words])
    module = importlib.import_module(f"squareloss.{stage}")
    with pytest.raises(SystemExit) as stopped:
        run_stage(module.main)
    assert stopped.value.code not in (None, 0)
    lines = capsys.readouterr().err.splitlines()
    return lines[-1] if stopped.value.code == 2 else str(stopped.value.code)


def named(*names):
    """--name name of every name."""
    return [word for name in names for word in (f"--{name}", name)]


TRAIN = named("data", "checkpoint", "run", "snapshots", "history")
EXTRACT = named("run", "snapshots", "data", "margins", "collapse", "layers", "bounds")
SMALL = named("flow", "minibatch", "tree", "ample", "settled")
AGGREGATE = named("history", "collapse", "layers", "bounds", "output", "output-layers")
ABOUT = named("claims", "config-file", "output", "croissant")
WRONG = [
    ("train.__main__", [*TRAIN, "--spec", "{}"], "--spec: point: "),
    ("train.__main__", [*TRAIN, "--spec", "{"], "--spec: JSON: "),
    ("train.__main__", [*TRAIN, "--spec", ""], "--spec: JSON: "),
    ("train.__main__", [*TRAIN, "--spec", "[]"], "--spec: JSON: "),
    ("data.prepare", ["--output", "o", "--spec", "{}"], "--spec: source: "),
    *[
        ("train.__main__", [*TRAIN, "--spec", "{}", "--checkpoint-minutes", value], repr(value))
        for value in ("0", "-1", "nan", "inf", "x")
    ],
    *[
        ("extract", [*EXTRACT, f"--delta={value}"], repr(value))
        for value in ("0", "1", "2", "-0.1", "nan", "inf", "", "x")
    ],
    *[
        ("small.__main__", [*SMALL, "--seed", "0", f"--replicates={value}"], repr(value))
        for value in ("0", "-1", "1.5", "nan", "", "x")
    ],
    *[("machine.benchmark", [f"--repeats={value}"], repr(value)) for value in ("0", "-1", "x")],
    *[
        ("machine.benchmark_step", [f"--replicates={value}"], repr(value))
        for value in ("0", "-1", "x")
    ],
    ("source.code", ["nosuch"], "no module squareloss.nosuch"),
    ("source.code", ["small", "--since", "nosuch"], "No such file or directory: 'nosuch'"),
    *[
        ("machine.doctor", [f"--seconds={value}"], repr(value))
        for value in ("-1", "nan", "inf", "x")
    ],
    *[
        ("study.cost", ["config.yaml", f"--samples-per-second={value}"], repr(value))
        for value in ("0", "-1", "nan", "inf", "x")
    ],
    *[("aggregate", [*AGGREGATE, f"--recipes={value}"], "JSON") for value in ("", "[]", "{", "1")],
    ("aggregate", [*AGGREGATE, "--recipes={}", "--history"], "--history: expected at least one"),
    ("claims.report", ["--output", "o", "--tables"], "--tables: expected at least one"),
    *[
        ("claims.report", ["--output=o", "--tables=t", f"--made-from={value}"], "JSON text")
        for value in ("", "[]", "{")
    ],
    ("pages.explore", [*named("tables", "margins", "output"), "--made-from={"], "JSON text"),
    ("pages.about", [*ABOUT, "--made-from={", "--config={}"], "JSON text"),
    ("pages.about", [*ABOUT, '--made-from=""', "--config=1"], "JSON object"),
    ("figures.__main__", ["figure5", "--results", "r", "--made-from={"], "JSON text"),
]


@pytest.mark.parametrize(("stage", "words", "wanted"), WRONG)
def test_a_wrong_value_is_a_line_that_names_it(monkeypatch, capsys, stage, words, wanted):
    line = said(monkeypatch, capsys, stage, words)
    assert wanted in line
    assert "\n" not in line


def test_a_spec_without_replicates_or_of_another_version_names_the_key(make_spec):
    spec = json.loads(canonical_json(make_spec()))
    for key, value in [("replicates", []), ("epochs", 3), ("threads", 0)]:
        with pytest.raises(UserError, match=rf"--spec: {key}: "):
            arguments.read_as(RunSpec, json.dumps(spec | {key: value}))
    assert arguments.read_as(RunSpec, json.dumps(spec)) == make_spec()
    with pytest.raises(UserError, match="--spec: classes: "):
        arguments.read_as(DataSpec, '{"source": "a", "root": "", "classes": []}')


# What is read and written


def replaced(words, **values):
    """`words` with other values of some options."""
    words = list(words)
    for name, value in values.items():
        words[words.index(f"--{name.replace('_', '-')}") + 1] = value
    return words


@pytest.fixture
def run_json(make_spec):
    return canonical_json(make_spec())


OVERWRITING = [
    ("train.__main__", [*TRAIN, "--spec", "SPEC"], {"run": "data"}),
    ("train.__main__", [*TRAIN, "--spec", "SPEC"], {"checkpoint": "./data"}),
    ("train.__main__", [*TRAIN, "--spec", "SPEC"], {"history": "run"}),
    ("extract", [*EXTRACT, "--delta", "0.1"], {"margins": "snapshots"}),
    ("extract", [*EXTRACT, "--delta", "0.1"], {"bounds": "link"}),
    ("extract", [*EXTRACT, "--delta", "0.1"], {"bounds": "layers"}),
    ("landscape", named("run", "snapshots", "data", "output"), {"output": "run"}),
    ("small.__main__", [*SMALL, "--seed", "0", "--replicates", "1"], {"flow": "tree"}),
    ("aggregate", [*AGGREGATE, "--recipes", "{}"], {"output": "layers"}),
    ("aggregate", [*AGGREGATE, "--recipes", "{}"], {"output_layers": "output"}),
    (
        "pages.explore",
        [*named("tables", "margins", "output"), "--made-from", '""'],
        {"output": "tables"},
    ),
    ("claims.report", named("tables", "output"), {"tables": "output.parquet"}),
    *[
        ("pages.about", [*ABOUT, "--config={}", '--made-from=""'], changes)
        for changes in ({"croissant": "output"}, {"config_file": "claims"})
    ],
]  # fmt: skip


@pytest.mark.parametrize(("stage", "words", "changes"), OVERWRITING)
def test_no_output_is_an_input_or_another_output(
    monkeypatch, capsys, tmp_path, run_json, stage, words, changes
):
    monkeypatch.chdir(tmp_path)
    words = [run_json if word == "SPEC" else word for word in words]
    for name in {word for word in words if not word.startswith(("-", "{"))}:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to("data")
    before = sorted(tmp_path.iterdir())
    line = said(monkeypatch, capsys, stage, replaced(words, **changes))
    assert "name another" in line
    assert sorted(tmp_path.iterdir()) == before
    kept = [path for path in before if path.is_file()]
    assert all(path.read_text(encoding="utf-8") == "mine" for path in kept)


def test_preparing_overwrites_no_file_of_the_data_set(monkeypatch, capsys, tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.parquet").write_text("mine", encoding="utf-8")
    spec = DataSpec(
        source="parquet", root=str(tmp_path), classes=((0,), (1,)), n_train=2, n_test=2,
        noise_kind="permute", label_noise=0, seed=0, replicates=(0,),
    )  # fmt: skip
    for part in ("train", "test"):
        words = ["--spec", canonical_json(spec), "--output", str(tmp_path / f"{part}.parquet")]
        assert "name another" in said(monkeypatch, capsys, "data.prepare", words)
        assert (tmp_path / f"{part}.parquet").read_text(encoding="utf-8") == "mine"


# Without docstrings

HELPS = """
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(f"squareloss.{name}")
    sys.argv = [name, "--help"]
    try:
        module.main()
    except SystemExit as stopped:
        if stopped.code:
            raise
from squareloss.claims import document
print(document.document())
"""
STAGES = [
    "train.__main__", "extract", "landscape", "small.__main__", "aggregate",
    "pages.explore", "pages.about", "claims.report", "figures.__main__", "data.prepare",
    "study.cost", "share.merge",
    "share.archive", "share.fetch", "share.prune", "machine.doctor", "machine.benchmark",
    "machine.benchmark_step", "figures.document_numbers", "source.code",
]  # fmt: skip


def test_stages_start_and_claims_say_what_they_measure_without_docstrings():
    from squareloss.claims import document

    variables = os.environ | {"PYTHONOPTIMIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", HELPS, *STAGES],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(document.document() + "\n")


@pytest.mark.parametrize("module", ["study.schema", "study.document"])
def test_what_quotes_docstrings_says_that_there_are_none(module):
    variables = os.environ | {"PYTHONOPTIMIZE": "2"}
    command = [sys.executable, "-m", f"squareloss.{module}"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "unset PYTHONOPTIMIZE" in done.stderr
