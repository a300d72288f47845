"""What a person sees of the page to explore a study by, in a browser whose window stays as it is.

The page is made of committed results: of sixteen replicates, and the margins of one run.
"""

import base64
import io
import itertools
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, driven

from squareloss.pages import explorer
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.runs import RUN, last_epoch, read_runs

REFERENCE = Path(__file__).parents[1] / "results/reference"
RHO = explorer.RHO
EXPERIMENTS = ("figure5", "figure8", "figure_normalization")
POINT = "recipe=cnn6/wd=0.001/init=0.9/noise=0/n=1000/batch=32/lr=0.03"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: the page is not opened"
)

# Every chart as it is seen now.
SEE = """
const see = what => found.push({what, shown: find("shown").textContent,
  scroll: document.documentElement.scrollWidth, inner: innerWidth,
  legend: find("legend").innerText, hash: location.hash,
  charts: ["points", "courses", "margins"].map(id => ({id, box: box(find(id)),
    missing: find(id).innerText.includes("Nothing to show") ? find(id).innerText : "",
    captions: [...find(id).querySelectorAll("figcaption")].map(c => c.textContent),
    panels: [...find(id).querySelectorAll("svg")].map(svg => ({box: box(svg),
      texts: [...svg.querySelectorAll("text")].map(t => ({text: t.textContent, ...box(t),
        opacity: t.getAttribute("opacity")})),
      marks: svg.querySelectorAll('[aria-roledescription="point"]').length,
      lines: svg.querySelectorAll('[aria-roledescription="line mark"]').length})) }))});
const find = id => document.getElementById(id);
const drawn = () => Number(document.body.dataset.turn || 0);
async function use(id, text) {
  const before = drawn(), control = find(id);
  if (control.type === "checkbox") control.checked = text; else control.value = text;
  control.dispatchEvent(new Event("input", {bubbles: true}));
  await until(() => drawn() > before);
  see(id + "=" + text);
}
await until(() => drawn() > 0);
"""
CHOICES = [
    ("xfield", "rho"), ("yfield", "margin_sd"), ("log", True), ("xfield", "epoch"),
    ("colour", "replicate"), ("panels", ""), ("replicate", "3"), ("replicate", ""),
    ("words", "init=0.9|init=1.3"), ("snapshot", 2), ("words", "nothing-has-this"), ("words", ""),
    ("log", False), ("yfield", "nc3_collapsed"), ("yfield", "eq16_eq12"), ("snapshot", 0),
    ("experiment", "figure_normalization"), ("snapshot", 7), ("panels", "recipe_name"),
    ("xfield", "inverse_rho_convolutions"), ("yfield", "difference_sd_convolutions"),
    ("experiment", "figure8"),
    ("experiment", ""),
]  # fmt: skip


def tables():
    """Committed aggregates, and one column without values."""
    found = {}
    for name in EXPERIMENTS:
        table = read_runs(REFERENCE / f"long/aggregate/{name}.parquet", AGGREGATE)
        found[name] = table.assign(nc3_collapsed=np.nan)
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    name = f"results/long/metrics/margins/{POINT}/block=0.parquet"
    with tarfile.open(REFERENCE / f"archive/long/{POINT}/block=0.tar.xz") as archive:
        archive.extract(name, folder, filter="data")
    path = folder / "explore.html"
    quantiles = explorer.quantiles
    with pytest.MonkeyPatch.context() as patch:
        # The job has the margins of every run; here lie those of one.
        patch.setattr(explorer, "quantiles", lambda margins, _: quantiles(margins, [POINT]))
        text = explorer.page(tables(), folder / "results/long/metrics/margins", "16 replicates")
    path.write_text(text, encoding="utf-8")
    return path


def framed(width):
    """Puts a page into another, as a report has it: as an address, of which browsers open 2 MiB."""

    def within(text):
        address = "data:text/html;base64," + base64.b64encode(text.encode()).decode()
        assert len(address) < 2**21
        shape = f"width: {width}px; height: 850px; border: 0"
        return f'<iframe style="{shape}" src="{address}"></iframe>'

    return within


def check_seen(views, width):
    """Each chart has a height that a page has, all its labels inside it, and none over another."""
    for view in views:
        assert view["inner"] == width
        assert view["scroll"] <= width, view["what"]  # nothing to scroll to sideways
        for chart in view["charts"]:
            assert bool(chart["missing"]) != bool(chart["panels"]), (view["what"], chart["id"])
            for panel in chart["panels"]:
                check_panel(panel, chart, view["what"])


def check_panel(panel, chart, what):
    outer, texts = panel["box"], panel["texts"]
    assert 200 <= outer["height"] <= 400, (what, chart["id"], outer)
    assert 250 <= outer["width"] <= chart["box"]["width"] + 1, (what, chart["id"], outer)
    seen = [text for text in texts if text["opacity"] != "0" and text["width"]]
    assert len(seen) >= 6, (what, chart["id"])  # two titles and two numbers an axis
    for text in seen:
        for low, high in (("left", "right"), ("top", "bottom")):
            inside = outer[low] - 1 <= text[low] and text[high] <= outer[high] + 1
            assert inside, (what, chart["id"], text)
    for one, other in itertools.combinations(seen, 2):
        apart = (
            one["right"] <= other["left"] + 1
            or other["right"] <= one["left"] + 1
            or one["bottom"] <= other["top"] + 4  # a box is higher than the digits in it
            or other["bottom"] <= one["top"] + 4
        )
        assert apart, (what, chart["id"], one, other)


