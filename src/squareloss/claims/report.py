"""The table of claims as a job: Parquet, a page in Markdown and HTML, lines for the terminal.

    python -m squareloss.claims.report --tables A.parquet ... --layers layers/A.parquet ... \
        --made-from TEXT --output PREFIX

A table is known by its file's name: the experiment, or that and "_layers". Writes PREFIX.parquet,
.md, .html and .txt.
"""

import importlib
import math
import textwrap
from collections.abc import Hashable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from squareloss import arguments
from squareloss.claims import SECTIONS
from squareloss.claims import page as html
from squareloss.claims.claim import CLAIMS
from squareloss.claims.verdict import FAMILY, fewest, judge, steady
from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.source import catalog
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.claims import CLAIMS as TABLE
from squareloss.tables.layers import LAYERS
from squareloss.tables.parts import read
from squareloss.tables.readable import in_markdown, markdown_table
from squareloss.tables.runs import read_runs
from squareloss.tables.small import SMALL

for section in SECTIONS:
    importlib.import_module(f"squareloss.{section}")
MARKS = {
    "supported": "✔",
    "contradicted": "✘",
    "not reproduced": "≠",
    "no such effect": "≈",
    "not decided": "?",
    "passed": "✔",
    "failed": "✘",
    "reported": "·",
}
# Verdicts on statements of the paper, and on what is proved, as their counts are printed.
KINDS = {
    "statements": (
        "supported",
        "contradicted",
        "not reproduced",
        "no such effect",
        "not decided",
    ),
    "checks of the implementation": ("passed", "failed", "not decided"),
    "numbers that are reported and not judged": ("reported", "not decided"),
}
HEAD = """{counts} {made_from}

A statement about *replicates* is tested over replicates: the median with its exact 95% interval,
and exact sign tests for it and against it, corrected by Holm's method over all tests of all claims,
whether this study could make them or not. It is supported only if it also lies further on the
claimed side than its *control*, which is what was measured without the mechanism that the paper
names. What the paper shows of a network of its own is *not reproduced*, and not
contradicted, by networks of another width or N, which the row names. Replicates share the data, so
this is what another training would give, not what other images would. A statement about *every*
network must hold in each case measured: the worst is shown, and what share of other cases so many
leave open. A *check* is proved, or arithmetic: it tests the implementation. A *number* is reported
and not judged. *Robust*: the verdict is the same with half and with twice a threshold that is ours;
a statement without this word has a threshold that the paper's words fix, mostly no difference.
*Earlier* is what was judged before, where it was not this. Every verdict is the same for a family
of {low} to {high} tests. What each measures, and why its threshold: docs/claims.md.
"""


