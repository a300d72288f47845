"""Numbers in documents: what queries answer, against tables read by hand, and the documents."""

import re

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from workflow_copy import ROOT

from squareloss.errors import UserError
from squareloss.figures import document_numbers as quoted
from squareloss.tables.runs import RUN

REFERENCE = ROOT / "results" / "reference"
# Numbers of the types that a table of runs has.
SETTINGS = dict.fromkeys(RUN, 1.0) | {"n_train": 1, "batch_size": 1}
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study with two runs of eight replicates and three claims."""
    folder = tmp_path_factory.mktemp("results")
    study = folder / "small"
    for name in ("aggregate", "claims"):
        (study / name).mkdir(parents=True)
    rows = []
    for init, replicate, epoch in np.ndindex(2, 8, 2):
        run = SETTINGS | {"recipe_name": "cnn6", "init_scale": 0.9 + init}
        measures = {"rho": 100.0 * replicate + 7 * init + epoch, "train_error": 0.1 * (1 - epoch)}
        measures["nc1"] = np.nan if replicate == 3 else 1e-3 * replicate
        rows.append(run | {"replicate": replicate, "epoch": epoch} | measures)
    pd.DataFrame(rows).to_parquet(study / "aggregate" / "figure3.parquet")
    claim = {"claim": "narrow", "place": "Figure 8", "statement": "||w|| narrows", "why": ""}
    claim |= {"median": 0.4, "low": 0.3, "high": 0.5, "side": "<", "threshold": 1.0, "worst": 0.6}
    claim |= {"control_median": 0.9}
    claim |= {"test": "replicates", "tables": "figure3, figure8", "verdict": "supported"}
    other = {"claim": "exact", "test": "check", "verdict": "passed"}
    undecided = {"claim": "open", "verdict": "not decided", "why": "inconclusive", "tables": "x"}
    pd.DataFrame([claim, claim | other, claim | undecided]).to_parquet(
        study / "claims" / "claims.parquet"
    )
    return folder


def ask(query, results):
    text = f"before <!--= {query} -->old<!--=--> after"
    before, answer, after = re.split(r"<!--=.*?-->", quoted.renewed(text, results))
    assert (before, after) == ("before ", " after")
    return answer


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("median small/figure3 rho init_scale=0.9", "351"),
        # eight replicates: the interval goes from the smallest to the largest, at 99.2%
        ("interval small/figure3 rho init_scale=1.9", "358 (8 to 708)"),
        ("interval small/figure3 nc1 init_scale=0.9", "0.004 (0 to 0.007)"),
        ("claim small narrow", "0.4 [0.3, 0.5]"),
        ("middle small narrow", "0.4"),
        (
            "counts small",
            "2 statements: 1 supported, 1 not decided. 1 checks of the implementation: 1 passed.",
        ),
        ("statements small", "2 statements: 1 supported, 1 not decided."),
    ],
)
def test_answers(results, query, answer):
    assert ask(query, results) == answer


def test_a_row_a_run(results):
    table = ask("runs small/figure3 rho nc1", results).strip().splitlines()
    assert table[0] == "| init_scale | fitted | rho | nc1 |"
    assert table[2] == "| 0.9 | 8 of 8 | 351 (1 to 701) | 0.004 (0 to 0.007) |"
    assert len(table) == 4


def test_a_column_a_reading_and_bold_what_it_meets(tmp_path):
    rows = []
    for recipe, decay, init, replicate in np.ndindex(2, 2, 3, 2):
        run = SETTINGS | {"recipe_name": "ab"[recipe], "weight_decay": 1e-3 * decay}
        run |= {"init_scale": (0.9, 1, 1.3)[init], "replicate": replicate, "epoch": 5}
        ends = {"rho": 450.0, "train_loss": 0.81 * recipe, "mean_margin": 0.0021}
        ends |= {"margin_sd": 1e-4 * decay, "train_error": 0.0, "test_error": 0.1 * init}
        rows.append(run | ends)
    (tmp_path / "small" / "aggregate").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(tmp_path / "small" / "aggregate" / "readings.parquet")
    lines = ask("hits small/readings", tmp_path).strip().splitlines()
    cells = {line.split(" | ")[0]: line.strip("| ").split(" | ") for line in lines}
    assert cells["| test"][2:] == ["a", "b"]
    assert cells["| interpolates"][2:] == ["**0**", "0.9"]
    assert cells["| no spread without decay"][2:] == ["**0**"] * 2
    assert cells["| 0.1 trains"][2:] == ["n/a"] * 2  # there is no such run
    assert cells["| starts nearer with decay"][2:] == ["n/a"] * 2  # all starts end alike
    bold = [sum(row[i].startswith("**") for row in cells.values()) for i in (-2, -1)]
    assert [int(cell) for cell in cells["| met, of 8"][-2:]] == bold


def test_verdicts_leave_out_checks_and_other_tables(results):
    lines = ask("verdicts small figure8", results).strip().splitlines()
    assert len(lines) == 3
    assert r"| \|\|w\|\| narrows |" in lines[2]
    assert lines[2].endswith("| 0.4 [0.3, 0.5], claimed < 1 | 0.9 | ✔ supported |")
    assert ask("verdicts small x", results).strip().endswith("| ? inconclusive |")


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("mean small/figure3 rho", "none of median"),
        ("median small/figure3 rho", "2 runs, not one"),
        ("median small/figure3 rho init_scale=5", "0 runs, not one"),
        ("median small/figure3 rho scale=0.9", "scale=0.9: not a setting of a run"),
        ("median small/figure3 rho init_scale", "init_scale: not a setting of a run"),
        ("median small/figure3 rho init_scale=x", "could not convert"),
        ("median small/figure3 roh init_scale=0.9", "no column roh"),
        ("median small/figure3", "missing a required argument: 'column'"),
        ("runs small/figure3 roh", "no column roh"),
        ("median small/figure3 rho rho=351", "rho=351: not a setting of a run"),
        ("claim small narrow open", "too many positional arguments"),
        ("claim small wide", "no claim wide"),
        ("middle small wide", "no claim wide"),
        ("median none/figure3 rho", "figure3.parquet"),
    ],
)
def test_a_query_that_cannot_be_answered_is_named(results, query, part):
    with pytest.raises(UserError, match=re.escape(part)) as caught:
        quoted.renewed(f"is <!--= {query} -->1<!--=-->", results)
    assert str(caught.value).startswith(query)


@pytest.mark.parametrize(
    "text",
    [
        "<!--= counts small -->1",
        "1<!--=-->",
        "<!--= a\nb -->1<!--=-->",
        "<!--= counts small -->1, and then\n\n<!--= counts small -->1<!--=-->",
    ],
)
def test_a_comment_needs_its_partner(results, text):
    with pytest.raises(UserError, match="partner"):
        quoted.renewed(text, results)


def test_no_line_begins_with_a_comment_and_goes_on(results):
    with pytest.raises(UserError, match="take for HTML"):
        quoted.renewed("rho is\n<!--= counts small -->1<!--=--> now", results)
    quoted.renewed("rho is\n\n<!--= verdicts small x -->\n\n<!--=-->\n", results)


@given(st.text(), st.text())
def test_what_stands_around_is_left_alone(results, before, after):
    assume("<!--=" not in before + after)
    start, end = f"{before}is <!--= claim small narrow -->", f"<!--=-->{after}"
    once = quoted.renewed(f"{start}old{end}", results)
    assert once == f"{start}0.4 [0.3, 0.5]{end}"
    assert quoted.renewed(once, results) == once


def test_nothing_is_written_if_one_document_fails(results, tmp_path, monkeypatch):
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text("is <!--= counts small -->1<!--=-->")
    bad.write_text("is <!--= count small -->1<!--=-->")
    monkeypatch.setattr("sys.argv", ["", "--results", str(results), str(good), str(bad)])
    with pytest.raises(UserError, match=r"bad\.md: count small: count: none of"):
        quoted.main()
    assert good.read_text() == "is <!--= counts small -->1<!--=-->"
    bad.write_text("bad")
    quoted.main()
    assert good.read_text().startswith("is <!--= counts small -->2 statements")


def test_an_answer_is_that_of_another_library():
    place = REFERENCE / "precision" / "aggregate" / "figure_precision.parquet"
    words = "recipe_name=float64 weight_decay=0.001"
    expected = duckdb.sql(
        f"select median(rho) from '{place}' where recipe_name = 'float64' "
        f"and weight_decay = 0.001 and epoch = (select max(epoch) from '{place}')"
    ).fetchall()[0][0]
    answer = ask(f"median precision/figure_precision rho {words}", REFERENCE)
    assert float(answer.replace(",", "")) == pytest.approx(expected, rel=5e-3)


def test_documents_show_what_the_tables_say():
    """`make docs` changes nothing."""
    texts = {path.relative_to(ROOT): path.read_text("utf-8") for path in DOCUMENTS}
    marked = {str(name) for name, text in texts.items() if quoted.MARKED.search(text)}
    assert marked >= {"README.md", "docs/readings.md", "docs/results/figure9.md"}
    for name, text in texts.items():
        assert quoted.renewed(text, REFERENCE) == text, name


def test_make_docs_renews_every_document_with_numbers():
    [line] = re.findall(r"document_numbers (.*)", (ROOT / "Makefile").read_text("utf-8"))
    named = {path for pattern in line.split() for path in ROOT.glob(pattern)}
    marked = {path for path in DOCUMENTS if quoted.MARKED.search(path.read_text("utf-8"))}
    assert marked <= named
