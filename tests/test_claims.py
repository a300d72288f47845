"""Verdicts follow from numbers, and the numbers from tables; the tables are made up."""

import html
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, opened
from cases import CASES
from cases.settled import SETTLED
from made_tables import (
    MEASURED,
    ample,
    collapse,
    course,
    equilibrium,
    falling,
    figure5,
    layers_of_lowrank,
    problems,
    ranks,
    settled,
    singles,
    with_bounds,
)
from workflow_copy import copy_repository

from squareloss.claims import claim as module
from squareloss.claims import page as claims_page
from squareloss.claims import report
from squareloss.claims.document import document
from squareloss.claims.rows import half_way
from squareloss.claims.verdict import judge as judge_in
from squareloss.errors import UserError

CLAIMS = {claim.name: claim for claim in report.CLAIMS}


def judge(claims, tables):
    """The verdicts if there were no other claims."""
    return judge_in(claims, tables, sum(claim.tests for claim in claims))


def test_every_claim_has_its_cases_and_a_name_of_its_own():
    assert set(CASES) == set(CLAIMS)
    assert len(CLAIMS) == len(report.CLAIMS)


@pytest.mark.parametrize("name", CASES)
def test_a_claim_is_supported_contradicted_and_left_open(name):
    supporting, contradicting = CASES[name]
    one = [CLAIMS[name]]
    words = {"check": ("passed", "failed"), "number": ("reported", "reported")}.get(
        one[0].test, ("supported", "not reproduced" if one[0].shown else "contradicted")
    )
    assert judge(one, supporting).loc[0, "verdict"] == words[0]
    assert judge(one, contradicting).loc[0, "verdict"] == words[1]
    if CLAIMS[name].test == "replicates":
        few = {key: table[table["replicate"] < 5] for key, table in supporting.items()}
        assert judge(one, few).loc[0, "verdict"] == "not decided"


def test_equal_changes_of_rank_count_for_neither_side():
    """Of 0.3 with lambda and without, from means whose differences are not the same in binary."""
    table = ranks(0, 0, 0, 0)
    ranked = table["rank_1e-2"].notna()
    large = table["batch_size"] == 32
    for decay, (of_small, of_large) in {True: (93.8, 94.1), False: (93.6, 93.9)}.items():
        rows = ranked & ((table["weight_decay"] > 0) == decay)
        table.loc[rows, "rank_1e-2"] = np.where(large[rows], of_large, of_small)
    assert 94.1 - 93.8 != 93.9 - 93.6
    assert set(CLAIMS["rank-control"].measure({"figure_lowrank": table})) == {0.0}


def study_tables(name):
    """Whether all tables that a claim reads are aggregates of the study's runs."""
    return all({"train_error", "epoch"} <= {*table} for table in CASES[name][0].values())


@pytest.mark.parametrize("name", [name for name in CASES if CLAIMS[name].premise])
def test_networks_that_lack_the_premise_decide_nothing(name):
    lacking = {key: table.assign(train_error=0.1) for key, table in CASES[name][0].items()}
    if name in SETTLED:
        column, value, _ = SETTLED[name]
        lacking = {"settled": settled(**{column: value})}
        lacking["settled"][["gradient", "multiclass_gradient", "free_loss"]] = 0.1
    if name in ("random-labels-fail", "vacuous-by-an-order"):
        lacking = {key: table.assign(n_train=1000) for key, table in CASES[name][0].items()}
    if name == "lemma8-no-equilibrium":
        lacking = {"minibatch": singles(1.0, 1e-9, rank=2)}
    if name == "mu-rises-as-rho-falls":
        lacking = {"gradientflow": falling((1.0, 1.0, 1.0, 1.0)).assign(rho=1.0)}
    row = judge([CLAIMS[name]], lacking).loc[0]
    assert row["verdict"] == "not decided"
    assert row["measured"] == 0


@pytest.mark.parametrize("name", [*filter(study_tables, CASES)])
def test_networks_that_diverged_decide_nothing(name):
    tables = {}
    for key, table in CASES[name][0].items():
        tables[key] = table.copy()
        tables[key].loc[table["epoch"] > 0, MEASURED] = math.nan
    assert judge([CLAIMS[name]], tables).loc[0, "verdict"] == "not decided"


@pytest.mark.parametrize("name", [*filter(study_tables, CASES)])
def test_a_study_with_other_runs_decides_nothing_and_does_not_fail(name):
    """One run of another lambda and recipe in place of those that the claim compares."""
    only = course(1.0, weight_decay=0.5, recipe_name="mine", train_error=0.5)
    row = judge([CLAIMS[name]], dict.fromkeys(CASES[name][0], only)).loc[0]
    # What needs no comparison and no fit can be said of any run.
    assert row["verdict"] == "not decided" or name.startswith("eq7")