def kinds(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The statements, the checks and the numbers, the undecided last."""
    check, number = (table["test"] == test for test in ("check", "number"))
    found = zip(KINDS, (table[~check & ~number], table[check], table[number]), strict=True)
    return {
        kind: rows.sort_values("verdict", key=lambda words: words == "not decided", kind="stable")
        for kind, rows in found
    }


def counts(table: pd.DataFrame) -> str:
    """How many claims of each kind have which verdict, in words."""
    parts = []
    for kind, rows in kinds(table).items():
        if rows.empty:  # a table from before there were numbers
            continue
        found = rows["verdict"].value_counts()
        words = [f"{found[word]} {word}" for word in KINDS[kind] if word in found]
        parts.append(f"{len(rows)} {kind}: {', '.join(words)}.")
    return " ".join(parts)


def measured(row: Mapping[Hashable, Any]) -> str:
    """Median over replicates with its interval where there is one, or the worst of all cases."""
    if math.isnan(row["median"]):
        return "n/a"
    if row["test"] in ("every", "check"):
        return f"{row['worst']:.3g} (worst)"
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
    return f"{row['median']:.3g}{interval}"


def unit(row: Mapping[Hashable, Any]) -> str:
    """What was counted."""
    return {"replicates": "replicates", "number": "values"}.get(row["test"], "cases")


def claimed(row: Mapping[Hashable, Any]) -> str:
    """The side of the threshold that is claimed; empty for a number."""
    return f"{row['side']} {row['threshold']:.10g}" if row["side"] else ""


def control(row: Mapping[Hashable, Any]) -> str:
    """Median of the control, or n/a if none is measured."""
    return "n/a" if math.isnan(row["control_median"]) else f"{row['control_median']:.3g}"


def p_value(row: Mapping[Hashable, Any], side: str) -> str:
    """p as tested, and after Holm's correction in brackets; empty where nothing was tested."""
    p, corrected = row[f"p_{side}"], row[f"holm_{side}"]
    return "" if math.isnan(p) else f"{p:.2g} ({corrected:.2g})"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table for people: one row a claim, numbers rounded. The page in HTML has the rest."""
    return pd.DataFrame(
        {
            "verdict": f"{MARKS[row['verdict']]} {row['verdict']}",
            "claim": f"{row['claim']} ({row['place']})",
            "statement": row["statement"],
            "median [95%], or worst": measured(row),
            "claimed": ", ".join(filter(None, [claimed(row), row["robust"]])),
            "control": control(row),
            "n": f"{row['measured']} {unit(row)}",
            "why": "; ".join(filter(None, [row["why"], row["reason"]])),
        }
        for row in table.to_dict("records")
    )


def markdown(table: pd.DataFrame, made_from: str) -> str:
    """The page in Markdown."""
    parts = [f"# The paper's statements, measured\n\n{head(table, in_markdown(made_from))}"]
    for kind, rows in kinds(table).items():
        text = readable(rows)
        body = markdown_table(list(text.columns), text.to_numpy().tolist())
        parts.append(f"## {kind.capitalize()}\n\n{body}")
    return "\n".join(parts)


def head(table: pd.DataFrame, made_from: str) -> str:
    """What comes before the tables: the counts, where the numbers come from, how to read them."""
    low, high = steady(CLAIMS, table)
    return HEAD.format(counts=counts(table), made_from=made_from, low=low, high=high)


def page(table: pd.DataFrame, made_from: str) -> str:
    """The page in HTML, for the report."""
    text = head(table, escape(made_from)).replace("*", "")
    paragraphs = "".join(f"<p>{part}</p>\n" for part in text.split("\n\n"))
    figures = catalog.figures()
    tables = ""
    for kind, rows in kinds(table).items():
        lines = []
        for row in rows.to_dict("records"):
            p_values = {side: p_value(row, side) for side in ("for", "against", "negligible")}
            lines.append(html.line(row, measured(row), p_values, figures))
        tables += html.table(kind.capitalize(), lines)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Claims</title>\n{html.STYLE}'
        f"<h1>The paper's statements, measured</h1>\n{paragraphs}"
        f"{html.controls(table.to_dict('records'))}{tables}{html.SCRIPT}"
    )


def plain(table: pd.DataFrame) -> str:
    """For a terminal: what was found, a line a claim; then how many are undecided, and why."""
    width = max(len(str(name)) for name in table["claim"])
    lines = []
    for kind, rows in kinds(table).items():
        lines.append(kind.capitalize())
        for row in rows[rows["verdict"] != "not decided"].to_dict("records"):
            mark = f"{MARKS[row['verdict']]} {row['verdict']:<14}"
            beside = f" (claimed {claimed(row)})" if row["side"] else ""
            lines.append(
                f"  {mark} {row['claim']:<{width}}  {measured(row)}{beside}, {row['place']}"
            )
        for why, undecided in rows[rows["verdict"] == "not decided"].groupby("why", sort=False):
            names = textwrap.indent(
                textwrap.fill(", ".join(undecided["claim"]), 94, break_on_hyphens=False), " " * 6
            )
            lines += [f"  ? not decided, {why}: {len(undecided)}", names]
        lines.append("")
    if advice := too_small(table):
        lines.append(advice)
    return "\n".join([*lines, counts(table)])


def too_small(table: pd.DataFrame) -> str:
    """What a newcomer should know of a study that is too small to decide; empty if it is not."""
    few = int((table["why"] == "too few replicates").sum())
    if not few:
        return ""
    least = fewest(FAMILY)
    return (
        f"This study is too small to decide {few} of the statements, which takes {least} replicates"
        " that agree, or more: config/long.yaml has 16.\n"
    )


def main() -> None:
    """Command line of the claims job."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--tables", nargs="+", required=True)
    parser.add_argument("--layers", nargs="*", default=[], help="all layers of the experiments")
    parser.add_argument(
        "--made-from",
        type=arguments.json_text,
        default='""',
        help="JSON text: data and size, for the page",
    )
    parser.add_argument("--output", required=True, help="prefix of the .parquet and .md")
    args = parser.parse_args()
    arguments.refuse_overwriting(
        [*args.tables, *args.layers],
        [f"{args.output}.{suffix}" for suffix in ("parquet", "md", "html", "txt")],
    )
    tables = {
        Path(path).stem: read([path], SMALL.get(Path(path).stem, AGGREGATE), whole=False)
        for path in args.tables
    }
    tables |= {f"{Path(path).stem}_layers": read_runs(path, LAYERS) for path in args.layers}
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
