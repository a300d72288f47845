"""The workflow, run on a tiny study in a copy of the repository: what reruns, and what does not."""

import hashlib
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, opened
from PIL import Image
from workflow_copy import copy_repository, planned, snakemake, snakemake_started

from squareloss.source import catalog

pytestmark = pytest.mark.workflow


@pytest.fixture
def study(finished, tmp_path):
    """A fresh copy of the finished study, to change at will; times of files are kept."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    return folder


def edit(path, old="", new="\nEDITED = True\n"):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new)


def overlay(folder, old, new):
    edit(folder / "tiny.yaml", old, new)


def digests(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file()
    }


PAGES = ("claims", "explore", "about")  # of the whole study


def test_everything_is_there(finished):
    results = finished / "results" / "tiny"
    for figure in ("figure1", "figure2", "figure3", "figure5"):
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000
        assert (results / "figures" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list((results / "runs").rglob("run.json"))) == 2
    for table in ("history", "margins", "collapse", "layers", "bounds"):
        assert len(list((results / "metrics" / table).rglob("*.parquet"))) == 2
    # Hive paths read as one data set, the keys beside the typed columns.
    frame = pd.read_parquet(results / "metrics" / "history")
    assert sorted(frame["init"].astype(float).unique()) == [0.9, 1.3]
    assert (frame["init"].astype(float) == frame["init_scale"]).all()
    assert frame.query("weight_decay == 0.001")["replicate"].nunique() == 2
    logs = list((results / "logs").rglob("*.log"))
    assert any("replicate 0 epoch 2: loss" in log.read_text() for log in logs)
    assert not list(results.rglob(".*"))  # no temporary file stays


def test_a_second_run_does_nothing(study):
    before = digests(study)
    done = snakemake(study)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert digests(study) == before


@pytest.mark.parametrize("deployment", ["conda", "apptainer"])
def test_how_software_is_deployed_reruns_nothing(study, deployment):
    """No rule has an environment of its own, so nothing is installed and nothing depends on it."""
    assert planned(study, "--sdm", deployment) == {}


def test_touching_every_file_reruns_nothing(study):
    for path in study.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            path.touch()
    assert planned(study) == {}


def test_one_more_initialisation_trains_one_run(study):
    overlay(study, "[0.9, 1.3]", "[0.9, 1.3, 1.1]")
    jobs = planned(study)
    assert jobs["train"] == jobs["extract"] == 1
    assert set(jobs) == {"train", "extract", "aggregate", "figure3", *PAGES}


def test_one_more_block_trains_that_block_only(study):
    overlay(study, "replicates: 2", "replicates: 4")
    before = digests(study)
    jobs = planned(study)
    assert (jobs["train"], jobs["extract"], jobs["prepare_split"]) == (2, 2, 1)
    done = snakemake(study, "metrics")
    assert done.returncode == 0, done.stdout + done.stderr
    after = digests(study)
    assert {path: after[path] for path in before} == before
    for table in ("history", "margins", "collapse", "layers", "bounds"):
        paths = list((study / "results/tiny/metrics" / table).rglob("block=1.parquet"))
        new = pd.read_parquet(paths, partitioning=None)
        assert {*new["replicate"]} == {2, 3}
        assert {*new["init_scale"]} == {0.9, 1.3}


OWN = """
datasets:
  mnist-parity: {source: parquet, root: images, classes: [0, 1], n_test: 10}
"""


def write_parquet(folder, seed):
    """A data set of noise in the layout of dataset hubs: 60 images a file."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in ("train", "test"):
        images = []
        for pixels in rng.integers(0, 256, (60, 32, 32)).astype(np.uint8):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": ""})
        table = pd.DataFrame({"img": images, "label": np.arange(60) % 2})
        table.to_parquet(folder / f"{name}.parquet")


OTHER = """
study: other
datasets:
  mnist-parity: {classes: [0, 1]}
"""


