"""What the documents tell a reader to do, done."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from workflow_copy import ROOT, blocks, copy_repository, environment, snakemake


@pytest.mark.parametrize("page", ["README.md", "docs/tables.md"])
def test_the_examples_that_read_tables_run(finished, page):
    examples = blocks(page, "python")
    assert len(examples) >= 3
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
def test_the_first_lines_of_the_readme_draw_and_read_a_figure(finished, tmp_path):
    """As a newcomer copies them, of the tiny study in the place of the demo."""
    [block] = re.findall(
        r"((?:^    .*\n)+)\n## What of the paper", (ROOT / "README.md").read_text(), re.M
    )
    lines = [line.split("  #")[0].strip().replace("demo", "tiny") for line in block.splitlines()]
    draw, on_cluster, read = lines[1:]
    assert lines[0] == "source .venv/bin/activate"
    assert on_cluster == "snakemake --profile slurm"  # which tests/slurm runs
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    figure = folder / "results/tiny/figures/figure5.png"
    figure.unlink()
    for line in (draw.replace("config/tiny.yaml", "tiny.yaml"), read):
        activated = {**environment(folder), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        done = subprocess.run(
            line, shell=True, cwd=folder, env=activated, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert figure.exists()
    assert "weight_decay" in done.stdout


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
    return folder


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("study", "figure", "folders"),
    [
        ("my-noise", "figure4", ["noise=0", "noise=0.5"]),
        ("my-digits", "figure3", ["n=200"]),
        ("my-network", "figure3", ["init=0.9", "init=1.3"]),
        ("my-figure", "figure_narrowing", ["init=0.9", "init=1.3"]),
    ],
)
def test_the_examples_of_extending_run(extended, study, figure, folders):
    done = snakemake(extended, figure, overlays=("tiny.yaml", f"config/{study}.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    results = extended / "results" / study
    assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000
    for folder in folders:
        assert list(results.rglob(f"{folder}/**/run.json"))


def test_a_new_figure_is_listed_with_its_title(extended):
    listing = snakemake(extended, "--list-rules").stdout
    assert "figure_narrowing (Section 5.1: how the spread of the margins shrinks.)" in listing


def test_files_the_documents_name_exist():
    texts = {path: path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
    for path, text in texts.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (path.parent / target).exists(), (path.name, target)
