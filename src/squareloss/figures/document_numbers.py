"""Numbers in documents, renewed from the committed tables.

    python -m squareloss.figures.document_numbers [--results results/reference] DOCUMENT.md ...

A document names what a number is in comments, which readers do not see; what stands between them is
renewed, and everything else is left alone:

    rho ends at <!--= median long/figure8 rho -->483<!--=-->.

What can be asked for, of tables below `results/reference/<study>/`:

- `median STUDY/FIGURE COLUMN [COLUMN=VALUE ...]`: of `aggregate/FIGURE.parquet` the last epoch's
  median over the replicates of the one run with these settings.
- `interval ...`: the same, with the median's exact 95% interval in brackets (six replicates or
  more), or the single value.
- `runs STUDY/FIGURE COLUMN ...`: a table with a row a run, each cell an `interval`.
- `hits STUDY/FIGURE`: which of the paper's statements each reading meets, in bold.
- `printed STUDY RECIPE`: every number that the paper prints, beside ours: of a recipe's runs in
  `figure_numbers`, and of Figure 7's.
- `claim STUDY CLAIM`: what was measured of a claim, of `claims/claims.parquet`, with its interval.
- `middle STUDY CLAIM`: the same without the interval, the median alone.
- `verdicts STUDY TABLE ...`: a table of the verdicts that rest on these tables of measurements.
- `counts STUDY`: how many statements and checks have which verdict.
- `statements STUDY`: the same of the statements alone.
"""

import inspect
import math
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from squareloss import arguments
from squareloss.claims.report import MARKS, claimed, control, counts, measured
from squareloss.claims.statistics import median_interval
from squareloss.errors import UserError, run_stage
from squareloss.figures import printed_numbers
from squareloss.figures.reading_statements import HITS, readings
from squareloss.files import whole
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.readable import markdown_table, number
from squareloss.tables.runs import RUN, last_epoch, read_runs

# No other comment stands between the two: one that nothing closes would take all up to the next.
MARKED = re.compile(r"(<!--= (?P<query>[^\n]*?) -->)(?:(?!<!--=).)*(<!--=-->)", re.DOTALL)
STRAY = re.compile(r"<!--=.*?-->")
# Markdown takes a line that begins with a comment for HTML, and ends the paragraph before it.
LEADING = re.compile(r"^<!--=.*?-->.+$", re.MULTILINE)


def spread(values: pd.Series) -> str:
    """Median and its exact 95% interval, that from six values on; NaN is left out."""
    present = values.dropna()
    low, high = median_interval(present.to_numpy())
    middle = number(present.median())
    return middle if math.isnan(low) else f"{middle} ({number(low)} to {number(high)})"


def ends(results: Path, place: str, *columns: str) -> pd.DataFrame:
    """The last epoch of each run of STUDY/FIGURE, which has these columns."""
    study, _, figure = place.partition("/")
    table = last_epoch(read_runs(results / study / "aggregate" / f"{figure}.parquet", AGGREGATE))
    if unknown := set(columns) - {*table}:
        raise UserError(f"no column {', '.join(sorted(unknown))}")
    return table


def values(results: Path, place: str, column: str, *words: str) -> pd.Series:
    """The last epoch's values of a column, of the one run with the settings in `words`.

    Raises `UserError` for a word that is not like init_scale=0.9, and unless one run has them all.
    """
    table = ends(results, place, column)
    for word in words:
        setting, _, value = word.partition("=")
        if setting not in RUN or not value:
            raise UserError(f"{word}: not a setting of a run, such as init_scale=0.9")
        numeric = pd.api.types.is_numeric_dtype(table[setting])
        table = table[table[setting] == (float(value) if numeric else value)]
    if (found := table.groupby(RUN).ngroups) != 1:
        raise UserError(f"{found} runs, not one")
    return table[column]


def median(results: Path, place: str, column: str, *words: str) -> str:
    """The median over replicates."""
    return number(values(results, place, column, *words).median())


def interval(results: Path, place: str, column: str, *words: str) -> str:
    """The median over replicates and its interval."""
    return spread(values(results, place, column, *words))


def runs(results: Path, place: str, *columns: str) -> str:
    """A row a run: the settings in which runs differ, how many replicates fit, the columns."""
    last = ends(results, place, *columns)
    varied = [name for name in RUN if last[name].nunique() > 1] or ["recipe_name"]
    rows = []
    for settings, run in last.groupby(varied):
        named = [value if isinstance(value, str) else f"{value:,g}" for value in settings]
        fitted = f"{(run['train_error'] == 0).sum()} of {len(run)}"
        rows.append([*named, fitted, *(spread(run[column]) for column in columns)])
    return f"\n\n{markdown_table([*varied, 'fitted', *columns], rows)}\n"