def test_clones_share_prepared_data_through_a_cache(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    clones = [tmp_path / name for name in ("first", "second")]
    prepared = []
    for clone in clones:
        copy_repository(clone)
        (clone / "other.yaml").write_text(OTHER)
        for overlays in (("tiny.yaml",), ("tiny.yaml", "other.yaml")):
            done = snakemake(clone, "data", "--cache", overlays=overlays)
            assert done.returncode == 0, done.stdout + done.stderr
        prepared.append({p: d for p, d in digests(clone).items() if p.suffix == ".safetensors"})
    first, second = prepared
    assert first == second
    assert len(set(first.values())) == len(first) == 2  # two data sets, and no mixing
    links = [path for path in (clones[1] / "results").rglob("*.safetensors") if path.is_symlink()]
    assert {path.resolve().parent for path in links} == {cache.resolve()}
    for clone, ran in zip(clones, (True, False), strict=True):
        logs = list((clone / "results").rglob("logs/data/**/*.log"))
        assert [bool(log.read_text()) for log in logs] == [ran, ran]


def test_another_file_of_the_user_is_prepared_again(tmp_path):
    copy_repository(tmp_path)
    write_parquet(tmp_path / "images", seed=0)
    (tmp_path / "own.yaml").write_text(OWN)
    overlays = ("tiny.yaml", "own.yaml")
    assert snakemake(tmp_path, "data", overlays=overlays).returncode == 0
    assert planned(tmp_path, "data", overlays=overlays) == {}
    write_parquet(tmp_path / "images", seed=1)
    assert planned(tmp_path, "data", overlays=overlays) == {"prepare_split": 1, "data": 1}


def test_editing_a_figure_redraws_that_figure_only(study):
    edit(study / "src/squareloss/figures/figure5.py")
    assert planned(study) == {"figure5": 1, "about": 1}


def test_editing_the_style_redraws_figures_and_trains_nothing(study):
    edit(study / "src/squareloss/figures/style.py")
    assert planned(study) == {f"figure{n}": 1 for n in (1, 2, 3, 5)} | {"about": 1}


def test_editing_a_metric_extracts_again_and_does_not_train(study):
    edit(study / "src/squareloss/measure/metrics/collapse.py")
    jobs = planned(study)
    assert jobs["extract"] == 2
    made = {"extract", "small", "aggregate", "figure3", "figure5", *PAGES}
    assert set(jobs) == made


def test_editing_the_source_that_is_used_prepares_again(study):
    edit(study / "src/squareloss/data/sources/mnist5k.py")
    assert planned(study)["prepare_split"] == 1


def test_editing_a_section_of_claims_judges_again_and_redraws_nothing(study):
    edit(study / "src/squareloss/claims/section7.py")
    assert set(planned(study)) == {"claims", "about"}


def test_editing_the_training_loop_trains_again(study):
    edit(study / "src/squareloss/train/job.py")
    jobs = planned(study)
    assert jobs["train"] == 2
    assert "prepare_split" not in jobs


def test_a_comment_or_a_docstring_reruns_nothing(study):
    names = ("train/job.py", "train/engine.py", "spec.py", "measure/metrics/collapse.py")
    for name in (*names, "figures/style.py"):
        path = study / "src/squareloss" / name
        edit(path, '"""', '"""Mended. ')
        edit(path, new="\n# A comment.\n")
    assert planned(study) == {}


def test_why_it_trains_again_is_said(study):
    edit(study / "src/squareloss/train/engine.py")
    done = snakemake(study, "runs", "-n")
    assert "Params have changed" in done.stdout
    assert len(set(re.findall(r"code of train, [a-z0-9_., ]+: [0-9a-f]{8}", done.stdout))) == 2


def test_new_dates_of_the_same_code_rerun_nothing(study):
    for path in (study / "src").rglob("*.py"):
        path.touch()
    assert planned(study) == {}


def test_how_often_training_saves_its_state_changes_no_result(study):
    jobs = planned(study, "--config", "checkpoint_minutes=7.5")
    assert jobs == {"about": 1}  # the page that shows the config


def test_editing_another_network_or_source_reruns_nothing(study):
    edit(study / "src/squareloss/model/networks/cnn3.py")
    edit(study / "src/squareloss/data/sources/cifar10.py")
    edit(study / "src/squareloss/study/config.py")
    assert planned(study) == {}


def test_a_deleted_aggregate_is_rebuilt_without_its_neighbours(study):
    path = study / "results/tiny/aggregate/figure5.parquet"
    before = path.read_bytes()
    path.unlink()
    assert planned(study, str(path.relative_to(study))) == {"aggregate": 1}
    assert planned(study) == {"aggregate": 1, "figure5": 1, **dict.fromkeys(PAGES, 1)}
    assert snakemake(study, str(path.relative_to(study))).returncode == 0
    assert path.read_bytes() == before


def test_a_deleted_metric_is_extracted_for_its_run_alone(study):
    before = digests(study)
    [path] = (study / "results/tiny/metrics/margins").rglob("*init=1.3/**/*.parquet")
    path.unlink()
    jobs = planned(study)
    assert jobs["extract"] == 1
    assert "train" not in jobs
    assert snakemake(study, "metrics").returncode == 0
    after = digests(study)
    assert {p for p in before if before[p] != after[p]} <= {p for p in before if "logs" in p.parts}


def test_one_figure_can_be_made_alone(study):
    shutil.rmtree(study / "results/tiny/figures")
    assert planned(study, "figure5") == {"figure5": 1}
    assert snakemake(study, "figure5").returncode == 0
    assert sorted(path.name for path in (study / "results/tiny/figures").iterdir()) == [
        "figure5.pdf",
        "figure5.png",
    ]


def test_numbers_given_on_the_command_line_are_numbers(study):
    assert planned(study, "--config", "baseline={weight_decay: 1e-3}") == {}
    jobs = planned(study, "figure5", "--config", "seed=3")
    assert jobs["train"] == 2


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("baseline={weight_decay: -1}", "baseline.weight_decay"),
        ("sed=3", "did you mean 'seed'"),
        ("baseline={n_train: 1000000}", "up to 4960"),
    ],
)
def test_a_mistake_in_the_config_is_one_line_and_no_traceback(study, setting, wanted):
    done = snakemake(study, "-n", "--config", setting)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if "squareloss: error" in line]
    assert wanted in line
    assert len(done.stderr.strip().splitlines()) <= 2


