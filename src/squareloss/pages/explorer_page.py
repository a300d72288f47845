"""The HTML of explore.html: its controls and places for its charts, with the data packed inside.

The data and the chart library are compressed. A report holds this page as an address, and browsers
open no address of more than two million letters.
"""

import base64
import gzip
import json
from html import escape
from typing import Any

from squareloss.pages.explorer_charts import CHARTS
from squareloss.pages.explorer_script import SCRIPT

STYLE = """
html {overflow-y: scroll}
body {font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1240px; padding: 1em;
  background: #fff; color: #222}
h1 {font-size: 1.3em; margin: 0} h2 {font-size: 1.1em; margin: 1.4em 0 .1em}
h2::first-letter {text-transform: uppercase}
p {margin: .2em 0; color: #444}
details {border: 1px solid #bbb; border-radius: 4px; padding: .35em .7em; margin: .6em 0}
summary {cursor: pointer; font-weight: 600}
.controls {display: flex; flex-wrap: wrap; gap: .5em 1em; padding: .5em 0}
label {display: flex; flex-direction: column; font-size: .85em; color: #555; min-width: 0}
select, input, button {font: inherit; font-size: 14px; color: #000; max-width: 26em}
label.experiment {flex-basis: 100%} label.experiment select {max-width: 100%}
.take {white-space: nowrap}
.charts {display: grid; gap: .6em 16px; min-height: 60px}
figure {margin: 0; min-width: 0} figure svg {max-width: 100%; height: auto}
figcaption {font-weight: 600; padding: .3em 0 0 3em}
#legend {display: flex; flex-wrap: wrap; gap: .1em 1em; color: #222; padding: .3em 0}
#legend i {display: inline-block; width: .8em; height: .8em; margin-right: .4em}
#legend i.paper {height: 0; width: 1.6em; vertical-align: middle; border-top: 2px dashed #444}
.missing {white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4; padding: 1em;
  border-left: 3px solid #999}
@media (max-width: 699px) {
  body {padding: .6em} .controls {display: grid; grid-template-columns: 1fr 1fr}
  .controls > * {width: 100%} label.experiment {grid-column: 1 / -1}
  select, input {max-width: 100%; width: 100%; box-sizing: border-box}
  input[type=checkbox] {width: auto; align-self: start}
}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Explore the study</title>
<style>{style}</style>
<h1>Explore the study</h1>
<p>{title}</p>
<details id="menu" open>
<summary id="chosen">Choose what is shown</summary>
<div class="controls">
<label class="experiment">experiment <select id="experiment"></select></label>
<label>x axis <select id="xfield"></select></label>
<label>y axis <select id="yfield"></select></label>
<label>colour <select id="colour"></select></label>
<label>panels <select id="panels"></select></label>
<label>replicate <select id="replicate"></select></label>
<label>only paths that have <input id="words" placeholder="wd=0.001 init=0.9|init=1.3"></label>
<label>snapshot <input id="snapshot" type="range" min="0"></label>
<label>log axes <input id="log" type="checkbox"></label>
</div>
</details>
<p><span id="shown">The charts need JavaScript.</span>
<span class="take"><a id="link" href="#">Link to this view</a>
<button id="csv" type="button">CSV</button></span></p>
<div id="legend"></div>
<h2 id="points-title"></h2>
<p>Squares: medians over the replicates of a run. Faint dots: the replicates.</p>
<div id="points" class="charts"></div>
<h2 id="courses-title"></h2>
<p>Thick: medians over the replicates of a run, at its snapshots. Faint: the replicates.</p>
<div id="courses" class="charts"></div>
<h2>Distribution of the margins</h2>
<p>Share of the training samples below a margin, at the snapshot, in a run's first replicate.</p>
<div id="margins" class="charts"></div>
<script id="study" type="text/plain">{study}</script>
<script id="scripts" type="text/plain">{scripts}</script>
<script>(() => {{{script}}})();</script>
</html>
"""


def packed(text: str) -> str:
    """A text compressed, in letters that no HTML takes for its own; the same text gives the same.

    The page unpacks it with the browser's own gzip.
    """
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def page(title: str, scripts: str, **study: Any) -> str:
    """The page; `study` is what its script reads, `scripts` are Vega, Vega-Lite and Vega-Embed."""
    return PAGE.format(
        style=STYLE,
        title=escape(title),
        study=packed(json.dumps(study, separators=(",", ":"), allow_nan=False)),
        scripts=packed(scripts),
        script=CHARTS + SCRIPT,
    )
