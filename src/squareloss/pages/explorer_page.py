"""The HTML of explore.html: controls, and what they do to the charts."""

import json
from html import escape
from typing import Any

STYLE = """
body {font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1em}
h1 {font-size: 1.3em; margin: 0} h2 {font-size: 1.05em; margin: 1.2em 0 .2em; clear: both}
p {margin: .3em 0; color: #444}
.controls {display: flex; flex-wrap: wrap; gap: .5em 1em; position: sticky; top: 0; z-index: 1;
  background: #fff; padding: .6em 0; border-bottom: 1px solid #bbb}
label {display: flex; flex-direction: column; font-size: .85em; color: #555}
select, input {font: inherit; font-size: 14px; color: #000; max-width: 46vw}
.chart {width: 100%}
"""
SCRIPT = """
const study = JSON.parse(document.getElementById("study").textContent);
const find = id => document.getElementById(id);
const value = id => find(id).value;
const name = field => study.measures[field] || field;
function options(id, fields, chosen) {
  for (const [field, label] of fields)
    find(id).add(new Option(label, field, false, field === chosen));
}
const measures = Object.entries(study.measures);
const settings = study.identity.map(field => [field, field.replaceAll("_", " ")]);
const experiments = [...new Set(study.rows.flatMap(row => row.experiments.split(" ")))].sort();
const replicates = [...new Set(study.rows.map(row => row.replicate))].sort((a, b) => a - b);
const last = Math.max(...study.rows.map(row => row.snapshot));
options("experiment", experiments.map(e => [e, e]));
options("xfield", [...measures, ...settings, ["epoch", "epoch"]], "rho");
options("yfield", measures, "test_error");
options("colour", [...settings, ["replicate", "replicate"]], "weight_decay");
options("replicate", [["", "all"], ...replicates.map(r => [r, r])]);
find("snapshot").max = find("snapshot").value = last;

function chosen(rows) {
  const words = value("words").toLowerCase().split(/\\s+/);
  return rows.filter(row => row.experiments.split(" ").includes(value("experiment"))
    && (value("replicate") === "" || row.replicate === Number(value("replicate")))
    && words.every(word => row.path.toLowerCase().includes(word)));
}
// A run that has fewer snapshots is shown at its last.
function at(rows, snapshot) {
  const best = new Map();
  for (const row of rows) {
    const run = row.path + " " + row.replicate, other = best.get(run);
    if (row.snapshot <= snapshot && (!other || row.snapshot > other.snapshot)) best.set(run, row);
  }
  return [...best.values()];
}
function draw(views) {
  const rows = chosen(study.rows), shown = at(rows, Number(value("snapshot")));
  const spread = new Map(study.quantiles.map(q => [q.path + " " + q.epoch, q.q]));
  const first = shown.filter(row => row.replicate === replicates[0]);
  const margins = first.flatMap(row => (spread.get(row.path + " " + row.epoch) || [])
    .map((margin, i) => ({...row, margin, level: study.levels[i]})));
  const epochs = shown.map(row => row.epoch);
  const span = epochs.length ? Math.min(...epochs) + " to " + Math.max(...epochs) : "none";
  find("epochs").textContent = new Set(epochs).size === 1 ? epochs[0] : span;
  find("shown").textContent = shown.length + " networks of " + new Set(shown.map(r => r.path)).size
    + " runs";
  find("points-title").textContent = name(value("yfield")) + " against " + name(value("xfield"));
  find("courses-title").textContent = name(value("yfield")) + " against the epoch";
  const data = {points: shown, courses: rows, margins};
  for (const [id, view] of Object.entries(views)) {
    for (const signal of ["xfield", "yfield", "colour"]) view.signal(signal, value(signal));
    view.signal("log", find("log").checked);
    view.data("rows", data[id]).runAsync().then(() => document.body.dataset.drawn = shown.length);
  }
}
const how = {mode: "vega-lite", actions: false, renderer: "svg"};
Promise.all(Object.entries(study.charts).map(([id, spec]) =>
  vegaEmbed("#" + id, {...spec, datasets: {rows: []}}, how)
    .then(result => [id, result.view])
)).then(pairs => {
  const views = Object.fromEntries(pairs);
  for (const control of document.querySelectorAll("select, input"))
    control.addEventListener("input", () => draw(views));
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const [id, text] of wanted)
    if (find(id)) find(id).type === "checkbox" ? find(id).checked = true : find(id).value = text;
  draw(views);
});
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Explore the study</title>
<style>{style}</style>
<h1>Explore the study</h1>
<p>{title}</p>
<div class="controls">
<label>experiment <select id="experiment"></select></label>
<label>x axis <select id="xfield"></select></label>
<label>y axis <select id="yfield"></select></label>
<label>colour <select id="colour"></select></label>
<label>replicate <select id="replicate"></select></label>
<label>runs whose path has <input id="words" placeholder="wd=0.001 init=0.9"></label>
<label>log axes <input id="log" type="checkbox"></label>
<label>snapshot <input id="snapshot" type="range" min="0"></label>
</div>
<p><span id="shown"></span>, epoch <span id="epochs"></span></p>
<h2 id="points-title"></h2>
<p>A point is a replicate of a run at the snapshot; hover for the run, the path of its files.</p>
<div id="points" class="chart"></div>
<h2 id="courses-title"></h2>
<p>A curve is a replicate of a run, at its snapshots.</p>
<div id="courses" class="chart"></div>
<h2>Distribution of the margins</h2>
<p>Share of the training samples below a margin, at the snapshot, in a run's first replicate.</p>
<div id="margins" class="chart"></div>
<script id="study" type="application/json">{study}</script>
<script>{scripts}</script>
<script>{script}</script>
</html>
"""


def page(title: str, scripts: str, **study: Any) -> str:
    """The page; `study` is what its script reads, `scripts` are Vega, Vega-Lite and Vega-Embed."""
    # No text of the user's may end the element that holds it.
    data = json.dumps(study, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"style": STYLE, "title": escape(title), "study": data, "script": SCRIPT}
    return PAGE.format(**parts, scripts=scripts)
