"""What the documents tell a reader to do, done."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import forked
import pandas as pd
import polars as pl
import pytest
import snakemake as snakemake_package
from workflow_copy import (
    ROOT,
    blocks,
    copy_repository,
    environment,
    planned,
    snakemake,
)

from squareloss.claims.document import TESTS
from squareloss.claims.verdict import FAMILY
from squareloss.tables.runs import RUN


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/query.md", 4)])
def test_the_examples_that_read_tables_run(finished, page, count):
    examples = blocks(page, "python")
    assert len(examples) >= count
    for example in examples:
        script = example.replace("results/demo", "results/tiny")
        script = script.replace("config/demo.yaml", "tiny.yaml")
        done = forked.run(["-c", script], cwd=finished)
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


def test_one_pattern_reads_all_aggregates():
    """They are of one kind; the small problems' tables lie elsewhere. Old ones lack columns."""
    paths = list((ROOT / "results/reference/long/aggregate").glob("*.parquet"))
    [(rows,)] = duckdb.sql(
        f"select count(*) from read_parquet('{paths[0].parent}/*.parquet', union_by_name = true) "
        "where recipe_name is not null and epoch is not null"
    ).fetchall()
    assert rows == sum(len(pd.read_parquet(path, columns=["epoch"])) for path in paths)


def test_the_same_question_has_one_answer_a_run_in_polars_and_duckdb(finished, monkeypatch):
    """How far from interpolation runs end, as the page asks it, and by a loop over the runs."""
    monkeypatch.chdir(finished)
    history = pd.read_parquet("results/tiny/metrics/history", partitioning=None)
    expected = []
    for _, run in history.groupby(RUN):
        last = run[run["epoch"] == run["epoch"].max()]
        assert len(last) == 2  # replicates
        expected.append((1 - last["rho"] * last["mu"]).abs().mean())  # of two, the median
    answers = []
    for example in blocks("docs/query.md", "python")[2:]:
        exec(example.replace("results/demo", "results/tiny"), {"print": answers.append})
    by_polars, by_duckdb = answers[0].to_pandas(), answers[1].df()
    assert len(expected) > 1
    for found in (by_polars, by_duckdb):
        assert len(found.drop_duplicates(RUN)) == len(expected)
        assert found["gap"].tolist() == pytest.approx(sorted(expected))