def test_a_rho_that_never_falls_falls_for_none_of_the_training():
    rising = course((1.0, 2.0, 3.0, 3.0), mu=0.1, epochs=(0, 1, 19, 20))
    row = judge([CLAIMS["rho-falls-briefly"]], {"figure8": rising}).loc[0]
    assert (row["median"], row["without"]) == (0, 0)


@pytest.mark.parametrize(
    ("decay", "lacking"), [(0.0, "runs with weight decay"), (1e-3, "runs with weight_decay = 0")]
)
def test_runs_that_are_lacking_are_named(decay, lacking):
    table = ranks(3, 0, 0, 0)
    row = judge([CLAIMS["rank-batch"]], {"figure_lowrank": table[table["weight_decay"] == decay]})
    assert row.loc[0, "lacking"] == lacking


def test_what_a_study_lacks_is_no_premise():
    """Two values of N, all fitted: three values are missing, and not the fit."""
    table = with_bounds(9.0, 1)
    row = judge([CLAIMS["gap-over-n-cnn6"]], {"figure6": table[table["n_train"] > 1000]}).loc[0]
    assert (row["verdict"], row["reason"]) == (
        "not decided",
        "this study lacks: three values of n_train",
    )
    table = figure5(-10, True)
    two_starts = table[table["init_scale"].isin([0.8, 0.9])]
    for name in ("margin-accuracy-slope", "margin-accuracy-r2"):
        row = judge([CLAIMS[name]], {"figure5": two_starts}).loc[0]
        assert row["reason"] == "this study lacks: three values of init_scale"


@pytest.mark.parametrize(
    ("name", "experiment"),
    [
        ("noise-absent-in-gd", "figure_sgdnoise"),
        ("bn-better-than-wn", "figure_normalization"),
        ("square-loss-as-good", "figure_loss"),
    ],
)
def test_runs_that_differ_in_more_are_not_compared(name, experiment):
    table = CASES[name][0][experiment].copy()
    odd = {"figure_sgdnoise": "gd", "figure_normalization": "bn", "figure_loss": "square"}
    for setting in ("optimizer", "normalization", "loss"):
        table.loc[table[setting] == odd[experiment], "network"] = "cnn3"
    row = judge([CLAIMS[name]], {experiment: table}).loc[0]
    assert row["verdict"] == "not decided"
    assert "alone, and not in network" in row["reason"]


def test_the_last_layer_is_that_of_each_network():
    """A network of 2 layers beside one of 4, whose last layers break the order."""
    deep = layers_of_lowrank(1)
    shallow = layers_of_lowrank(1, depth=3, n_train=500)
    for table, last in ((deep, 4), (shallow, 3)):
        table.loc[table["layer"] == last, "update_norm"] = -100.0
    runs = pd.concat([course(1.0), course(1.0, n_train=500)])
    tables = {"figure_lowrank": runs, "figure_lowrank_layers": pd.concat([deep, shallow])}
    assert CLAIMS["eq53-rank"].measure(tables).tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "one of `above`, `below` and `within`"),
        ({"above": 1, "below": 2}, "one of `above`, `below` and `within`"),
        ({"within": 1, "below": 2}, "one of `above`, `below` and `within`"),
        ({"above": 1, "negligible": 2}, "both `negligible` and `negligible_because`"),
        ({"above": 1}, "needs a docstring"),
    ],
)
def test_a_claim_says_what_it_measures_and_which_side_it_is_on(monkeypatch, options, wanted):
    monkeypatch.setattr(module, "CLAIMS", [])
    with pytest.raises(TypeError, match=wanted):
        module.claim("mine", "p", "s", says="s", no_control="n", because="b", **options)(
            lambda figure3: figure3["rho"]
        )
    assert module.CLAIMS == []


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(module, "CLAIMS", list(report.CLAIMS))
    with pytest.raises(ValueError, match="claim lemma4: there is another"):
        module.claim("lemma4", "p", "s", says="s", no_control="n", because="b", above=0)


def test_a_table_of_something_else_is_one_line(monkeypatch, tmp_path):
    problems().to_parquet(tmp_path / "figure3.parquet")
    arguments = ["--tables", tmp_path / "figure3.parquet", "--output", tmp_path / "claims"]
    monkeypatch.setattr(sys, "argv", ["squareloss.claims.report", *map(str, arguments)])
    with pytest.raises(UserError, match=r"figure3\.parquet: no table of runs, since it lacks b"):
        report.main()


