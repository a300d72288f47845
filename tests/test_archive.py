"""Publishing a study's finished runs, and taking them into another clone instead of training."""

import functools
import hashlib
import http.client
import http.server
import io
import json
import re
import shutil
import tarfile
import threading
from pathlib import Path

import pytest
import yaml
from workflow_copy import ROOT, copy_repository, make, planned, snakemake

from squareloss.errors import UserError
from squareloss.share import archive as packing
from squareloss.share import fetch as fetching
from squareloss.share import snakemake_records as records
from squareloss.study.files import read

CONFIG = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")]
TINY = "CONFIG=tiny.yaml"
TRAINED = {"train", "extract", "landscape", "prepare_split"}

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def study():
    return read(CONFIG)


@pytest.fixture(scope="module")
def published(finished, study, tmp_path_factory):
    """The archive of the finished tiny study."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    packing.archive(study, finished, folder)
    return folder


@pytest.fixture(scope="module")
def address(published):
    """The archive's address on a web server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(published.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tiny"
        server.shutdown()


@pytest.fixture
def copy(published, tmp_path):
    """A copy of the archive, to be damaged."""
    return shutil.copytree(published, tmp_path / "copy")


@pytest.fixture
def clone(tmp_path):
    """A folder in which nothing has been run."""
    folder = tmp_path / "clone"
    folder.mkdir()
    return folder


