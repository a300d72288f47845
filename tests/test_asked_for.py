"""What a config no longer asks for is told and removed, and read by nobody; what it asks for and is
deleted is made again."""

import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_clone import RUNS, STUDY, TINY, contents, small_clone
from workflow_copy import ROOT, planned, snakemake

from squareloss.errors import UserError
from squareloss.pages import explorer
from squareloss.share import prune
from squareloss.share import snakemake_records as records
from squareloss.study import plan
from squareloss.study.files import read

CONFIG = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")]


def changed(**keys):
    return TINY.model_copy(update=keys)


@pytest.fixture
def clone(tmp_path):
    """Two runs; beside them what nobody asks for, or what is no part and must stay."""
    small_clone(tmp_path / "clone")
    for name in ("notes.txt", f"metrics/margins/{RUNS[0]}.parquet.bak", "runs/notes.txt"):
        (tmp_path / "clone" / STUDY / name).write_text("mine", encoding="utf-8")
    other = tmp_path / "clone" / "results" / "other" / "runs" / RUNS[0].replace("wd=0.001", "wd=9")
    other.mkdir(parents=True)
    (other / "run.json").write_text("another study's", encoding="utf-8")
    return tmp_path / "clone"


def test_the_plan_names_what_the_workflow_makes(clone):
    made = {str(path.relative_to(clone)) for path in clone.rglob("block=0.parquet")}
    tables = ("history", "margins", "collapse", "layers", "bounds")
    assert {name for table in tables for name in plan.parts(TINY, table)} == made
    assert plan.runs(TINY) == RUNS
    assert plan.unasked(TINY, clone) == {}
    assert plan.notice(TINY, clone) == ""


def test_runs_of_a_smaller_sweep_and_of_other_blocks_are_not_asked_for(clone):
    [sweep] = TINY.experiments["figure5"].sweeps
    fewer = sweep.model_copy(update={"init_scale": (0.9,)})
    one = TINY.experiments["figure5"].model_copy(update={"sweeps": (fewer,)})
    smaller = changed(experiments={"figure5": one})
    assert list(plan.unasked(smaller, clone)) == [RUNS[1]]
    line = plan.notice(smaller, clone)
    assert line.startswith("results/tiny: 7 files of 1 runs and blocks are not asked for")
    assert RUNS[1] in line
    assert "\n" not in line
    # Blocks of one replicate: block 0 has the same name, and 1 is asked for in addition.
    assert plan.unasked(changed(block_size=1), clone) == {}
    second = Path(clone, STUDY, "runs", RUNS[0].replace("block=0", "block=1"))
    shutil.copytree(clone / STUDY / "runs" / RUNS[0], second)
    assert list(plan.unasked(TINY, clone)) == [RUNS[0].replace("block=0", "block=1")]


def test_results_may_lie_elsewhere(clone, tmp_path):
    """In an absolute folder, whose studies are planned and told of in the same way."""
    elsewhere = changed(results=str(clone / "results"))
    assert plan.unasked(elsewhere, tmp_path) == {}
    extra = Path(clone, STUDY, "runs", RUNS[0].replace("block=0", "block=1"))
    shutil.copytree(clone / STUDY / "runs" / RUNS[0], extra)
    [names] = plan.unasked(elsewhere, tmp_path).values()
    assert str(extra / "run.json") in names


def test_pruning_removes_those_with_their_records_and_nothing_else(clone):
    [sweep] = TINY.experiments["figure5"].sweeps
    fewer = sweep.model_copy(update={"init_scale": (0.9,)})
    one = TINY.experiments["figure5"].model_copy(update={"sweeps": (fewer,)})
    smaller = changed(experiments={"figure5": one})
    before, unasked = contents(clone), plan.unasked(smaller, clone)
    gone = {name for names in unasked.values() for name in names}
    recorded = {str(records.record_path(clone, name).relative_to(clone)) for name in gone}
    prune.prune(smaller, clone, unasked)
    after = contents(clone)
    assert len(gone) == 7
    assert set(before) - set(after) == gone | recorded
    assert after.items() <= before.items()
    assert plan.unasked(smaller, clone) == {}
    assert not list((clone / STUDY).rglob("*init=1.3*"))  # nor an empty folder


def test_pruning_waits_while_snakemake_runs(clone):
    locks = clone / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.input.lock").touch()
    with pytest.raises(UserError, match="Snakemake runs here"):
        prune.prune(TINY, clone, {RUNS[0]: []})


@pytest.fixture
def fewer(clone, monkeypatch, tmp_path):
    """The clone, in which a config of half the runs is to be pruned."""
    overlay = tmp_path / "fewer.yaml"
    text = Path(CONFIG[1]).read_text(encoding="utf-8")
    overlay.write_text(text.replace("[0.9, 1.3]", "[0.9]"), encoding="utf-8")
    monkeypatch.chdir(clone)
    monkeypatch.setattr(sys, "argv", ["prune", "--config", CONFIG[0], str(overlay)])
    return clone