def test_a_figure_is_drawn_from_the_committed_measurements(tmp_path):
    page = (ROOT / "docs/figure.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^    python (-m squareloss.figures .*)$", page, re.M)
    words = command.replace("results/mine", str(tmp_path)).split()
    done = forked.run(words, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures/figure5.png").exists()
    numbers = pd.read_csv(tmp_path / "tables/figure5.csv")
    assert len(numbers) > 1


FILE = re.compile(r"# (?:src|config|tests)/\S+\n")  # the first line of a block that is a file


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the repository with every file of docs/extending.md and docs/compare.md in it."""
    folder = tmp_path_factory.mktemp("extended")
    copy_repository(folder)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    pages = ("docs/extending.md", "docs/compare.md")
    for block in [block for page in pages for block in blocks(page, "(?:yaml|python)")]:
        if not FILE.match(block):
            continue
        head, body = block.split("\n", 1)
        name = head.removeprefix("# ")
        assert not (folder / name).exists()
        (folder / name).write_text(body)
    for block in blocks("docs/extending.md", "diff"):
        head, before, *added = block.splitlines()
        path = folder / head.removeprefix("+++ ")
        text, line = path.read_text(), f"{before[1:]}\n"
        assert (text.count(line), before[0], {line[0] for line in added}) == (1, " ", {"+"})
        path.write_text(text.replace(line, line + "".join(f"{line[1:]}\n" for line in added)))
    return folder


EXAMPLES = {
    "my-noise": "figure4",
    "my-digits": "figure3",
    "my-network": "figure3",
    "my-normalization": "figure3",
    "my-figure": "figure_narrowing",
    "my-networks": "figure_compare",
}


@pytest.mark.workflow
@pytest.mark.parametrize("study", EXAMPLES)
def test_each_example_of_extending_is_planned(extended, study):
    figure = EXAMPLES[study]
    jobs = planned(extended, figure, overlays=("tiny.yaml", f"config/{study}.yaml"))
    assert (jobs["train"], jobs["extract"], jobs[figure]) == (2, 2, 1)


@pytest.mark.workflow
def test_the_examples_of_extending_run(extended, monkeypatch):
    """All in one study: they add to each other, but for its name and its list of figures.

    One network is narrower: what its dense layer uses of 2,048 inputs takes half a minute.
    The column of the example is a norm, and the layers' norms are frozen: it has two bounds.
    """
    figures = sorted(set(EXAMPLES.values()))
    both = {"study": "my-all", "figures": figures, "recipes": {"shallow": {"width": 0.25}}}
    (extended / "all.yaml").write_text(json.dumps(both))
    overlays = ("tiny.yaml", *(f"config/{study}.yaml" for study in EXAMPLES), "all.yaml")
    done = snakemake(extended, *figures, overlays=overlays)
    assert done.returncode == 0, done.stdout + done.stderr
    results = extended / "results" / "my-all"
    for figure in figures:
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000
    for folder in ("noise=0", "noise=0.5", "n=200", "init=0.9", "init=1.3"):
        assert list(results.rglob(f"{folder}/**/run.json"))
    networks = set()
    for path in results.rglob("run.json"):
        recipe = json.loads(path.read_text())["spec"]["recipe"]
        assert (recipe["dataset"], recipe["normalization"]) == ("digits", "projected")
        networks.add(recipe["network"])
    assert networks == {"cnn2", "shallow", "deep"}
    [compared] = [block for block in blocks("docs/compare.md", "python") if not FILE.match(block)]
    monkeypatch.chdir(extended)
    answers = []
    exec(compared.replace("my-networks", "my-all"), {"print": answers.append})
    [table] = answers
    assert sorted(table["recipe_name"]) == ["deep", "shallow"]
    assert table["rho"].nunique() == 2
    parts = [*(results / "metrics" / "layers").rglob("*.parquet")]
    assert parts
    for path in parts:
        table = pd.read_parquet(path, partitioning=None)
        assert (table["nuclear_norm"] >= table["frobenius_norm"]).all()
        assert (table["nuclear_norm"] <= 12 * table["frobenius_norm"]).all()
        norms = table.groupby(["replicate", "layer"])["frobenius_norm"]
        assert (norms.max() / norms.min() - 1).max() < 1e-5


def test_a_new_claim_passes_the_tests_of_claims(extended):
    """Its case, its second computation, and its place in the list of statements."""
    files = ("test_claims.py", "test_claims_recomputed.py", "test_statements.py")
    names = "small-test-error or every_claim or every_name"
    done = forked.run(
        [
            *("-m", "pytest", "-n0", "-p", "no:cacheprovider", "-rp", "-k", names),
            *("-c", ROOT / "pyproject.toml", "--rootdir", extended),
            f"--basetemp={extended}/pytest",
            *(extended / "tests" / name for name in files),
        ],
        cwd=extended,
        env=environment(extended),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_a_control_measures_what_it_says[small-test-error]" in done.stdout


def test_the_recipe_of_a_claim_counts_the_tests_that_are_taken():
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    assert f"The family holds {FAMILY} tests, and {TESTS} are taken." in page


def test_a_new_figure_is_listed_with_its_title(extended):
    listing = snakemake(extended, "--list-rules").stdout
    assert "figure_narrowing (Section 5.1: how the spread of the margins shrinks.)" in listing


def test_files_the_documents_name_exist():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in [*pages, ROOT / "results" / "reference" / "README.md"]:
        text = path.read_text("utf-8")
        linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        shown = re.findall(r'<img src="([^"]+)"', text)
        for target in linked + shown:
            assert (path.parent / target).exists(), (path.name, target)


def said():
    """All text that our code, the installer and Snakemake may say; of formatted text its parts."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    others = [
        *(ROOT / "workflow").rglob("*"),
        ROOT / "envs/install",
        ROOT / "profiles/slurm/config.yaml",
    ]
    for path in [*others, Path(snakemake_package.__file__).with_name("exceptions.py")]:
        if path.is_file():
            yield path.read_text(encoding="utf-8")


def test_the_messages_of_the_page_on_trouble_are_those_of_the_code():
    page = (ROOT / "docs/trouble.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*)$", page, re.M)
    messages = {message for heading in headings for message in re.findall("`(.*?)`", heading)}
    messages -= {".venv", "snakemake: command not found", "Permission denied", "MemoryError"}
    messages -= {"getpwuid(): uid not found", "failed to map segment"}  # of Python and the system
    texts = [*said()]
    assert len(messages) > 20
    for message in messages:
        for part in filter(None, map(str.strip, message.split("..."))):
            assert any(part in text for text in texts), part


def test_headings_that_results_link_to_exist():
    """An anchor is its heading's words, as GitHub and the site make it."""
    for path in [ROOT / "README.md", *(ROOT / "docs" / "results").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text("utf-8")):
            page = (path.parent / target) if target else path
            headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings]
            assert anchor in slugs, (path.name, target, anchor)