def contents(folder):
    """Every file below a folder by its name there, but the lock by which commands take turns."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name != "squareloss.lock"
    }


def change(archive, edit):
    """Edit the manifest of an archive."""
    path = archive / packing.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    edit(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def with_changes(study, **recipe):
    """The study with another network recipe."""
    changed = study.recipes["cnn6"].model_copy(update=recipe)
    return study.model_copy(update={"recipes": study.recipes | {"cnn6": changed}})


def test_a_fresh_clone_takes_every_run_from_a_web_server_and_trains_nothing(
    finished, published, address, tmp_path
):
    fresh = tmp_path / "fresh"
    copy_repository(fresh)
    done = make(fresh, "fetch-results", TINY, f"FROM={address}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs taken, 0 were here already, 0 are made otherwise, 0 are not in" in done.stdout
    results = contents(fresh / "results")
    assert results.items() <= contents(finished / "results").items()
    assert any("snapshots" in name for name in results)
    assert not TRAINED & set(planned(fresh))
    done = snakemake(fresh, "figure3")
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = "results/tiny/figures/figure3.pdf"
    assert (fresh / drawn).read_bytes() == (finished / drawn).read_bytes()
    # The records came along: what these runs were made with is known here too.
    assert planned(fresh, "metrics", "--config", "seed=3")["train"] == 2
    # And from here the same archive can be made, to the byte.
    done = make(fresh, "archive", TINY, "TO=again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs" in done.stdout
    assert contents(fresh / "again") == contents(published)


def test_without_the_weights_every_figure_can_be_drawn(finished, study, tmp_path):
    manifest = packing.archive(study, finished, tmp_path / "light", weights=False)
    assert not any("snapshots" in part for one in manifest.runs.values() for part in one.parts)
    fresh = tmp_path / "fresh"
    copy_repository(fresh)
    assert fetching.fetch(str(tmp_path / "light"), fresh, study) == {}
    assert not TRAINED & set(planned(fresh))
    # The weights can follow.
    packing.archive(study, finished, tmp_path / "whole")
    assert fetching.fetch(str(tmp_path / "whole"), fresh, study) == {}
    assert contents(fresh / "results").items() <= contents(finished / "results").items()
    assert any("snapshots" in name for name in contents(fresh / "results"))


def test_a_run_that_is_not_measured_yet_is_not_archived_without_its_weights(
    finished, study, tmp_path
):
    run, other = sorted(packing.jobs(study))
    source = shutil.copytree(finished, tmp_path / "source")
    (source / f"results/tiny/metrics/collapse/{run}.parquet").unlink()
    assert set(packing.archive(study, source, tmp_path / "light", weights=False).runs) == {other}
    assert set(packing.archive(study, source, tmp_path / "whole").runs) == {run, other}


def test_what_is_here_is_not_fetched_again(published, study, clone, capsys):
    fetching.fetch(str(published), clone, study)
    before = contents(clone)
    capsys.readouterr()
    light = shutil.copytree(published, clone.parent / "light")
    for path in light.rglob("*.xz"):
        path.unlink()
    assert fetching.fetch(str(light), clone, study) == {}
    assert "0 runs taken, 2 were here already" in capsys.readouterr().out
    assert contents(clone) == before


def test_runs_that_the_archive_lacks_are_left_to_training(published, study, clone, capsys):
    raw = yaml.safe_load(Path(CONFIG[1]).read_text(encoding="utf-8"))
    raw["experiments"]["figure5"]["sweeps"][0]["init_scale"] = [0.9, 1.3, 0.7]
    more = clone.parent / "more.yaml"
    more.write_text(yaml.safe_dump(raw), encoding="utf-8")
    fetching.fetch(str(published), clone, read([CONFIG[0], str(more)]))
    assert "2 runs taken" in (out := capsys.readouterr().out)
    assert "1 are not in the archive" in out


def test_a_part_of_a_study_without_weights_is_taken_once_the_data_are_there(
    finished, study, tmp_path
):
    light, fresh, more = tmp_path / "light", tmp_path / "fresh", tmp_path / "more.yaml"
    packing.archive(study, finished, light, weights=False)
    copy_repository(fresh)
    raw = yaml.safe_load(Path(CONFIG[1]).read_text(encoding="utf-8"))
    raw["experiments"]["figure5"]["sweeps"][0]["init_scale"] = [0.9, 1.3, 0.7]
    more.write_text(yaml.safe_dump(raw), encoding="utf-8")
    asked = read([CONFIG[0], str(more)])
    with pytest.raises(UserError, match="prepare the data first"):
        fetching.fetch(str(light), fresh, asked)
    assert snakemake(fresh, "data", overlays=(str(more),)).returncode == 0
    assert fetching.fetch(str(light), fresh, asked) == {}
    jobs = planned(fresh, "figure5", overlays=(str(more),))
    assert jobs["train"] == jobs["extract"] == 1


def test_runs_of_other_settings_are_named_with_the_difference(published, study, clone, capsys):
    differing = fetching.fetch(str(published), clone, with_changes(study, epochs=1))
    assert contents(clone) == {}
    lines = fetching.summary(differing)
    [run] = {line.rpartition(" ")[2] for line in lines}
    assert lines == [f"not taken: 2 runs, as recipes.cnn6.epochs is 2 there and 1 here, e.g. {run}"]
    assert "0 runs taken" in capsys.readouterr().out
    other = study.model_copy(update={"seed": 3, "delta": 0.1})
    reasons = set().union(*fetching.fetch(str(published), clone, other).values())
    assert reasons == {"seed is 2022 there and 3 here", "delta is 0.05 there and 0.1 here"}


def with_data(study, **dataset):
    """The study with its data set changed."""
    changed = study.datasets["mnist-parity"].model_copy(update=dataset)
    return study.model_copy(update={"datasets": study.datasets | {"mnist-parity": changed}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "digits"}, "datasets.mnist-parity.source is mnist5k there and digits here"),
        ({"n_test": 20}, "datasets.mnist-parity.n_test is 40 there and 20 here"),
        (
            {"classes": ((3,), (8,))},
            "datasets.mnist-parity.classes is ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)) there and "
            "((3,), (8,)) here",
        ),
        ({"root": "elsewhere"}, None),
    ],
)
def test_runs_of_other_data_are_left_out(published, study, clone, change, reason):
    """The name of the data set is the same; where its files lie is no difference."""
    differing = fetching.fetch(str(published), clone, with_data(study, **change))
    assert set().union(*differing.values()) == ({reason} if reason else set())
    assert bool(contents(clone)) == (reason is None)


def test_runs_of_data_with_another_content_are_left_out(finished, published, study, clone):
    """Prepared here from other files by the same config, as where a mirror has other images."""
    shutil.copytree(finished / "results/tiny/data", clone / "results/tiny/data")
    [split] = (clone / "results/tiny/data").rglob("*.safetensors")
    assert (
        fetching.fetch(str(published), shutil.copytree(clone, clone.parent / "same"), study) == {}
    )
    split.write_bytes(b"other images")
    differing = fetching.fetch(str(published), clone, study)
    assert len(differing) == 2
    assert all(
        re.fullmatch(rf"{split.relative_to(clone)} is sha256:\w+ there and sha256:\w+ here", reason)
        for reasons in differing.values()
        for reason in reasons
    )


def test_only_the_runs_that_differ_are_left_out(finished, published, study, clone):
    """A recipe was changed in one of two runs' archive: the other run is taken."""
    copy = shutil.copytree(published, clone.parent / "copy")
    run, other = sorted(packing.jobs(study))
    source = clone.parent / "changed"
    shutil.copytree(finished, source)
    for part in packing.finished_runs(source)["results/tiny"][run]:
        path = records.record_path(source, part)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('\\"epochs\\": 2', '\\"epochs\\": 7'), encoding="utf-8")
    packing.archive(study, source, copy)
    differing = fetching.fetch(str(copy), clone, study)
    assert differing == {run: {"recipes.cnn6.epochs is 7 there and 2 here"}}
    assert all(other in name for name in contents(clone / "results"))
    assert contents(clone / "results")


def test_runs_of_other_code_are_left_out(published, tmp_path):
    fresh = tmp_path / "fresh"
    copy_repository(fresh)
    engine = fresh / "src/squareloss/train/engine.py"
    engine.write_text(engine.read_text(encoding="utf-8") + "ANOTHER = True\n", encoding="utf-8")
    done = make(fresh, "fetch-results", TINY, f"FROM={published}")
    assert done.returncode == 0, done.stderr
    assert "0 runs taken, 0 were here already, 2 are made otherwise" in done.stdout
    differing = (
        r"not taken: 2 runs, as code of train[\w., ]*\.cnn6[\w., ]* is \w+ there and \w+ here"
    )
    assert re.search(differing, done.stdout)


