"""Taking runs from a clone and from an archive: small made-up runs with records of Snakemake's."""

import hashlib
import io
import json
import sys
import tarfile

import pytest
from small_clone import write_run
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from workflow_copy import ROOT

from squareloss.errors import UserError
from squareloss.share import archive, fetch, merge
from squareloss.share import snakemake_records as records
from squareloss.source.code import code
from squareloss.spec import canonical_json
from squareloss.study.files import read
from squareloss.study.sweep import data_specs, split_path

CONFIG = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")]
STUDY = "results/tiny"
TABLES = ("margins", "collapse", "layers", "bounds")


@pytest.fixture(scope="module")
def study():
    """Four runs: two starts, in two blocks of one replicate."""
    return read(CONFIG).model_copy(update={"block_size": 1})


def names(run, weights=True, tables=TABLES):
    """The parts of a run, as the rules name them."""
    trained = [f"{STUDY}/runs/{run}/run.json", f"{STUDY}/metrics/history/{run}.parquet"]
    if weights:
        trained.append(f"{STUDY}/runs/{run}/snapshots.safetensors")
    return trained + [f"{STUDY}/metrics/{table}/{run}.parquet" for table in tables]


def record(clone, part, made):
    """Replace the record of a part."""
    FilePersistence(path=clone / ".snakemake")._write_record(part, made)


def label(rule, spec):
    """What the code of a rule is called for a run."""
    return code(rule, *spec.recipe.modules())


def recorded(rule, of_code, checksums=None, **parameters):
    """What Snakemake records of a job with this code and these parameters."""
    given = " ".join(f"--{name} '{value}'" for name, value in parameters.items())
    return MetadataRecord(
        rule=rule,
        code=f"python -m squareloss.{rule}",
        shellcmd=f"python -m squareloss.{rule} {given}",
        params=sorted(repr(value) for value in (of_code, *parameters.values())),
        input_checksums=checksums or {},
        record_format_version=records.FORMAT,
        incomplete=False,
    )


def split_of(study, spec):
    block = spec.replicates[0] // study.block_size
    return f"{STUDY}/data/{split_path(study, spec.point, block)}"


def trained(clone, study, runs=None, delta=0.05, data=None):
    """Make a clone in which runs of the study have been trained and measured."""
    for run, spec in archive.jobs(study).items():
        if runs is None or run in runs:
            write_run(clone, run, spec, study.model_copy(update={"delta": delta}))
            if data:
                checksums = {split_of(study, spec): data}
                made = label("train", spec), checksums
                for part in names(run)[:3]:
                    record(clone, part, recorded("train", *made, spec=canonical_json(spec)))
    return clone


@pytest.fixture
def clones(tmp_path, study):
    (tmp_path / "target").mkdir()
    return merge.Clones(trained(tmp_path / "source", study), tmp_path / "target")


def contents(clone):
    """Every result and record of a clone by its name."""
    return {
        path.relative_to(clone).as_posix(): path.read_bytes()
        for folder in ("results", ".snakemake/metadata")
        for path in (clone / folder).rglob("*")
        if path.is_file()
    }


# Merging


def test_a_run_is_finished_with_its_weights_or_with_all_that_is_measured(clones, study):
    whole, light, bare, unread = archive.jobs(study)
    for run in (light, bare, unread):
        (clones.source / names(run)[2]).unlink()
    (clones.source / f"{STUDY}/metrics/layers/{bare}.parquet").unlink()
    records.record_path(clones.source, f"{STUDY}/metrics/bounds/{unread}.parquet").unlink()
    figure = f"{STUDY}/figures/figure3.png"
    (clones.source / figure).parent.mkdir()
    (clones.source / figure).touch()
    record(clones.source, figure, recorded("figure", "code of figures.figure3: 12ab"))
    found = merge.finished_runs(clones.source)
    assert found == {STUDY: {whole: sorted(names(whole)), light: sorted(names(light, False))}}


@pytest.mark.parametrize("lost", [0, 1], ids=["run.json", "history"])
def test_a_run_without_its_record_of_training_is_not_finished(clones, study, lost):
    first, *others = archive.jobs(study)
    (clones.source / names(first)[lost]).unlink()
    assert set(merge.finished_runs(clones.source)[STUDY]) == set(others)


