"""The page of claims in HTML: one file, which sorts and filters without a network.

A row a claim, with what the paper says. Its small plot has a dot for each replicate (or case), a
red line at the threshold, a shade on the claimed side, a bar over the interval of the median, and
an open diamond at the control's median, or at the edge on its side. What is measured, why the
threshold, and what decided are folded below it, with links to the figures of its experiments.
"""

import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

Row = Mapping[Hashable, Any]
WIDTH, HEIGHT, PAD = 220, 34, 8

STYLE = """<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 1em}
h1 {font-size: 1.4em} h2 {font-size: 1.15em; margin-top: 1.6em}
.controls {display: flex; flex-wrap: wrap; gap: .6em; position: sticky; top: 0; background: #fff;
  padding: .6em 0; border-bottom: 1px solid #bbb}
.controls input, .controls select {font: inherit; padding: .25em .4em; max-width: 100%}
table {border-collapse: collapse; width: 100%}
th {text-align: left; cursor: pointer; white-space: nowrap} th:hover {text-decoration: underline}
th, td {border-bottom: 1px solid #ddd; padding: .45em .6em; vertical-align: top}
code {font-size: .95em} small, .why {color: #555}
.verdict {font-weight: 600} .why {font-weight: 400}
.supported, .passed {color: #0a6b2f} .contradicted, .failed {color: #b3121a}
.no-such-effect, .not-reproduced {color: #6a4a00}
.not-decided, .reported {color: #555; font-weight: 400}
details {margin-top: .3em} summary {cursor: pointer; color: #0b57a4}
dl {margin: .3em 0 0} dt {font-weight: 600; float: left; clear: left; margin-right: .5em}
dd {margin: 0}
svg {display: block}
@media (max-width: 760px) {
  thead {display: none}
  tr, td {display: block; border: 0; padding: .1em 0}
  tr {border-bottom: 1px solid #ccc; padding: .6em 0}
  td:last-child::before {content: "n = "}
}
</style>
"""
SCRIPT = """<script>
const rows = [...document.querySelectorAll("tbody tr")];
const find = id => document.getElementById(id);
function filter() {
  const words = find("words").value.toLowerCase(), verdict = find("verdict").value;
  const why = find("why").value, place = find("place").value;
  let shown = 0;
  for (const row of rows) {
    const hit = row.textContent.toLowerCase().includes(words)
      && (!verdict || row.dataset.verdict === verdict) && (!why || row.dataset.why === why)
      && (!place || row.dataset.place === place);
    row.hidden = !hit;
    shown += hit;
  }
  find("shown").textContent = shown + " of " + rows.length + " shown";
}
for (const id of ["words", "verdict", "why", "place"]) find(id).addEventListener("input", filter);
for (const head of document.querySelectorAll("th[data-key]"))
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0], key = head.dataset.key;
    const down = head.dataset.down = head.dataset.down === "1" ? "" : "1";
    const value = row => isNaN(row.dataset[key]) || row.dataset[key] === ""
      ? row.dataset[key] : Number(row.dataset[key]);
    const order = (a, b) => value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0;
    const sorted = [...body.rows].sort((a, b) => down ? order(a, b) : order(b, a));
    body.append(...sorted);
  });
filter();
</script>
"""


def section(place: str) -> str:
    """The section of a place, or the place itself: "Section 3.5, Figure 3" -> "Section 3"."""
    first = re.split("[,;:]", place)[0]
    return first.split(".")[0] if first.startswith("Section") else first