def test_in_another_folder_it_says_how_to_name_the_config(study, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    options = ("-n", "--directory", str(elsewhere))
    tiny, whole = str(study / "tiny.yaml"), str(study / "config.yaml")
    done = snakemake(study, *options, overlays=(tiny,))
    assert done.returncode != 0
    assert f"no config.yaml was read, since {elsewhere} has none" in done.stderr
    assert f"--configfile {whole}" in done.stderr
    inner = ("--snakefile", str(study / "workflow" / "Snakefile"))
    assert f"--configfile {whole}" in snakemake(study, *options, *inner, overlays=(tiny,)).stderr
    assert snakemake(study, *options, overlays=(whole, tiny)).returncode == 0


@pytest.mark.parametrize("kind", ["runs", "data"])
def test_a_block_that_the_study_lacks_is_one_line(study, kind):
    known = next(
        path for path in (study / "results/tiny" / kind).rglob("*") if "block=0" in path.name
    )
    path = known.relative_to(study).with_name(known.name.replace("block=0", "block=7"))
    target = path / "run.json" if kind == "runs" else path
    done = snakemake(study, "-n", str(target))
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if "squareloss: error" in line]
    assert "block=7.safetensors is no split of study tiny" in line
    assert "Traceback" not in done.stderr


TITLES = ["MNIST {0, 2, 4} against {1, 3}", "$x_{1}$ 'a' \"b\" `c` $(touch x)", "\u2265 40 \u00e9"]


def titled(study, title):
    """Overlays that give the data set of the study a title."""
    text = json.dumps({"datasets": {"mnist-parity": {"title": title}}}, ensure_ascii=False)
    (study / "title.yaml").write_text(text, encoding="utf-8")
    return "tiny.yaml", "title.yaml"


@pytest.mark.parametrize("title", TITLES)
def test_another_title_draws_and_judges_again(study, title):
    jobs = planned(study, overlays=titled(study, title))
    assert jobs == {"figure2": 1, "figure3": 1, "figure5": 1, **dict.fromkeys(PAGES, 1)}


