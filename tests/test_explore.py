"""The page to look around in a study by: its data, and what a browser makes of it."""

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, driven

from squareloss.figures import style
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


def test_the_page_has_the_colours_of_the_figures():
    assert [*explore.COLOURS] == style.SERIES


def test_what_is_undefined_is_no_number_on_the_page():
    rows = pd.DataFrame({"a": [1.23456789, np.nan, np.inf], "b": [1, 2, 3]})
    assert explore.columns(rows) == {"a": [1.235, None, None], "b": [1, 2, 3]}


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not opened")
def test_a_link_chooses_the_marks(finished, tmp_path):
    page = finished / RESULTS / "explore.html"
    assert page.stat().st_size < 1e6
    assert "https://" not in re.sub(r"<script.*", "", page.read_text(encoding="utf-8"), flags=re.S)
    links = [
        "experiment=figure3",
        "experiment=figure3&words=init=1.3&replicate=0&yfield=nc3",
        "experiment=figure2",
        "experiment=figure3&snapshot=0&xfield=epoch",
        "experiment=figure3&words=nothing-has-this",
    ]
    open_each = """
    const marks = (id, role) => document.querySelectorAll(
      `#${id} [aria-roledescription="${role}"]`).length;
    const drawn = () => Number(document.body.dataset.turn || 0);
    await until(() => drawn() > 0);
    for (const link of LINKS) {
      const before = drawn();
      location.hash = link;
      await until(() => drawn() > before);
      found.push([Number(document.body.dataset.drawn), marks("points", "point"),
        marks("courses", "line mark"), document.getElementById("points-title").textContent]);
    }
    """.replace("LINKS", json.dumps(links))
    seen, console = driven(page, tmp_path, open_each)
    assert console == []
    # Two runs of two replicates, each with its median.
    assert seen[0] == [4, 4 + 2, 4 + 2, f"test accuracy (share) against 1/{explore.RHO}"]
    assert seen[1] == [1, 1 + 1, 1 + 1, f"NC3 against 1/{explore.RHO}"]
    assert seen[2][:3] == [2, 2 + 1, 2 + 1]
    assert seen[3][:2] == [4, 4 + 2]
    assert seen[4][:3] == [0, 0, 0]


def test_text_of_the_study_cannot_leave_its_place():
    text = "</script><script>alert(1)</script>"
    page = explore.explorer_page.page(title=text, scripts=text, rows={"path": [text]})
    assert "alert(1)</script>" not in page
    packed = dict(re.findall(r'<script id="(\w+)" type="text/plain">([\w+/=]*)</script>', page))
    unpacked = {name: gzip.decompress(base64.b64decode(data)) for name, data in packed.items()}
    assert json.loads(unpacked["study"]) == {"rows": {"path": [text]}}
    assert unpacked["scripts"].decode() == text