@pytest.mark.parametrize("width", [1400, 390])
def test_each_chart_is_there_when_the_page_opens_and_after_each_control_is_used(
    page, tmp_path, width
):
    uses = "".join(
        f"await use({name!r}, {str(value).lower() if isinstance(value, bool) else repr(value)});"
        for name, value in CHOICES
    )
    # A window is at least 500 pixels wide.
    within = framed(width) if width < 500 else None
    views, console = driven(
        page, tmp_path, f"{SEE} see('opened'); {uses}", max(width, 500), within=within
    )
    assert console == []
    assert views[0]["what"] == "opened"
    assert len(views) == 1 + len(CHOICES)
    check_seen(views, width)
    by_name = {view["what"]: view for view in views}

    points, courses, margins = by_name["opened"]["charts"]
    assert points["captions"] == ["weight decay λ = 0.001", "weight decay λ = 0"]
    # Three starts of sixteen replicates a panel, and their medians.
    assert [panel["marks"] for panel in points["panels"]] == [3 * 16 + 3] * 2
    assert [panel["lines"] for panel in courses["panels"]] == [3 * 16 + 3] * 2
    assert len(margins["panels"]) == 1  # the one run whose margins the page has
    axes = {text["text"] for text in points["panels"][0]["texts"]}
    assert {f"1/{RHO}", "test accuracy (share)"} <= axes
    assert f"the paper's 1/{RHO}: 0.002" in by_name["opened"]["legend"]

    assert "the paper's sd of the margins: 0.0001" in by_name["yfield=margin_sd"]["legend"]
    authors = by_name["yfield=difference_sd_convolutions"]["legend"]
    assert f"the paper's 1/{RHO}, convolutions alone: 0.002" in authors
    assert "the paper's sd of f1 - f2, convolutions alone: 0.0001" in authors
    beside = by_name["panels=recipe_name"]["charts"][0]
    assert beside["captions"] == [f"recipe = {name}" for name in ("bn", "lm", "none", "wn")]
    assert {panel["marks"] for panel in beside["panels"]} == {16 + 1}
    nothing = by_name["words=nothing-has-this"]["charts"]
    assert "no run whose path has “nothing-has-this”" in nothing[0]["missing"]
    assert "recipe=cnn6/wd=" in nothing[0]["missing"]
    assert (
        "NC3 of least squares, if collapsed has no value"
        in by_name["yfield=nc3_collapsed"]["charts"][0]["missing"]
    )
    assert by_name["replicate=3"]["shown"].startswith("6 networks of 6 runs")
    assert by_name["words=init=0.9|init=1.3"]["shown"].startswith("64 networks of 4 runs")


def test_a_link_holds_the_choice(page, tmp_path):
    choose = "await use('yfield', 'nc1'); await use('words', 'init=1.3'); await use('log', true);"
    [*_, chosen], _ = driven(page, tmp_path, SEE + choose, 1400)
    again = f"location.hash = {chosen['hash']!r}; await sleep(100); see('again');"
    [seen], console = driven(page, tmp_path, SEE + again, 1400)
    assert console == []
    for key in ("shown", "legend", "hash"):
        assert seen[key] == chosen[key]
    assert [chart["captions"] for chart in seen["charts"]] == [
        chart["captions"] for chart in chosen["charts"]
    ]
    assert seen["charts"][0]["panels"][0]["marks"] == 16 + 1


def test_the_csv_is_what_is_shown(page, tmp_path):
    take = """
    await use('words', 'init=1.3');
    let blob; URL.createObjectURL = given => { blob = given; return "about:blank"; };
    HTMLAnchorElement.prototype.click = function () { found.push(this.download); };
    document.getElementById("csv").dispatchEvent(new Event("click"));
    found.push(await blob.text());
    """
    [_, name, text], console = driven(page, tmp_path, SEE + take, 1400)
    assert console == []
    assert name == "explore.csv"
    found = pd.read_csv(io.StringIO(text))
    table = tables()["figure5"]
    expected = table[(table["init_scale"] == 1.3) & table["stable_rank"].notna()]
    assert len(found) == len(expected)
    both = found.merge(expected, on=[*RUN, "replicate", "epoch"])
    assert len(both) == len(expected)
    np.testing.assert_allclose(both["inverse_rho"], 1 / both["rho"], rtol=1e-3)
    np.testing.assert_allclose(both["test_accuracy"], 1 - both["test_error"], rtol=1e-3)


def test_squares_are_medians(page, tmp_path):
    """The median that the page tells of each run, beside pandas'."""
    tell = """
    document.querySelectorAll('#points [aria-roledescription="point"]').forEach(mark =>
      found.push(mark.getAttribute("aria-label")));
    """
    labels, _ = driven(page, tmp_path, SEE + tell, 1400)
    told = [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]
    told = [one for one in told if f"median 1/{RHO}" in one]
    last = last_epoch(tables()["figure5"])
    expected = (1 / last["rho"]).groupby([last[name] for name in RUN]).median()
    found = sorted(float(one[f"median 1/{RHO}"]) for one in told)
    np.testing.assert_allclose(found, sorted(expected), rtol=2e-3)


def test_within_a_report_the_charts_are_seen(page, tmp_path):
    uses = f"{SEE} see('opened'); await use('log', true);"
    views, console = driven(page, tmp_path, uses, 1400, within=framed(1200))
    assert console == []
    assert len(views) == 2
    check_seen(views, 1200)
    assert all(chart["panels"] for view in views for chart in view["charts"])
