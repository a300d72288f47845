"""The page to look around in a study by: its data, and what a browser makes of it."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, opened

from squareloss.pages import explorer as explore
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import read_runs

RESULTS = Path("results/tiny")

pytestmark = pytest.mark.workflow


def tables(finished):
    paths = (finished / RESULTS / "aggregate").glob("figure*.parquet")
    return {path.stem: read_runs(path, AGGREGATE) for path in paths}


def test_every_snapshot_of_every_run_is_there_once_with_its_experiments(finished):
    found = explore.snapshots(tables(finished))
    collapse = pd.read_parquet(finished / RESULTS / "metrics" / "collapse", partitioning=None)
    assert len(found) == len(collapse)
    key = ["init_scale", "replicate", "epoch"]
    both = found.merge(collapse, on=key, suffixes=("", "_there"))
    assert len(both) == len(found)
    np.testing.assert_array_equal(both["nc3"], both["nc3_there"])
    members = found.groupby("init_scale")["experiments"].agg(lambda names: {*names})
    assert members.to_dict() == {0.9: {"figure2 figure3 figure5"}, 1.3: {"figure3 figure5"}}
    assert sorted(found["snapshot"].unique()) == [0, 1, 2]
    for path in found["path"]:
        assert (finished / RESULTS / "runs" / path / "block=0" / "run.json").exists()


def test_quantiles_of_the_margins(finished):
    folder = finished / RESULTS / "metrics" / "margins"
    runs = [row.parent.relative_to(folder) for row in folder.rglob("block=0.parquet")]
    found = explore.quantiles(folder, sorted(map(str, runs)))
    margins = pd.read_parquet(folder, partitioning=None)
    assert len(found) == 2 * 3
    for row in found:
        scale = float(re.search(r"init=([^/]*)", row["path"])[1])
        rows = margins[(margins["replicate"] == 0) & (margins["init_scale"] == scale)]
        rows = rows[rows["epoch"] == row["epoch"]]
        expected = np.quantile(rows["margin"], np.linspace(0, 1, 21))
        np.testing.assert_allclose(row["q"], expected, rtol=1e-3)


def test_what_is_undefined_is_no_number_on_the_page():
    rows = pd.DataFrame({"a": [1.23456789, np.nan, np.inf], "b": [1, 2, 3]})
    assert explore.records(rows) == [{"a": 1.235, "b": 1}, {"b": 2}, {"b": 3}]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_filter_changes_the_marks(finished, tmp_path):
    page = finished / RESULTS / "explore.html"
    assert page.stat().st_size < 3e6
    assert "https://" not in re.sub(r"<script>.*", "", page.read_text(encoding="utf-8"), flags=re.S)

    def marks(hash_, width=1200):
        """The networks that the page says it shows, and the marks of its first two charts."""
        document = opened(f"{page}#{hash_}", tmp_path, width)
        _, points, courses, _ = re.split(r'<div id="(?:points|courses|margins)"', document)
        drawn = int(re.search(r'data-drawn="(\d+)"', document)[1])
        return drawn, points.count('aria-roledescription="point"'), document, courses

    drawn, points, document, courses = marks("experiment=figure3")
    assert drawn == points == 4  # two runs of two replicates
    assert courses.count('aria-roledescription="line mark"') == 4
    assert "test error against rho" in document
    assert "Failed" not in document
    drawn, points, document, _ = marks("experiment=figure3&words=init=1.3&replicate=0&yfield=nc3")
    assert drawn == points == 1
    assert "NC3 against rho" in document
    assert marks("experiment=figure2", width=360)[:2] == (2, 2)
    assert marks("experiment=figure3&snapshot=0&xfield=epoch")[:2] == (4, 4)
    assert marks("experiment=figure3&words=nothing-has-this")[:2] == (0, 0)


def test_text_of_the_study_cannot_leave_its_place():
    text = "</script><script>alert(1)</script>"
    page = explore.explore_page.page(title=text, scripts="", rows=[{"path": text}])
    assert "alert(1)</script>" not in page
    data = re.search(r'<script id="study" type="application/json">(.*?)</script>', page)[1]
    assert json.loads(data) == {"rows": [{"path": text}]}