def test_what_is_missing_is_taken_and_what_was_trained_here_stays(clones, study):
    same, partly, own, none = archive.jobs(study)
    trained(clones.target, study, [same, partly, own])
    lost = names(partly)[-1]
    (clones.target / lost).unlink()
    (clones.target / names(own)[0]).write_text("of another start", encoding="utf-8")
    (clones.target / names(own)[-1]).unlink()
    runs = merge.finished_runs(clones.source)[STUDY]
    lacking, left = merge.missing(clones, runs)
    assert lacking == {partly: [lost], none: sorted(names(none))}
    assert left == [own]


def test_what_is_taken_comes_with_its_records_and_without_marks(clones, study, capsys):
    first, *_ = archive.jobs(study)
    marker = records.marker_path(clones.target, names(first)[0])
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert merge.merge(clones) == []
    assert contents(clones.target) == contents(clones.source)
    assert not marker.exists()
    sizes = [(clones.source / name).stat().st_size for name in names(first)]
    megabytes = sum(sizes) / 1e6
    assert f"took {first}: 7 files, {megabytes:.1f} MB" in capsys.readouterr().out
    assert merge.take(clones, names(first)) == 0
    (clones.target / names(first)[1]).unlink()
    assert merge.take(clones, names(first)) == sizes[1]


SPLIT = "x/data/split.safetensors"


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ({"seed": 3}, {}, ["seed is 3 there and 2022 here"]),
        ({"block_size": 2}, {}, ["block_size is 2 there and 1 here"]),
        ({"delta": 0.1}, {}, ["delta is 0.1 there and 0.05 here"]),
        ({"data": "sha256:a"}, {"data": "sha256:b"}, ["is sha256:a there and sha256:b here"]),
        ({"seed": 3, "delta": 0.1}, {}, ["delta is 0.1", "seed is 3"]),
    ],
)
def test_parts_that_were_made_otherwise_are_refused(tmp_path, study, theirs, ours, said):
    both = []
    for name, settings in (("source", theirs), ("target", ours)):
        made = {key: settings[key] for key in ("delta", "data") if key in settings}
        changed = {key: value for key, value in settings.items() if key not in made}
        runs = None if name == "source" else list(archive.jobs(study))[:1]
        both.append(trained(tmp_path / name, study.model_copy(update=changed), runs, **made))
    before = contents(both[1])
    [line] = merge.merge(merge.Clones(*both))
    assert line.startswith(f"{STUDY}: ")
    assert all(words in line for words in said)
    assert contents(both[1]) == before


def prepared(clone, study):
    """Record in a clone how the splits of a study are drawn."""
    for path, spec in data_specs(study).items():
        made = recorded("data.prepare", "code of data.prepare: 12ab", spec=canonical_json(spec))
        record(clone, f"{STUDY}/data/{path}", made)


def on_other_classes(study):
    """The study with other images under the same name."""
    datasets = {
        n: d.model_copy(update={"classes": ((0,), (1,))}) for n, d in study.datasets.items()
    }
    return study.model_copy(update={"datasets": datasets})


def test_runs_of_other_images_under_one_name_are_refused(tmp_path, study):
    """Their splits differ in N, so that no checksum tells."""
    baseline = study.baseline.model_copy(update={"n_train": 20})
    ours = on_other_classes(study.model_copy(update={"baseline": baseline}))
    source = trained(tmp_path / "source", study, data="sha256:a")
    target = trained(tmp_path / "target", ours, list(archive.jobs(ours))[:1], data="sha256:b")
    prepared(source, study)
    prepared(target, ours)
    [line] = merge.merge(merge.Clones(source, target))
    assert "datasets.mnist-parity.classes is ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)) there and" in line
    assert "and ((0,), (1,)) here" in line


def test_a_clone_without_a_finished_run_is_told(clones):
    (clones.target / ".snakemake/metadata").mkdir(parents=True)
    with pytest.raises(UserError, match="no run is finished"):
        merge.merge(merge.Clones(clones.target, clones.source))


def test_settings_are_those_that_all_runs_share(study):
    spec = next(iter(archive.jobs(study).values()))
    found = merge.settings_of_spec(json.loads(canonical_json(spec)))
    assert not {"point", "recipe", "replicates", "checkpoint"} & set(found)
    assert (found["seed"], found["block_size"]) == (2022, 1)
    assert found["recipes.cnn6.epochs"] == 2
    assert merge._settings_of("checkpoint", "a/path") == {}
    assert merge._settings_of("delta", 0.05) == {"delta": 0.05}
    of_code = merge._settings_of("?", "code of train, model.networks.cnn6: 12ab")
    assert of_code == {"code of train, model.networks.cnn6": "12ab"}


