"""The page beside a study's results."""

import json
import re
import subprocess

import pytest
import yaml
from workflow_copy import ROOT

from squareloss.pages import study_readme as about
from squareloss.spec import canonical_json
from squareloss.study import sweep
from squareloss.study.files import read

CONFIG = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")]


@pytest.mark.workflow
def test_it_names_what_is_there_and_the_config_reads_back(finished):
    results = finished / "results" / "tiny"
    page = (results / "README.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)]+)\)", page))
    assert links >= {"claims/claims.html", "explore.html", "config.json", "report.html"}
    for link in links - {"report.html"}:  # made when it is asked for
        assert (results / link).exists()
    *_, counts = (results / "claims/claims.txt").read_text(encoding="utf-8").splitlines()
    assert re.match(r"\d+ statements: ", counts)
    assert page.splitlines()[2] == f"**{counts}**"
    folders = set(re.findall(r"`([a-z/]+)/", page.partition("| figure |")[0]))
    assert folders >= {"claims", "figures", "aggregate", "metrics", "runs"}
    for folder in folders - {"docs"}:
        assert (results / folder).is_dir(), folder
    config = json.loads((results / "config.json").read_text(encoding="utf-8"))
    again = finished / "again.yaml"
    again.write_text(yaml.safe_dump(config), encoding="utf-8")
    study = read([str(again)])
    assert canonical_json(study) == canonical_json(read(CONFIG))
    assert sweep.size(study) in page


def test_it_names_the_commit_where_there_is_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("1", encoding="utf-8")
    assert "of no known commit" in about.origin(file)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
    assert about.origin(file).endswith(f"commit `{commit}`.")
    file.write_text("2", encoding="utf-8")
    assert "not committed" in about.origin(file)
    installed = tmp_path / "installed"  # below the repository, and none of its files
    installed.touch()
    assert "of no known commit" in about.origin(installed)


def test_a_title_cannot_break_its_row(monkeypatch):
    config = {"study": "x", "figures": ["figure3"], "datasets": {}}
    row = next(line for line in about.page(config, "", "").splitlines() if "figure3.png" in line)
    assert row.count("|") == 3


def test_a_title_is_no_html():
    page = about.page({"study": "tiny", "figures": []}, "<b>A</b> | [B](c)", "1 supported")
    assert "\n" + r"\<b\>A\</b\> \| \[B\](c)" + "\n" in page
