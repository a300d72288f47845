"""What the documents tell a reader to do, done."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from workflow_copy import (
    ROOT,
    blocks,
    copy_repository,
    environment,
    planned,
    planning,
    snakemake,
)


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/tables.md", 3)])
def test_the_examples_that_read_tables_run(finished, page, count):
    examples = blocks(page, "python")
    assert len(examples) >= count
    for example in examples:
        script = example.replace("results/demo", "results/tiny")
        script = script.replace("config/demo.yaml", "tiny.yaml")
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=finished,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


@pytest.mark.workflow
def test_the_lines_of_the_readme_draw_a_figure(finished, tmp_path):
    """As a newcomer copies them, of the tiny study in the place of the demo."""
    [block] = re.findall(
        r"((?:^    .*\n)+)\n## Read it", (ROOT / "README.md").read_text("utf-8"), re.M
    )
    lines = [line.split("  #")[0].strip().replace("demo", "tiny") for line in block.splitlines()]
    activate, draw, on_cluster = lines
    assert activate == "source .venv/bin/activate"
    assert on_cluster == "snakemake --profile slurm figure5"  # tests/slurm runs this profile
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    figure = folder / "results/tiny/figures/figure5.png"
    figure.unlink()
    activated = {**environment(folder), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        draw.replace("config/tiny.yaml", "tiny.yaml"),
        shell=True,
        cwd=folder,
        env=activated,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert figure.exists()


def test_three_libraries_read_the_same(finished):
    folder = finished / "results/tiny/metrics/margins"
    files = f"{folder}/**/*.parquet"
    by_pandas = pd.read_parquet(folder, partitioning=None)
    by_polars = pl.read_parquet(files, hive_partitioning=False)
    by_duckdb = duckdb.sql(f"select * from read_parquet('{files}', hive_partitioning = false)").df()
    order = ["init_scale", "replicate", "epoch", "sample"]
    for other in (by_polars.to_pandas(), by_duckdb):
        pd.testing.assert_frame_equal(
            other.sort_values(order, ignore_index=True),
            by_pandas.sort_values(order, ignore_index=True),
            check_dtype=False,
        )
    assert by_polars.schema["weight_decay"] == pl.Float64


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the repository with every file of docs/extending.md in it."""
    folder = tmp_path_factory.mktemp("extended")
    copy_repository(folder)
    for block in blocks("docs/extending.md", "(?:yaml|python)"):
        head, body = block.split("\n", 1)
        name = head.removeprefix("# ")
        assert not (folder / name).exists()
        (folder / name).write_text(body)
    for block in blocks("docs/extending.md", "diff"):
        head, before, added = block.splitlines()
        path = folder / head.removeprefix("+++ ")
        text, line = path.read_text(), f"{before[1:]}\n"
        assert (text.count(line), before[0], added[0]) == (1, " ", "+")
        path.write_text(text.replace(line, f"{line}{added[1:]}\n"))
    return folder


EXAMPLES = {
    "my-noise": "figure4",
    "my-digits": "figure3",
    "my-network": "figure3",
    "my-normalization": "figure3",
    "my-figure": "figure_narrowing",
}


@pytest.mark.workflow
@pytest.mark.parametrize("study", EXAMPLES)
def test_each_example_of_extending_is_planned(extended, study):
    figure = EXAMPLES[study]
    jobs = planned(extended, figure, overlays=("tiny.yaml", f"config/{study}.yaml"))
    assert (jobs["train"], jobs["extract"], jobs[figure]) == (2, 2, 1)


@pytest.mark.workflow
def test_the_examples_of_extending_run(extended):
    """All in one study: they add to each other, but for its name and its list of figures.

    The norm in the example of a column lies between two other norms, of layers that are frozen.
    """
    figures = sorted(set(EXAMPLES.values()))
    (extended / "all.yaml").write_text(json.dumps({"study": "my-all", "figures": figures}))
    overlays = ("tiny.yaml", *(f"config/{study}.yaml" for study in EXAMPLES), "all.yaml")
    done = snakemake(extended, *figures, overlays=overlays)
    assert done.returncode == 0, done.stdout + done.stderr
    results = extended / "results" / "my-all"
    for figure in figures:
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000
    for folder in ("noise=0", "noise=0.5", "n=200", "init=0.9", "init=1.3"):
        assert list(results.rglob(f"{folder}/**/run.json"))
    for path in results.rglob("run.json"):
        recipe = json.loads(path.read_text())["spec"]["recipe"]
        assert (recipe["dataset"], recipe["network"]) == ("digits", "cnn2")
        assert recipe["normalization"] == "projected"
    parts = [*(results / "metrics" / "layers").rglob("*.parquet")]
    assert parts
    for path in parts:
        table = pd.read_parquet(path, partitioning=None)
        assert (table["nuclear_norm"] >= table["frobenius_norm"]).all()
        assert (table["nuclear_norm"] <= 12 * table["frobenius_norm"]).all()
        norms = table.groupby(["replicate", "layer"])["frobenius_norm"]
        assert (norms.max() / norms.min() - 1).max() < 1e-5


def test_a_new_figure_is_listed_with_its_title(extended):
    listing = planning(extended, "--list-rules").stdout
    assert "figure_narrowing (Section 5.1: how the spread of the margins shrinks.)" in listing


def test_files_the_documents_name_exist():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in [*pages, ROOT / "results" / "reference" / "README.md"]:
        text = path.read_text("utf-8")
        linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        shown = re.findall(r'<img src="([^"]+)"', text)
        for target in linked + shown:
            assert (path.parent / target).exists(), (path.name, target)


def test_headings_that_results_link_to_exist():
    """An anchor is its heading's words, as GitHub and the site make it."""
    for path in [ROOT / "README.md", *(ROOT / "docs" / "results").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text("utf-8")):
            page = (path.parent / target) if target else path
            headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings]
            assert anchor in slugs, (path.name, target, anchor)
