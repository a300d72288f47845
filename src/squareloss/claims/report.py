"""The table of claims as a job: Parquet, a page in Markdown and HTML, lines for the terminal.

    python -m squareloss.claims.report --tables A.parquet ... --layers layers/A.parquet ... \
        --made-from TEXT --output PREFIX

A table is known by its file's name: the experiment, or that and "_layers". Writes PREFIX.parquet,
.md, .html and .txt.
"""

import argparse
import importlib
import json
import math
from collections.abc import Hashable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from squareloss.claims import SECTIONS
from squareloss.claims.claim import CLAIMS, judge
from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.tables.claims import CLAIMS as TABLE
from squareloss.tables.parts import read

for section in SECTIONS:
    importlib.import_module(f"squareloss.{section}")

MARKS = {"supported": "✔", "contradicted": "✘", "not decided": "?"}
HEAD = """{counts} of {total} claims. {made_from}

A claim about *replicates* is tested over replicates: mean, 95% bootstrap interval (BCa) and exact
sign-flip tests for it and against it, corrected over all claims by Holm's method (in brackets).
Replicates share the data, so this is what another training would give, not what other images would.
A claim about *every* network must hold in each case measured: the worst is shown. What each
measures, and why its threshold: docs/claims.md.
"""
STYLE = """<style>body {font: 13px sans-serif; margin: 2em} table {border-collapse: collapse}
td, th {border-bottom: 1px solid #ccc; padding: 4px 8px; text-align: left; vertical-align: top}
</style>
"""


def counts(table: pd.DataFrame) -> str:
    """How many claims have which verdict, in words."""
    found = table["verdict"].value_counts()
    return ", ".join(f"{found.get(word, 0)} {word}" for word in MARKS)


def measured(row: Mapping[Hashable, Any]) -> str:
    """Mean over replicates with its interval where there is one, or the worst of all cases."""
    if math.isnan(row["mean"]):
        return "n/a"
    if row["test"] == "every":
        return f"{row['worst']:.3g} (worst)"
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
    return f"{row['mean']:.3g}{interval}"


def p_value(row: Mapping[Hashable, Any], side: str) -> str:
    """p as tested, and after Holm's correction in brackets; empty where nothing was tested."""
    p, corrected = row[f"p_{side}"], row[f"holm_{side}"]
    return "" if math.isnan(p) else f"{p:.2g} ({corrected:.2g})"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table for people: one row a claim, numbers rounded."""
    return pd.DataFrame(
        {
            "verdict": f"{MARKS[row['verdict']]} {row['verdict']}",
            "claim": row["claim"],
            "place": row["place"],
            "statement": row["statement"],
            "measured": row["quantity"],
            "mean [95%], or worst": measured(row),
            "claimed": f"{row['side']} {row['threshold']:g}",
            "n": f"{row['measured']} {'replicates' if row['test'] == 'replicates' else 'cases'}",
            "p for (Holm)": p_value(row, "for"),
            "p against (Holm)": p_value(row, "against"),
            "reason": row["reason"],
        }
        for row in table.to_dict("records")
    )


def markdown(table: pd.DataFrame, made_from: str) -> str:
    """The page in Markdown."""
    text = readable(table).map(lambda cell: cell.replace("|", "\\|"))
    rows = [list(text.columns), ["---"] * text.shape[1], *text.to_numpy().tolist()]
    head = HEAD.format(counts=counts(table), total=len(table), made_from=made_from)
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"# The paper's statements, measured\n\n{head}\n{lines}"


def page(table: pd.DataFrame, made_from: str) -> str:
    """The page in HTML, for the report."""
    head = HEAD.format(counts=counts(table), total=len(table), made_from=escape(made_from))
    paragraphs = "".join(f"<p>{part}</p>\n" for part in head.replace("*", "").split("\n\n"))
    return (
        f'<!doctype html><meta charset="utf-8"><title>Claims</title>\n{STYLE}'
        f"<h1>The paper's statements, measured</h1>\n{paragraphs}"
        + readable(table).to_html(index=False, border=0)
    )


def plain(table: pd.DataFrame) -> str:
    """The table for a terminal, a line a claim, with the counts below."""
    width = max(len(str(name)) for name in table["claim"])
    rows = [
        f"{MARKS[row['verdict']]} {row['verdict']:<12}  {row['claim']:<{width}}  {row['place']}:"
        f" {row['reason']}"
        for row in table.to_dict("records")
    ]
    return "\n".join([*rows, "", f"{counts(table)} of {len(table)} claims"])


def main() -> None:
    """Command line of the claims job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", required=True)
    parser.add_argument("--layers", nargs="*", default=[], help="all layers of the experiments")
    parser.add_argument(
        "--made-from", type=json.loads, default='""', help="JSON text: data and size, for the page"
    )
    parser.add_argument("--output", required=True, help="prefix of the .parquet and .md")
    args = parser.parse_args()
    tables = {Path(path).stem: read([path]) for path in args.tables}
    tables |= {f"{Path(path).stem}_layers": read([path]) for path in args.layers}
    table = judge(CLAIMS, tables)
    TABLE.write(f"{args.output}.parquet", table)
    texts = {
        "md": markdown(table, args.made_from),
        "html": page(table, args.made_from),
        "txt": plain(table) + "\n",
    }
    for suffix, text in texts.items():
        with whole(f"{args.output}.{suffix}") as path:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