def test_what_is_no_clone_or_this_one_or_at_work_is_refused(clones, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, words in ((tmp_path / "empty", "not a clone"), (clones.target, "not a clone")):
        with pytest.raises(UserError, match=words):
            merge.check(merge.Clones(source, clones.target))
    with pytest.raises(UserError, match="is this clone"):
        merge.check(merge.Clones(clones.source, clones.source / "results" / ".."))
    (clones.target / ".snakemake/locks").mkdir(parents=True)
    merge.check(clones)
    (clones.target / ".snakemake/locks/0.lock").touch()
    with pytest.raises(UserError, match="Snakemake runs here"):
        merge.check(clones)


def test_a_record_that_cannot_be_relied_on_is_none(tmp_path):
    of_code = "code of train: 12ab"
    record(tmp_path, "a", recorded("train", of_code, {"x": "sha256:1"}, delta=0.05))
    found = records.read(tmp_path, "a")
    assert (found.rule, found.command) == ("train", "python -m squareloss.train")
    assert found.parameters == {"delta": 0.05, of_code: of_code}
    assert found.checksums == {"x": "sha256:1"}
    path = records.record_path(tmp_path, "a")
    text = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"incomplete": True}, {"record_format_version": records.FORMAT - 1}):
        path.write_text(json.dumps(text | change), encoding="utf-8")
        assert records.read(tmp_path, "a") is None


# Archives


@pytest.fixture
def packed(clones, study, tmp_path):
    archive.archive(study, clones.source, tmp_path / "packed")
    return tmp_path / "packed"