def hits(results: Path, place: str) -> str:
    """A row a test of `reading_statements`, a column a reading: what it measures, bold if met."""
    found = readings(ends(results, place))
    passed = [[hit.of(reading) is True for reading in found] for hit in HITS]
    rows = []
    for hit, marks in zip(HITS, passed, strict=True):
        cells = [number(hit.value(reading)) for reading in found]
        bold = [f"**{cell}**" if mark else cell for cell, mark in zip(cells, marks, strict=True)]
        rows.append([hit.name, hit.paper, *bold])
    met = [str(sum(marks)) for marks in zip(*passed, strict=True)]
    head = ["test", "the paper", *(reading.name for reading in found)]
    return f"\n\n{markdown_table(head, [*rows, [f'met, of {len(HITS)}', '', *met]])}\n"


def printed(results: Path, study: str, recipe: str) -> str:
    """The paper's numbers beside those of a recipe's runs, and of Figure 7's."""
    table = ends(results, f"{study}/figure_numbers", "rho_convolutions")
    if recipe not in set(table["recipe_name"]):
        raise UserError(f"no recipe {recipe}")
    figure7 = ends(results, f"{study}/figure7", "eq16_printed_convolutions")
    return f"\n\n{printed_numbers.printed(table, figure7, recipe)}\n"


def claims(results: Path, study: str) -> pd.DataFrame:
    """The table of claims of a study."""
    return pd.read_parquet(results / study / "claims" / "claims.parquet")


def claim_row(results: Path, study: str, name: str) -> dict[Hashable, Any]:
    """The row of a claim."""
    rows = claims(results, study).set_index("claim").filter([name], axis=0).to_dict("records")
    if not rows:
        raise UserError(f"no claim {name}")
    return rows[0]


def claim(results: Path, study: str, name: str) -> str:
    """What was measured of a claim."""
    return measured(claim_row(results, study, name))


def middle(results: Path, study: str, name: str) -> str:
    """The median that was measured of a claim."""
    return number(claim_row(results, study, name)["median"])


def verdicts(results: Path, study: str, *tables: str) -> str:
    """The verdicts on claims that read one of these tables, and no check."""
    rows = [
        [
            f"`{row['claim']}`",
            row["place"],
            row["statement"],
            f"{measured(row)}{f', claimed {claimed(row)}' if row['side'] else ''}",
            control(row),
            f"{MARKS[row['verdict']]} {row['why'] or row['verdict']}",
        ]
        for row in claims(results, study).to_dict("records")
        if row["test"] != "check" and {*tables} & {*row["tables"].split(", ")}
    ]
    head = ["claim", "place", "statement", "measured", "control", "verdict"]
    return f"\n\n{markdown_table(head, rows)}\n"


def summary(results: Path, study: str) -> str:
    """The counts of the verdicts."""
    return counts(claims(results, study))


def statements(results: Path, study: str) -> str:
    """The counts of the verdicts on statements, the first sentence of `counts`."""
    return summary(results, study).partition(". ")[0] + "."


QUERIES: dict[str, Callable[..., str]] = {
    "median": median,
    "interval": interval,
    "runs": runs,
    "hits": hits,
    "printed": printed,
    "claim": claim,
    "middle": middle,
    "verdicts": verdicts,
    "counts": summary,
    "statements": statements,
}


def answer(query: str, results: Path) -> str:
    """What a query asks for. Raises `UserError` for one that cannot be answered."""
    name, *words = query.split()
    if name not in QUERIES:
        raise UserError(f"{name}: none of {', '.join(QUERIES)}")
    try:
        inspect.signature(QUERIES[name]).bind(results, *words)
    except TypeError as error:
        raise UserError(str(error)) from None
    return QUERIES[name](results, *words)


def renewed(text: str, results: Path) -> str:
    """The document with every marked place renewed.

    Raises `UserError` for a query that cannot be answered, for a comment that nothing closes, and
    for one that begins a line with text.
    """

    def place(match: re.Match[str]) -> str:
        try:
            return match[1] + answer(match["query"], results) + match[3]
        except (UserError, OSError, ValueError) as error:
            raise UserError(f"{match['query']}: {error}") from None

    if stray := STRAY.search(MARKED.sub("", text)):
        raise UserError(f"{stray[0]}: a comment without its partner")
    if leading := LEADING.search(text):
        raise UserError(f"{leading[0]}: begins a line, which Markdown would take for HTML")
    return MARKED.sub(place, text)


def main() -> None:
    """Renew documents in place; all or, where one cannot be renewed, none."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/reference"))
    parser.add_argument("documents", type=Path, nargs="+")
    args = parser.parse_args()
    texts = {}
    for path in args.documents:
        try:
            texts[path] = renewed(path.read_text(encoding="utf-8"), args.results)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    for path, text in texts.items():
        with whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
