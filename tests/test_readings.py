"""docs/readings.md against the runs that it is about, which are kept without their weights."""

import io
import re
import tarfile

import pandas as pd
import pytest
from workflow_copy import ROOT

from squareloss.figures.hits import HITS, gap, readings
from squareloss.tables.runs import last_epoch

ARCHIVE = ROOT / "results" / "reference" / "archive" / "readings"
PAGE = (ROOT / "docs" / "readings.md").read_text(encoding="utf-8")
RECIPES = {
    "L2 norm 1": "initial-L2-rho",
    "L2 norm 1, scale on rho_top": "initial-L2-rho-top",
    "standardised": "initial-standardized-rho",
    "standardised, scale on rho_top": "initial-standardized-rho-top",
}


@pytest.fixture(scope="module")
def runs():
    """The `history` of every run in the archive."""
    found = []
    for path in sorted(ARCHIVE.rglob("block=0.tar.xz")):
        with tarfile.open(path) as archive:
            [name] = [n for n in archive.getnames() if re.search(r"/history/.*\.parquet$", n)]
            found.append(pd.read_parquet(io.BytesIO(archive.extractfile(name).read())))
    table = pd.concat(found)
    # At scale 1 it is the same where the scale is.
    same = table[(table["recipe_name"] == "initial-standardized-rho") & (table["init_scale"] == 1)]
    table = pd.concat([table, same.assign(recipe_name="initial-standardized-rho-top")])
    return table.assign(test_accuracy=1 - table["test_error"])


def rows(heading):
    """The cells of the table of the page that has this heading row's beginning."""
    _, _, text = PAGE.partition(heading)
    lines = text.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_what_is_bold_is_met(runs):
    found = {reading.name: reading for reading in readings(runs)}
    columns = [found[recipe] for recipe in RECIPES.values()]
    *tests, counts = rows("| statement (test) |")
    assert len(tests) == len(HITS)
    for hit, (_, _, *cells) in zip(HITS, tests, strict=True):
        for cell, reading in zip(cells, columns, strict=True):
            assert (cell.startswith("**")) == hit.of(reading), (hit.name, reading.name)
            if re.fullmatch(r"[\d.e*-]+", cell):
                value = hit.value(reading) * (-1 if hit.name == "slope" else 1)
                assert float(cell.strip("*")) == pytest.approx(value, rel=0.06), hit.name
    met = [sum(bool(hit.of(reading)) for hit in HITS) for reading in columns]
    assert [int(cell.strip("*")) for cell in counts[2:]] == met


def test_the_ends_are_those_of_the_runs(runs):
    last = last_epoch(runs)
    last = last.assign(gap=gap(last))
    lines = rows("| images | lambda | scale |")
    assert len(lines) == len(list(ARCHIVE.rglob("block=0.tar.xz")))
    names = ["train_error", "gap", "rho", "mean_margin", "margin_sd", "test_error"]
    for images, decay, scale, *cells in lines:
        run = (last["recipe_name"] == RECIPES[images]) & (last["init_scale"] == float(scale))
        medians = last[run & (last["weight_decay"] == float(decay))][names].median()
        for name, cell in zip(names, cells, strict=True):
            assert float(cell.replace(",", "")) == pytest.approx(medians[name], rel=0.06), name