def test_any_title_is_text_and_a_locale_without_unicode_judges_the_same(study, monkeypatch):
    """Neither Snakemake nor the shell nor matplotlib takes a title for something else."""
    before = digests(study)
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    title = " ".join(TITLES)
    done = snakemake_started(study, overlays=titled(study, title))  # a locale is read at the start
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (study / "x").exists()
    page = (study / "results/tiny/claims/claims.html").read_text(encoding="utf-8")
    assert html.escape(title) in page
    after = digests(study)
    told = (
        "figures",
        "claims",
        "logs",
        "explore.html",
        "README.md",
        "croissant.json",
        "config.json",
    )
    for path in before:
        assert path.parts[2] in told or before[path] == after[path], path


def test_a_title_ends_no_script_of_the_report(study):
    """The report holds the command of each job within a script of its own."""
    title = '</script><script>ran()</script><img src=x onerror="ran()">'
    done = snakemake(study, "--report", "report.html", overlays=titled(study, title))
    assert done.returncode == 0, done.stdout + done.stderr
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "ran()" in page
    assert "<script>ran()" not in page
    assert "<img src=x" not in page


def test_a_failed_job_leaves_its_reason_and_earlier_results(study):
    before = digests(study)
    overlay(study, "n_test: 40", "n_test: 60")
    target = next((study / "results/tiny/data").rglob("*.safetensors"))
    edit(
        study / "src/squareloss/data/split.py",
        "def write_split",
        "raise OSError\n\n\ndef write_split",
    )
    done = snakemake(study)
    assert done.returncode != 0
    [log] = re.findall(r"^    log: (\S*logs/data/\S+\.log)", done.stdout + done.stderr, re.M)[-1:]
    assert "OSError" in (study / log).read_text()
    kept = {path: digest for path, digest in digests(study).items() if "logs" not in path.parts}
    lost = {path for path in before if "logs" not in path.parts and kept.get(path) != before[path]}
    pages = {Path("results/tiny", name) for name in ("README.md", "config.json", "croissant.json")}
    assert lost <= {target.relative_to(study), *pages}


def test_every_rule_says_what_it_is(finished):
    done = snakemake(finished, "--list-rules")
    listing = [line for line in done.stdout.splitlines() if re.match(r"\w+( \(|$)", line)]
    described = dict(re.fullmatch(r"(\w+) \((\S.*[.?)])\)", line).groups() for line in listing)
    assert described.keys() >= {"all", "data", "train", "claims", *catalog.figures()}
    for name, about in catalog.figures().items():
        assert described[name] == about.title


def test_the_workflows_own_lint_finds_one_thing(finished):
    """Software comes from one lock file and not from an environment for each rule."""
    done = snakemake(finished, "--lint")
    found = set(re.findall(r"^    \* (.+?):?:$", done.stderr, re.M))
    assert found == {"Specify a conda environment or container for each rule."}


def test_the_paper_study_plans(finished):
    assert planned(finished, overlays=())["train"] == 67


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the report is not opened")
def test_the_report_opens_in_a_browser(study, tmp_path):
    done = snakemake(study, "--report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (study / "report.html").read_text()
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', page)
    dom = opened(study / "report.html", tmp_path)
    assert "Figures" in dom
    assert "Tables" in dom
    assert "Square Loss" in dom
    *_, counts = (study / "results/tiny/claims/claims.txt").read_text().splitlines()
    assert counts in dom  # the first page begins with the verdicts
    # Each figure has its own caption, and a number that is sorted as text.
    captions = re.findall(r'"caption": "((?:[^"\\]|\\.)*)"', page)
    for name in ("figure3", "figure5"):
        shows = catalog.figures()[name].shows.partition(",")[0]
        assert any(shows in caption for caption in captions), name
    assert "caption=" not in page  # nor is it told a second time, among the rule's params
    numbers = re.findall(r'"figure": "([^"]*)", "shows"', page)
    assert "\\u20073" in numbers