def kept(clone):
    """Which of the two runs are there."""
    return [(clone / STUDY / "runs" / run / "run.json").exists() for run in RUNS]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("answer", "stays"), [("n\n", True), ("\n", True), ("", True), ("y\n", False)]
)
def test_in_a_terminal_pruning_lists_and_asks(fewer, monkeypatch, capsys, answer, stays):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    prune.main()
    assert kept(fewer) == [True, stays]
    said = capsys.readouterr().out
    assert RUNS[1] in said
    assert "fewer.yaml does not ask for" in said
    assert "--config" in said


def test_an_interrupt_is_no_answer_and_no_traceback(fewer, monkeypatch):
    class Interrupted(Terminal):
        def readline(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())
    with pytest.raises(UserError, match=r"^nothing was removed$"):
        prune.main()
    assert kept(fewer) == [True, True]


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), None])
def test_without_a_terminal_pruning_lists_and_removes_nothing_unasked(
    fewer, monkeypatch, capsys, stdin
):
    before = contents(fewer)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(UserError, match=r"nothing was removed.*YES=1"):
        prune.main()
    assert RUNS[1] in capsys.readouterr().out
    assert contents(fewer) == before
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--yes"])
    prune.main()
    assert kept(fewer) == [True, False]


def test_the_page_to_explore_reads_the_runs_it_is_given(clone):
    """The folder holds another run, a block of another size and a text."""
    folder = clone / STUDY / "metrics" / "margins"
    first = folder / f"{RUNS[0]}.parquet"
    shutil.copy(first, first.with_name("block=1.parquet"))
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    path = RUNS[0].rpartition("/")[0]
    rows = explorer.quantiles(folder, [path])
    part = pd.read_parquet(first, partitioning=None)
    assert [(row["path"], row["epoch"]) for row in rows] == [(path, e) for e in (0, 1, 2)]
    for row in rows:
        own = part[(part["replicate"] == 0) & (part["epoch"] == row["epoch"])]["margin"]
        np.testing.assert_allclose(row["q"], np.quantile(own, np.linspace(0, 1, 21)), rtol=1e-3)


# In the workflow


@pytest.fixture
def study(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "study", symlinks=True)


@pytest.mark.workflow
def test_planning_names_them_in_one_line_and_the_readme_counts_none(study):
    """Blocks of two replicates became blocks of one, and back: nothing is counted twice."""
    for path in (study / "results/tiny/metrics").rglob("block=0.parquet"):
        shutil.copy(path, path.with_name("block=1.parquet"))
    done = snakemake(study, "-n")
    [line] = [line for line in done.stderr.splitlines() if "not asked for" in line]
    assert re.match(r"results/tiny: \d+ files of 2 runs and blocks are not asked for", line)
    assert "Nothing to be done" in done.stdout + done.stderr
    config = read(CONFIG)
    margins = pd.read_parquet(
        [study / name for name in plan.parts(config, "margins")], partitioning=None
    )
    history = pd.read_parquet(
        [study / name for name in plan.parts(config, "history")], partitioning=None
    )
    assert len(margins) == 2 * 2 * 3 * 40  # runs, replicates, snapshots, samples
    assert not history.duplicated().any()
    prune.prune(config, study, plan.unasked(config, study))
    assert "not asked for" not in snakemake(study, "-n").stderr


MADE_AGAIN = [
    "metrics/history",
    "metrics/margins",
    "metrics/collapse",
    "metrics/layers",
    "metrics/bounds",
    "metrics/landscape",
    "aggregate/figure3.parquet",
    "aggregate/layers/figure3.parquet",
    "small/minibatch.parquet",
    "figures/figure3.png",
    "figures/figure3.pdf",
    "tables/figure5.csv",
    "tables/figure5.tex",
    "claims/claims.html",
    "explore.html",
    "README.md",
    "croissant.json",
]


@pytest.mark.workflow
def test_everything_is_asked_for_by_all(study):
    """So that Snakemake makes again what was deleted, though what is made of it is there."""
    done = snakemake(study, "-n", "--forcerun", "all")
    [asked] = re.findall(r"^(?:local)?rule all:\n +input: (.*)$", done.stdout, re.M)
    paths = [study / "results/tiny" / name for name in MADE_AGAIN]
    wanted = {path for one in paths for path in (one.rglob("*.parquet") if one.is_dir() else [one])}
    assert {str(path.relative_to(study)) for path in wanted} <= set(asked.split(", "))
    assert len(wanted) == 5 * 2 + 1 + 11
    shutil.rmtree(study / "results/tiny/metrics/history")
    assert planned(study)["train"] == 2