OWN = '''"""Section 9: a claim of one's own."""

import pandas as pd

from squareloss.claims.claim import claim


@claim(
    "mine",
    "Section 9",
    "rho is large",
    says="Rho is large.",
    no_control="an example",
    above=5,
    because="a guess",
    test="every",
)
def rho_at_all(figure3: pd.DataFrame, figure3_layers: pd.DataFrame) -> pd.Series:
    """Rho of every network."""
    return figure3["rho"]
'''


def test_a_claim_is_one_function_in_a_module_of_a_section(tmp_path):
    copy_repository(tmp_path)
    (tmp_path / "src/squareloss/claims/section9.py").write_text(OWN, encoding="utf-8")
    course(9.0).to_parquet(tmp_path / "figure3.parquet")
    (tmp_path / "layers").mkdir()
    layers_of_lowrank(1).to_parquet(tmp_path / "layers" / "figure3.parquet")
    command = [sys.executable, "-m", "squareloss.claims.report", "--output", "claims"]
    command += ["--tables", "figure3.parquet", "--layers", "layers/figure3.parquet"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    table = pd.read_parquet(tmp_path / "claims.parquet").set_index("claim")
    row = table.loc["mine"]
    assert row[["verdict", "quantity", "tables", "threshold"]].tolist() == [
        "supported",
        "Rho of every network",
        "figure3, figure3_layers",
        5.0,
    ]
    assert len(table) == len(CLAIMS) + 1


def test_lemma5_is_of_aligned_networks_only():
    apart = course(1.0, weight_decay=0.0, lemma5_change=0.5, lemma5_alignment=0.7)
    row = judge([CLAIMS["lemma5"]], {"figure5": apart}).loc[0]
    assert (row["verdict"], row["why"]) == ("not decided", "premise unmet")


def test_a_bound_above_one_is_no_evidence():
    tables = {key: with_bounds(5.0, 1) for key in ("figure6", "figure7")} | {"ample": ample(5.0)}
    row = judge([CLAIMS["eq24-holds"]], tables).loc[0]
    assert row["verdict"] == "not decided"
    assert "bound below 1" in row["reason"]


def test_a_limit_that_is_still_approached_is_not_contradicted():
    """NC1 at 0.8, 0.5 and 0.2 of its start: on its way to 0.1, or at a stand, or going back."""
    one = [CLAIMS["nc1-binary"]]
    for course_of_nc1, word in (
        ((1.0, 0.5, 0.2), "not decided"),
        ((1.0, 0.2, 0.2), "not reproduced"),
    ):
        table = (
            collapse(0.01, 0.01)
            .drop(columns="nc1")
            .merge(pd.DataFrame({"epoch": (0, 1, 10), "nc1": course_of_nc1}))
        )
        row = judge(one, {"figure9": table}).loc[0]
        assert row["verdict"] == word
    assert "not converged" not in row["reason"]
    unknown = collapse(0.01, 0.01).assign(nc1=lambda rows: rows["epoch"].map({0: 1.0, 10: 0.2}))
    unknown.loc[unknown["epoch"] == 1, "train_error"] = 0.1  # nothing fits at half of training
    assert judge(one, {"figure9": unknown}).loc[0, "why"] == "not converged"
    worse = collapse(0.5, 0.5).assign(nc1=lambda rows: 0.2 + 0.01 * rows["epoch"])
    assert judge(one, {"figure9": worse}).loc[0, "verdict"] == "not reproduced"
    papers = {"figure9": worse.assign(n_train=10_000)}
    assert judge(one, papers).loc[0, "verdict"] == "contradicted"


def test_a_limit_that_leaves_the_claimed_side_is_not_supported():
    """NC1 from 0.01 to 0.06 of its start in the second half: at 0.11 after as much again."""
    table = collapse(0.01, 0.01).drop(columns="nc1")
    rising = table.merge(pd.DataFrame({"epoch": (0, 1, 10), "nc1": (1.0, 0.01, 0.06)}))
    row = judge([CLAIMS["nc1-binary"]], {"figure9": rising}).loc[0]
    assert (row["verdict"], row["why"]) == ("not decided", "not converged")
    assert row["reason"] == (
        "median 0.01 at half of training, 0.06 at the end;"
        " at width 1.0 and N = 1,000, where the paper has width 1 and N = 10,000;"
        f" earlier: {CLAIMS['nc1-binary'].earlier}"
    )


def test_the_cut_is_at_the_last_snapshot_of_the_first_half():
    """Two runs of different length; epoch 4 of the longer has no snapshot."""
    short = course(1.0, epochs=(0, 1, 2, 3, 4))
    long = course(1.0, epochs=(0, 3, 4, 6, 9), init_scale=2.0)
    long.loc[long["epoch"] == 4, "stable_rank"] = math.nan
    cut = half_way({"t": pd.concat([short, long]), "small": pd.DataFrame({"x": [1]})})
    assert list(cut) == ["t"]
    ends = cut["t"].groupby("init_scale")["epoch"].max()
    assert ends.to_dict() == {0.9: 2, 2.0: 3}


def test_the_terminal_shows_what_was_found_first():
    claims = report.CLAIMS
    random = collapse(0.001, 0.001, label_noise=1.0, replicates=16)
    text = report.plain(judge_in(claims, {"figure_randomlabels": random}))
    lines = text.splitlines()
    assert lines[0] == "Statements"
    assert "✔ supported" in lines[1]
    lacking = next(i for i, line in enumerate(lines) if "study lacks runs" in line)
    listed = " ".join(lines[lacking + 1 :])
    assert all(claim.name in text for claim in claims)
    assert "bn-better-than-wn" in listed
    assert len(lines) < len(claims) / 2
    kinds = Counter(claim.test for claim in claims)
    assert f"{kinds['replicates'] + kinds['every']} statements: " in lines[-1]
    assert f"{kinds['check']} checks of the implementation: " in lines[-1]
    assert f"{kinds['number']} numbers that are reported and not judged: " in lines[-1]


def test_a_study_that_is_too_small_says_which_is_not():
    tables = {"figure_unit": equilibrium(0.999).query("replicate < 2")}
    text = report.plain(judge_in(report.CLAIMS, tables))
    assert "This study is too small to decide 1 of the statements, which takes 12 repl" in text
    assert "too small" not in report.plain(judge([CLAIMS["lemma4"]], CASES["lemma4"][0]))


def test_the_pages_name_every_claim_and_escape_what_is_not_theirs():
    table = judge(report.CLAIMS, CASES["nc1-random-labels"][0])
    text, page = report.markdown(table, "A | <B>"), report.page(table, "A & <B>")
    assert all(f"| {name} (" in text and f'<tr id="{name}"' in page for name in CLAIMS)
    assert "A &amp; &lt;B&gt;" in page
    assert r"A \| \<B\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {9}


# A reader on a phone: picks a verdict, types a word, sorts, and says what is to be seen.
READER = """<style>html {width: 360px}</style><script>
const lines = [...document.querySelectorAll("tbody tr")];
const shown = () => lines.filter(r => !r.hidden).map(r => r.id);
const set = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("input"));
};
const seen = {all: shown().length};
set("verdict", "supported");
seen.supported = shown();
set("words", "NC3");
seen.word = shown();
set("verdict", ""); set("words", "");
document.querySelector("th[data-key=claim]").click();
seen.sorted = [...document.querySelector("tbody").rows].map(r => r.id);
const edges = [...document.querySelectorAll("body *")].map(e => e.getBoundingClientRect().right);
seen.edge = Math.max(...edges);
document.body.innerHTML = "<pre>" + JSON.stringify(seen) + "</pre>";
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not opened")
def test_the_page_filters_and_sorts_in_a_browser_of_a_phones_width(tmp_path):
    random = collapse(0.001, 0.001, label_noise=1.0, replicates=16)
    table = judge_in(report.CLAIMS, {"figure_randomlabels": random})
    text = report.page(table, "")
    assert not re.search(r'(src|href)="https?:', text)
    (tmp_path / "page.html").write_text(text + READER, encoding="utf-8")
    dom = opened(tmp_path / "page.html", tmp_path, width=500)
    seen = json.loads(html.unescape(re.search("<pre>(.*)</pre>", dom)[1]))
    supported = table.loc[table["verdict"] == "supported", "claim"]
    assert seen["all"] == len(CLAIMS)
    assert set(seen["supported"]) == set(supported)
    assert "nc3-random-labels" in seen["word"]
    assert set(seen["word"]) < set(supported)
    assert seen["sorted"] == sorted(seen["sorted"])
    assert seen["edge"] <= 360


def test_a_claims_plot_shows_its_values():
    [row] = judge([CLAIMS["quasi-interpolates"]], CASES["quasi-interpolates"][0]).to_dict("records")
    drawn = claims_page.plot(row)
    centres = [float(x) for x in re.findall(r'circle cx="([\d.]+)"', drawn)]
    threshold = float(re.search(r'<line x1="([\d.]+)"', drawn)[1])
    assert len(centres) == row["measured"] == len(json.loads(row["values"]))
    assert max(centres) < threshold  # claimed below
    assert claims_page.plot(row | {"values": "[null]"}) == ""


def test_the_page_of_claims_is_up_to_date():
    path = Path(__file__).parents[1] / "docs/claims.md"
    assert path.read_text() == document(), "run python -m squareloss.claims.document"
