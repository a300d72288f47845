"""Taking the finished runs of another clone, with what Snakemake recorded of them."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from workflow_copy import copy_repository, make, planned, snakemake

from squareloss.share import merge as stage
from squareloss.share import snakemake_records as records

STUDY = Path("results/tiny")
RUNS = [
    f"recipe=cnn6/wd=0.001/init={init}/noise=0/n=40/batch=20/lr=0.03/block=0"
    for init in ("0.9", "1.3")
]


# Snakemake's records


@given(output=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600))
def test_records_lie_where_snakemake_puts_them(output, tmp_path_factory):
    clone = tmp_path_factory.getbasetemp() / "records"
    persistence = FilePersistence(path=clone / ".snakemake")
    metadata = str(clone / ".snakemake" / "metadata")
    incomplete = str(clone / ".snakemake" / "incomplete")
    assert str(records.record_path(clone, output)) == persistence._record_path(metadata, output)
    assert str(records.marker_path(clone, output)) == persistence._record_path(incomplete, output)


def test_every_record_is_found_under_its_output(tmp_path):
    names = ["a", "ü" * 300, *(f"results/{'x' * n}/y" for n in range(150, 400, 7))]
    persistence = FilePersistence(path=tmp_path / ".snakemake")
    for name in names:
        persistence._write_record(name, MetadataRecord(rule="r"))
    (tmp_path / ".snakemake" / "metadata" / "stray.txt").write_text("", encoding="utf-8")
    assert records.outputs(tmp_path) == sorted(names)


def test_parameters_get_their_names_from_the_command(tmp_path):
    record = MetadataRecord(
        rule="r",
        code="do --delta {params.delta}",
        shellcmd="do --delta 0.05 --spec '{\"a\": 1}' > log",
        params=["'code of x: 1'", "'{\"a\": 1}'", "0.05"],
        record_format_version=records.FORMAT,
        incomplete=False,
    )
    FilePersistence(path=tmp_path / ".snakemake")._write_record("out", record)
    read = records.read(tmp_path, "out")
    assert read.parameters == {"code of x: 1": "code of x: 1", "delta": 0.05, "spec": '{"a": 1}'}
    path = records.record_path(tmp_path, "out")
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert records.read(tmp_path, "out") is None
    assert records.read(tmp_path, "other") is None


# Clones


@pytest.fixture
def clones(finished, tmp_path):
    """The finished study twice; what is taken away from the second can be taken from the first."""
    both = tmp_path / "source", tmp_path / "target"
    for folder in both:
        shutil.copytree(finished, folder)
    return stage.Clones(*both)


def parts(clone, run):
    """The parts of a run and block, as the rules name them."""
    return sorted(
        str(path.relative_to(clone))
        for path in (clone / STUDY).rglob("*")
        if path.is_file() and run in str(path) and not {"logs", "checkpoints"} & set(path.parts)
    )


def forget(clone, run):
    """As if a run had never been made in a clone."""
    for part in parts(clone, run):
        (clone / part).unlink()
        records.record_path(clone, part).unlink()


def contents(clone):
    """Digest of every result and record."""
    return {
        path.relative_to(clone): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("results", ".snakemake/metadata")
        for path in (clone / folder).rglob("*")
        if path.is_file()
    }


def edit_tiny(clone, old, new):
    path = clone / "tiny.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.workflow
def test_what_is_taken_is_not_trained_again_and_reruns_when_it_must(clones):
    forget(clones.target, RUNS[1])
    before = contents(clones.target)
    assert planned(clones.target)["train"] == 1
    done = make(clones.target, "merge", f"FROM={clones.source}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"took {RUNS[1]}: 7 files" in done.stdout
    after = contents(clones.target)
    assert before.items() <= after.items()
    assert after == contents(clones.source)
    assert "train" not in planned(clones.target)
    assert "extract" not in planned(clones.target)
    # Stale results would be taken for good if their records had not come along.
    assert planned(clones.target, "metrics", "--config", "seed=3")["train"] == 2
    assert planned(clones.target, "metrics", "--config", "delta=0.1")["extract"] == 2
    again = make(clones.target, "merge", f"FROM={clones.source}")
    assert "0 runs taken, 2 were here already" in again.stdout
    assert contents(clones.target) == after


@pytest.mark.workflow
def test_a_clone_in_which_nothing_ran_takes_the_parts_alone(clones, tmp_path):
    fresh = tmp_path / "fresh"
    copy_repository(fresh)
    done = make(fresh, "merge", f"FROM={clones.source}")
    assert done.returncode == 0, done.stdout + done.stderr
    taken = {str(path) for path in contents(fresh) if path.parts[0] == "results"}
    assert taken == {part for run in RUNS for part in parts(clones.source, run)}
    jobs = planned(fresh)
    assert jobs["aggregate"] == 3
    assert not {"train", "extract", "landscape", "prepare_split"} & set(jobs)
    # The records hold, of whatever was not taken, what it was.
    assert planned(fresh, "metrics", "--config", "seed=3")["train"] == 2


@pytest.mark.workflow
def test_results_that_an_earlier_copy_took_without_records_get_them(clones):
    for part in parts(clones.target, RUNS[1]):
        records.record_path(clones.target, part).unlink()
    other = ("metrics", "--config", "delta=0.1")
    assert planned(clones.target, *other)["extract"] == 1  # the danger: the other's would stay
    assert stage.merge(clones) == []
    assert planned(clones.target, *other)["extract"] == 2


@pytest.mark.workflow
def test_a_run_that_was_cut_short_here_counts_as_finished_once_taken(clones):
    lost = parts(clones.target, RUNS[1])
    forget(clones.target, RUNS[1])
    for part in lost:
        marker = records.marker_path(clones.target, part)
        marker.write_text('{"external_jobid": null}', encoding="utf-8")
    assert stage.merge(clones) == []
    assert "train" not in planned(clones.target)


@pytest.mark.workflow
def test_clones_of_other_settings_are_refused_and_say_in_what(clones):
    forget(clones.target, RUNS[1])
    edit_tiny(clones.source, "study: tiny", "study: tiny\nseed: 3\ndelta: 0.1")
    edit_tiny(clones.source, "epochs: 2", "epochs: 1")
    engine = clones.source / "src/squareloss/train/engine.py"
    engine.write_text(engine.read_text(encoding="utf-8") + "ANOTHER = True\n", encoding="utf-8")
    assert snakemake(clones.source, "metrics").returncode == 0
    before = contents(clones.target)
    done = make(clones.target, "merge", f"FROM={clones.source}")
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if "squareloss: error" in line]
    assert re.search(r"code of train[\w., ]*\.cnn6[\w., ]* is \w+ there and \w+ here", line)
    for words in ("delta is 0.1 there and 0.05 here", "recipes.cnn6.epochs is 1 there and 2 here"):
        assert words in line
    assert "seed is 3 there and 2022 here" in line
    assert "safetensors is sha256:" in line  # of the split, whose noise and images the seed draws
    assert contents(clones.target) == before
    assert "took" not in done.stdout


@pytest.mark.workflow
def test_a_run_trained_here_too_stays_as_it_is(clones):
    forgotten = parts(clones.target, RUNS[0])
    [landscape] = [part for part in forgotten if "landscape" in part]
    (clones.target / landscape).unlink()
    run = clones.target / STUDY / "runs" / RUNS[0] / "run.json"
    run.write_text(run.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    before = contents(clones.target)
    assert stage.merge(clones) == []
    assert contents(clones.target) == before


@pytest.mark.workflow
@pytest.mark.parametrize("unfinished", ["no record", "being made", "no file"])
def test_a_run_that_is_not_finished_there_is_not_taken(clones, unfinished):
    forget(clones.target, RUNS[1])
    output = str(STUDY / "runs" / RUNS[1] / "run.json")
    if unfinished == "no record":
        records.record_path(clones.source, output).unlink()
    elif unfinished == "being made":
        records.marker_path(clones.source, output).write_text("{}", encoding="utf-8")
    else:
        (clones.source / output).unlink()
    before = contents(clones.target)
    assert stage.merge(clones) == []
    assert contents(clones.target) == before


@pytest.mark.workflow
def test_weights_that_were_removed_there_are_missed_only_by_what_was_not_measured(clones):
    run = clones.source / STUDY / "runs" / RUNS[1] / "snapshots.safetensors"
    run.unlink()
    forget(clones.target, RUNS[1])
    assert stage.merge(clones) == []
    assert not {"train", "extract"} & set(planned(clones.target))
    forget(clones.target, RUNS[1])
    (clones.source / STUDY / "metrics" / "bounds" / f"{RUNS[1]}.parquet").unlink()
    before = contents(clones.target)
    assert stage.merge(clones) == []
    assert contents(clones.target) == before


@pytest.mark.workflow
def test_a_copy_that_fails_leaves_nothing_and_the_next_completes_one_that_was_killed(
    clones, monkeypatch
):
    forget(clones.target, RUNS[1])
    before = contents(clones.target)
    copy, replace = shutil.copy2, os.replace

    def full(source, target):
        if "snapshots" in str(source):
            raise OSError(28, "No space left on device", str(target))
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(stage.UserError, match=r"snapshots.safetensors could not be written: No sp"):
        stage.merge(clones)
    assert contents(clones.target) == before
    monkeypatch.setattr(shutil, "copy2", copy)

    class Killed(BaseException):
        pass

    for renames in range(1, 14, 3):
        done = []

        def kill(source, target, done=done, renames=renames):
            if len(done) == renames:
                raise Killed
            done.append(target)
            replace(source, target)

        monkeypatch.setattr(os, "replace", kill)
        with pytest.raises(Killed):
            stage.merge(clones)
        # Whatever has its name by now has its record too.
        for part in parts(clones.target, RUNS[1]):
            assert records.read(clones.target, part) is not None
        monkeypatch.setattr(os, "replace", replace)
        assert stage.merge(clones) == []
        assert contents(clones.target) == contents(clones.source)
        forget(clones.target, RUNS[1])


@pytest.mark.workflow
def test_what_is_no_other_clone_is_one_line(clones, tmp_path):
    for source, words in [(tmp_path, "not a clone"), (clones.target, "is this clone")]:
        done = make(clones.target, "merge", f"FROM={source}")
        assert done.returncode != 0
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    locks = clones.target / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.input.lock").touch()
    assert "--unlock" in make(clones.target, "merge", f"FROM={clones.source}").stderr