def test_an_archive_lists_its_files_and_holds_their_parts(packed, clones, study):
    manifest = archive.Manifest.model_validate_json((packed / archive.MANIFEST).read_bytes())
    assert manifest.study == "tiny"
    assert list(manifest.runs) == list(archive.jobs(study))
    assert manifest.datasets["mnist-parity"].n_test == 40
    assert {dataset.root for dataset in manifest.datasets.values()} == {""}
    for run, one in manifest.runs.items():
        content = (packed / one.file).read_bytes()
        assert (one.size, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert list(one.parts) == sorted(names(run))
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            held = {member.name: tar.extractfile(member).read() for member in tar}
        for part in one.parts:
            assert held.pop(part) == (clones.source / part).read_bytes()
            of_part = records.record_path(clones.source, part).read_bytes()
            assert held.pop(part + archive.RECORD) == of_part
        assert not held


def test_without_weights_only_what_was_measured_is_archived(clones, study, tmp_path):
    first, *others = archive.jobs(study)
    (clones.source / names(first)[-1]).unlink()
    folder = tmp_path / "light"
    found = archive.archive(study, clones.source, folder, weights=False)
    assert set(found.runs) == set(others)
    assert all(merge.WEIGHTS not in part for one in found.runs.values() for part in one.parts)
    whole = archive.archive(study, clones.source, folder)
    assert set(whole.runs) == {first, *others}
    assert archive.archive(study, clones.source, folder, weights=False).runs == found.runs
    assert len(list(folder.rglob("*.tar.xz"))) == 3  # what this archive lacks is removed


def test_a_folder_of_something_else_is_left_alone(clones, study, tmp_path):
    archive.archive(study, clones.source, tmp_path / "a")
    with pytest.raises(UserError, match="holds the study tiny"):
        archive.archive(study.model_copy(update={"study": "b"}), clones.source, tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").touch()
    with pytest.raises(UserError, match="not empty and no archive"):
        archive.archive(study, clones.source, tmp_path / "full")
    with pytest.raises(UserError, match="no run is finished"):
        archive.archive(study, tmp_path / "full", tmp_path / "new")


# Fetching


def test_what_is_fetched_is_what_was_packed(packed, clones, study, capsys):
    assert fetch.fetch(str(packed), clones.target, study) == {}
    assert contents(clones.target) == contents(clones.source)
    out = capsys.readouterr().out
    assert "4 runs taken, 0 were here already, 0 are made otherwise, 0 are not in the" in out
    assert fetch.fetch(str(packed), clones.target, study) == {}
    assert "0 runs taken, 4 were here already" in capsys.readouterr().out
    assert not list((clones.target / ".snakemake").glob("fetch-*"))


def test_runs_that_were_made_otherwise_are_named_and_not_taken(packed, clones, study):
    cases = {
        "seed is 2022 there and 3 here": study.model_copy(update={"seed": 3}),
        "delta is 0.05 there and 0.1 here": study.model_copy(update={"delta": 0.1}),
        "recipes.cnn6.epochs is 2 there and 9 here": study.model_copy(
            update={
                "recipes": {"cnn6": study.recipes["cnn6"].model_copy(update={"epochs": 9})}
            }
        ),
        "datasets.mnist-parity.n_test is 40 there and 20 here": study.model_copy(
            update={
                "datasets": {
                    "mnist-parity": study.datasets["mnist-parity"].model_copy(
                        update={"n_test": 20, "root": "elsewhere", "title": "another"}
                    )
                }
            }
        ),
    }  # fmt: skip
    for reason, other in cases.items():
        differing = fetch.fetch(str(packed), clones.target, other)
        assert differing == {run: {reason} for run in archive.jobs(study)}
        assert contents(clones.target) == {}
        [line] = fetch.summary(differing)
        assert line.startswith(f"not taken: 4 runs, as {reason}")


def test_runs_of_data_that_were_prepared_otherwise_are_not_taken(tmp_path, study):
    source = trained(tmp_path / "source", study, data="sha256:of-another-file")
    archive.archive(study, source, tmp_path / "packed")
    target = tmp_path / "target"
    for path in data_specs(study):
        (target / STUDY / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (target / STUDY / "data" / path).write_text("prepared here", encoding="utf-8")
    differing = fetch.fetch(str(tmp_path / "packed"), target, study)
    digest = hashlib.sha256(b"prepared here").hexdigest()
    for run, spec in archive.jobs(study).items():
        reason = f"{split_of(study, spec)} is sha256:of-another-file there and sha256:{digest} here"
        assert differing[run] == {reason}


def test_runs_of_other_data_than_the_config_names_now_are_not_archived(tmp_path, study):
    source = trained(tmp_path / "source", study, data="sha256:a")
    prepared(source, study)
    archive.archive(study, source, tmp_path / "packed")
    with pytest.raises(UserError, match=r"classes was \(\(0, 2.*\) and is \(\(0,\), \(1,\)\) now"):
        archive.archive(on_other_classes(study), source, tmp_path / "packed")
    # Prepared again since, and not trained again.
    for path in data_specs(study):
        (source / STUDY / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (source / STUDY / "data" / path).write_text("of today", encoding="utf-8")
    with pytest.raises(UserError, match="was sha256:a and is sha256:"):
        archive.archive(study, source, tmp_path / "packed")


def test_a_home_is_meant_where_a_shell_left_its_sign(clones, study, tmp_path, monkeypatch):
    """As dash and zsh do in `FROM=~/packed`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(archive, "read", lambda _: study)
    monkeypatch.chdir(clones.source)
    monkeypatch.setattr(sys, "argv", ["archive", "--config", *CONFIG, "--target", "~/packed"])
    archive.main()
    held = fetch.manifest(fetch.opener("~/packed"), "~/packed", study)
    assert list(held.runs) == list(archive.jobs(study))
    monkeypatch.chdir(clones.target)
    monkeypatch.setattr(sys, "argv", ["merge", "--source", "~/source"])
    merge.main()
    assert contents(clones.target) == contents(clones.source)


@pytest.mark.parametrize("results", ["/scratch/results", "../results", ".hidden"])
def test_results_outside_the_clone_are_not_shared_and_the_key_is_named(clones, study, results):
    elsewhere = study.model_copy(update={"results": results})
    with pytest.raises(UserError, match="config: results"):
        archive.archive(elsewhere, clones.source, clones.target / "packed")
    with pytest.raises(UserError, match="config: results"):
        fetch.fetch("anywhere", clones.target, elsewhere)


def test_what_is_here_and_made_otherwise_is_named(packed, clones, study, capsys):
    fetch.fetch(str(packed), clones.target, study)
    before = contents(clones.target)
    other = study.model_copy(update={"delta": 0.1})
    differing = fetch.fetch(str(packed), clones.target, other)
    assert set(differing) == set(archive.jobs(study))
    assert all("made otherwise" in reason for reasons in differing.values() for reason in reasons)
    assert "0 were here already, 4 are made otherwise" in capsys.readouterr().out
    assert contents(clones.target) == before


def test_a_run_trained_here_too_is_not_fetched(packed, clones, study):
    first, *others = archive.jobs(study)
    trained(clones.target, study, [first])
    (clones.target / names(first)[0]).write_text("of another start", encoding="utf-8")
    (clones.target / names(first)[-1]).unlink()
    before = contents(clones.target)
    differing = fetch.fetch(str(packed), clones.target, study)
    assert differing == {first: {"it was trained here too"}}
    after = contents(clones.target)
    assert before.items() <= after.items()
    assert {run for run in others if f"{STUDY}/runs/{run}/run.json" in after} == set(others)


def test_a_run_that_the_archive_lacks_is_left_to_training(clones, study, tmp_path, capsys):
    first, *others = archive.jobs(study)
    (clones.source / names(first)[0]).unlink()
    archive.archive(study, clones.source, tmp_path / "packed")
    assert fetch.fetch(str(tmp_path / "packed"), clones.target, study) == {}
    assert "3 runs taken, 0 were here already, 0 are made otherwise, 1 are not" in (
        capsys.readouterr().out
    )
    assert merge.finished_runs(clones.target)[STUDY].keys() == set(others)


def test_a_part_of_a_study_without_weights_needs_its_data(clones, study, tmp_path):
    first, *_ = archive.jobs(study)
    (clones.source / names(first)[0]).unlink()
    archive.archive(study, clones.source, tmp_path / "packed", weights=False)
    for path in data_specs(study):
        with pytest.raises(UserError, match="prepare the data first"):
            fetch.fetch(str(tmp_path / "packed"), clones.target, study)
        file = clones.target / STUDY / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert fetch.fetch(str(tmp_path / "packed"), clones.target, study) == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "is damaged"),
        ({"parts": ["results/tiny/../../run.json"]}, "do not belong below"),
        ({"parts": ["results/other/run.json"]}, "do not belong below"),
        ({"parts": ["results/tiny/runs/x/run.json"]}, "do not belong below"),
        ({"file": "nowhere.tar.xz"}, "in 'nowhere.tar.xz'; it must be recipe="),
    ],
)
def test_a_damaged_archive_is_refused(packed, clones, study, change, words):
    path = packed / archive.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    first = next(iter(manifest["runs"]))
    manifest["runs"][first] |= change
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        fetch.fetch(str(packed), clones.target, study)
    assert contents(clones.target) == {}


def test_what_an_archive_lacks_is_named(packed, clones, study):
    first, *_ = archive.jobs(study)
    path = packed / archive.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    [lacked] = names(first, False, ["landscape"])[2:]
    manifest["runs"][first]["parts"].append(lacked)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match=f"lacks {lacked}"):
        fetch.fetch(str(packed), clones.target, study)
    (packed / archive.file_of(first)).unlink()
    with pytest.raises(UserError, match=r"block=0.tar.xz could not be read"):
        fetch.fetch(str(packed), clones.target, study)
    assert contents(clones.target) == {}


def test_an_archive_of_another_study_is_refused(packed, clones, study):
    with pytest.raises(UserError, match="holds the study tiny"):
        fetch.fetch(str(packed), clones.target, study.model_copy(update={"study": "other"}))
    (clones.target / ".snakemake/locks").mkdir(parents=True)
    (clones.target / ".snakemake/locks/0.lock").touch()
    with pytest.raises(UserError, match="Snakemake runs here"):
        fetch.fetch(str(packed), clones.target, study)


def test_the_reasons_of_most_runs_come_first():
    reasons = {f"run {i}": {"seed"} | ({"delta"} if i < 2 else set()) for i in range(3)}
    lines = fetch.summary(reasons | {"run 9": {f"reason {k}" for k in range(6)}})
    assert lines[0] == "not taken: 3 runs, as seed, e.g. run 0"
    assert lines[1] == "not taken: 2 runs, as delta, e.g. run 0"
    assert lines[-1] == "and 2 more reasons"
    assert len(lines) == 7