def test_a_run_trained_here_too_stays_as_it_is(published, study, clone):
    fetching.fetch(str(published), clone, study)
    run = min(packing.jobs(study))
    mine = clone / f"results/tiny/runs/{run}/run.json"
    mine.write_text("{}", encoding="utf-8")
    (clone / f"results/tiny/metrics/margins/{run}.parquet").unlink()
    before = contents(clone)
    assert fetching.fetch(str(published), clone, study) == {run: {"it was trained here too"}}
    assert contents(clone) == before


@pytest.mark.parametrize("damage", ["a byte", "the end", "another file"])
def test_a_damaged_file_is_one_line_and_what_was_taken_stays(copy, published, study, clone, damage):
    first, second = sorted(packing.jobs(study))
    path = copy / f"{second}.tar.xz"
    data = path.read_bytes()
    if damage == "a byte":
        data = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    elif damage == "the end":
        data = data[:-100]
    else:
        data = (copy / f"{first}.tar.xz").read_bytes()
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"block=0.tar.xz is damaged"):
        fetching.fetch(str(copy), clone, study)
    assert all(first in name for name in contents(clone / "results"))
    assert list((clone / ".snakemake").glob("fetch-*")) == []
    fetching.fetch(str(published), clone, study)
    assert len(contents(clone / "results")) == sum(
        len(one.parts)
        for one in fetching.manifest(fetching.opener(str(published)), "", study).runs.values()
    )


def test_nothing_but_parts_of_the_study_is_unpacked(copy, study, clone):
    run = min(packing.jobs(study))
    path = copy / f"{run}.tar.xz"
    with tarfile.open(path) as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}
    evil = {"../evil": b"x", "/tmp/evil": b"x", "results/tiny/figures/evil.png": b"x"}
    with tarfile.open(path, "w:xz") as tar:
        for name, data in (evil | members).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    change(copy, lambda manifest: manifest["runs"][run].update(sha256=digest, size=size))
    fetching.fetch(str(copy), clone, study)
    assert not [name for name in contents(clone.parent) if "evil" in name]
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("part", ["Snakefile", "results/tiny/../../Snakefile", "/etc/passwd"])
def test_parts_elsewhere_are_refused(copy, study, clone, part):
    run = min(packing.jobs(study))
    change(copy, lambda manifest: manifest["runs"][run].update(parts=[part]))
    with pytest.raises(UserError, match="do not belong below results/tiny/"):
        fetching.fetch(str(copy), clone, study)
    assert contents(clone) == {}


def test_what_a_file_lacks_is_named(copy, study, clone):
    run = max(packing.jobs(study))  # Figure 2 is of the other run
    part = f"results/tiny/metrics/landscape/{run}.parquet"
    change(copy, lambda manifest: manifest["runs"][run]["parts"].append(part))
    with pytest.raises(UserError, match=f"lacks {part}"):
        fetching.fetch(str(copy), clone, study)


def test_what_is_no_archive_is_one_line(finished, published, address, tmp_path):
    fresh = tmp_path / "fresh"
    copy_repository(fresh)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / packing.MANIFEST).write_text("<html>", encoding="utf-8")
    free = "http://127.0.0.1:1"
    for source, words in [
        (f"{address}/none", "archive.json could not be read: 404 File not found"),
        (free, "Connection refused"),
        (tmp_path / "none", "archive.json could not be read: No such file"),
        (tmp_path / "page", "is not what this version of squareloss writes"),
        ("", "archive.json could not be read"),
    ]:
        done = make(fresh, "fetch-results", TINY, f"FROM={source}")
        assert done.returncode != 0, source
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    with pytest.raises(UserError, match="holds the study tiny, and the config is that of paper"):
        fetching.fetch(str(published), fresh, read([CONFIG[0]]))


def test_a_transfer_that_breaks_off_in_the_list_is_one_line(study):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise http.client.IncompleteRead(b"{", 100)

    with pytest.raises(UserError, match=r"archive\.json: the transfer broke off .*; fetch again"):
        fetching.manifest(lambda _: Broken(), "", study)


def test_an_archive_replaces_its_own_files_and_no_others(finished, study, tmp_path):
    folder = tmp_path / "archive"
    packing.archive(study, finished, folder)
    run = min(packing.jobs(study))
    old, mine = run.replace("wd=0.001", "wd=0.1"), folder / "mine" / "thesis.tar.xz"
    stale = shutil.copytree(folder / Path(run).parent, folder / Path(old).parent)
    change(folder, lambda manifest: manifest["runs"].update({old: manifest["runs"][run]}))
    mine.parent.mkdir()
    mine.touch()
    packing.archive(study, finished, folder)
    assert not list(stale.iterdir())
    assert mine.exists()
    with pytest.raises(UserError, match="holds the study tiny; name another"):
        packing.archive(study.model_copy(update={"study": "other"}), finished, folder)
    with pytest.raises(UserError, match="not empty and no archive"):
        packing.archive(study, finished, finished)
    with pytest.raises(UserError, match="no run is finished"):
        packing.archive(study.model_copy(update={"study": "other"}), finished, tmp_path / "none")
    assert not (tmp_path / "none").exists()