def plot(row: Row) -> str:
    """The values of a claim as SVG; empty where there are none."""
    values = [value for value in json.loads(row["values"]) if value is not None]
    if not values:
        return ""
    threshold = row["threshold"]
    limits = {"within": [-threshold, threshold], "": []}.get(row["side"], [threshold])
    interval = [row["low"], row["high"]] if not math.isnan(row["low"]) else []
    control = [] if math.isnan(row["control_median"]) else [row["control_median"]]
    every = [*values, *limits, *interval]
    low, high = min(every), max(every)
    span = high - low or abs(high) or 1.0
    # A control that is far off stands at the edge, where it leaves the values their place.
    control = [min(max(value, low - span), high + span) for value in control]
    low, high = min([low, *control]), max([high, *control])
    span = high - low or abs(high) or 1.0

    def x(value: float) -> float:
        return round(PAD + (value - low) / span * (WIDTH - 2 * PAD), 1)

    claimed = {
        ">": lambda: (x(threshold), WIDTH),
        "<": lambda: (0, x(threshold)),
        "within": lambda: (x(-threshold), x(threshold)),
        "": lambda: (0, 0),
    }[row["side"]]()
    parts = [
        f'<rect x="{claimed[0]}" width="{claimed[1] - claimed[0]:.1f}" height="{HEIGHT}" '
        'fill="#e4f1e6"/>',
        *(
            f'<line x1="{x(limit)}" x2="{x(limit)}" y2="{HEIGHT}" stroke="#b3121a"/>'
            for limit in limits
        ),
    ]
    if interval:
        ends = f'x1="{x(interval[0])}" x2="{x(interval[1])}" y1="26" y2="26"'
        parts.append(f'<line {ends} stroke="#333" stroke-width="2"/>')
    parts.append(f'<path d="M{x(row["median"])} 21v10" stroke="#333" stroke-width="2"/>')
    parts += [
        f'<path d="M{x(value)} 22l5 5l-5 5l-5 -5z" fill="none" stroke="#9a5b00"/>'
        for value in control
    ]
    jitter = np.resize([11, 15, 7], len(values))  # equal values side by side
    parts += [
        f'<circle cx="{x(value)}" cy="{y}" r="3" fill="#0b57a4" fill-opacity=".5"/>'
        for value, y in zip(values, jitter, strict=True)
    ]
    label = f"{len(values)} values from {min(values):.3g} to {max(values):.3g}"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def folded(row: Row, p_values: Mapping[str, str], figures: Iterable[str]) -> str:
    """What is measured, the premise, the reasons and the figures, folded away."""
    links = ", ".join(
        f'<a href="../figures/{name}.png">{name}</a>'
        for name in row["tables"].split(", ")
        if name in figures
    )
    facts = {
        "measured": escape(row["quantity"]),
        "control": escape(row["control"]),
        "threshold" if row["side"] else "not judged": escape(row["because"]),
        "half or twice": escape(row["robust"]),
        "test": f"{row['test']}{', a limit' if row['limit'] else ''}",
        "p (Holm)": escape("; ".join(f"{k} {v}" for k, v in p_values.items() if v)),
        "found": escape(row["reason"]),
        "figures": links,
    }
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text)
    return f"<details><summary>definition</summary><dl>{items}</dl></details>"


def line(row: Row, measured: str, p_values: Mapping[str, str], figures: Iterable[str]) -> str:
    """One claim as a row of its table."""
    word = row["verdict"]
    size = abs(row["median"] - row["threshold"])
    size = -1.0 if math.isnan(size) else size
    data = {
        "verdict": word,
        "why": row["why"],
        "place": section(row["place"]),
        "claim": row["claim"],
        "measured": f"{size:.6g}",
        "n": row["measured"],
    }
    attributes = " ".join(f'data-{k}="{escape(str(v))}"' for k, v in data.items())
    why = f'<br><span class="why">{escape(row["why"])}</span>' if row["why"] else ""
    robust = f'<br><span class="why">{escape(row["robust"])}</span>' if row["robust"] else ""
    claimed = f", claimed {escape(row['side'])} {row['threshold']:g}" if row["side"] else ""
    control = row["control_median"]
    beside = "" if math.isnan(control) else f"<br>control {control:.3g}"
    return (
        f'<tr id="{row["claim"]}" {attributes}>'
        f'<td class="verdict {word.replace(" ", "-")}">{word}{why}{robust}</td>'
        f"<td><code>{row['claim']}</code><br><small>{escape(row['place'])}</small></td>"
        f"<td>{escape(row['statement'])}<br><small>The paper: {escape(row['says'])}</small>"
        f"{folded(row, p_values, figures)}</td>"
        f"<td>{plot(row)}<small>{escape(measured)}{claimed}{beside}</small></td>"
        f"<td>{row['measured']}</td></tr>\n"
    )


def choice(name: str, label: str, values: Iterable[str]) -> str:
    """A menu of the values that occur."""
    options = "".join(
        f'<option value="{escape(v)}">{escape(v)}</option>' for v in dict.fromkeys(values) if v
    )
    first = f'<option value="">{label}</option>'
    return f'<select id="{name}" aria-label="{label}">{first}{options}</select>'


def controls(rows: Sequence[Row]) -> str:
    """What filters the tables."""
    menus = [
        choice("verdict", "every verdict", (row["verdict"] for row in rows)),
        choice("why", "every reason", (row["why"] for row in rows)),
        choice("place", "every place", (section(row["place"]) for row in rows)),
    ]
    return (
        '<div class="controls"><input id="words" type="search" placeholder="search" '
        f'aria-label="search">{"".join(menus)}<span id="shown"></span></div>\n'
    )


def table(title: str, lines: Iterable[str]) -> str:
    """A table whose heads sort it."""
    heads = {
        "verdict": "verdict",
        "claim": "claim",
        "place": "statement",
        "measured": "measured",
        "n": "n",
    }
    head = "".join(f'<th data-key="{key}">{name}</th>' for key, name in heads.items())
    body = "".join(lines)
    return (
        f"<h2>{title}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"
    )
