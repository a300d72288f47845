"""docs/tables.md from the schemas: `python -m squareloss.tables.document > docs/tables.md`."""

from collections.abc import Sequence

from squareloss.tables.aggregate import (
    AGGREGATE,
    BOUND_COLUMNS,
    LAYER_COLUMNS,
    RECIPE_COLUMNS,
    SPREAD,
)
from squareloss.tables.claims import CLAIMS
from squareloss.tables.history import HISTORY
from squareloss.tables.landscape import LANDSCAPE
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS, METRICS
from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import IDENTITY, Column, Table
from squareloss.tables.small import AMPLE, FLOW, MINIBATCH, SETTLED, TREE

TABLES = (HISTORY, *METRICS, LANDSCAPE)

HEADING = """# Tables

Generated from the schemas: `python -m squareloss.tables.document > docs/tables.md`.

All tables are Parquet files, long and tidy, below `results/<study>/`. Each column carries its unit,
meaning and equation as metadata, too (`pyarrow.parquet.read_schema(path).field("rho").metadata`).
Unit 1 is a pure number. NaN is a value that is undefined, or that of a run that diverged. Equation
numbers are the paper's; [errata.md](errata.md) says where we read one differently.

In the paths, `<point>` stands for
`recipe=<r>/wd=<wd>/init=<s>/noise=<r>/n=<N>/batch=<B>/lr=<lr>` and `<b>` for the number of a block
of replicates. Keys of the paths are for people; the same facts are typed columns under long names:

## Columns of every table
"""

AGGREGATE_HEADING = f"""## `{AGGREGATE.name}`

One row is {AGGREGATE.row}.

Files: `{AGGREGATE.name}/<figure>.parquet`, one for each figure that is drawn from runs. Beside it,
`{AGGREGATE.name}/layers/<figure>.parquet` has all rows of
[`{LAYERS.name}`](#{LAYERS.name}) of the same runs.

The columns of [`{HISTORY.name}`](#{HISTORY.name}), joined with those of
[`{COLLAPSE.name}`](#{COLLAPSE.name}) and, from [`{LAYERS.name}`](#{LAYERS.name}) and
[`{BOUNDS.name}`](#{BOUNDS.name}), with the columns below. What is computed from
snapshots is NaN at the epochs that have none.
"""

PLAIN_HEADING = """# Tables that are not of the study's runs

They have no columns but their own.

"""


def escaped(text: str) -> str:
    """`text` for a cell of a Markdown table: | would end the cell, < may open a tag."""
    return text.replace("|", "\\|").replace("<", "\\<")


def columns_section(columns: Sequence[Column]) -> str:
    """A Markdown table with one row a column, and a blank line around it."""
    rows = [
        f"| `{column.name}` | {column.type} | {column.unit} |"
        f" {escaped(column.meaning)} | {column.equation} |"
        for column in columns
    ]
    head = ["| column | type | unit | meaning | equation |", "|---|---|---|---|---|"]
    return "\n".join(["", *head, *rows, "", ""])


def table_section(table: Table) -> str:
    """Heading, what one row is, where the files lie, and the table's own columns."""
    return (
        f"## `{table.name}`\n\nOne row is {escaped(table.row)}.\n\n"
        f"Files: `metrics/{table.name}/<point>/block=<b>.parquet`\n"
        + columns_section(table.columns)
    )


def plain_section(table: PlainTable) -> str:
    """The same of a table that is not of the study's runs."""
    return (
        f"## `{table.name}`\n\nOne row is {escaped(table.row)}.\n\nFile: `{table.path}`\n"
        + columns_section(table.columns)
    )


def document() -> str:
    """The whole page."""
    sections = [
        HEADING + columns_section(IDENTITY),
        *(table_section(table) for table in TABLES),
        AGGREGATE_HEADING
        + columns_section((*RECIPE_COLUMNS, SPREAD, *LAYER_COLUMNS, *BOUND_COLUMNS)),
        PLAIN_HEADING,
        *(plain_section(table) for table in (FLOW, MINIBATCH, TREE, AMPLE, SETTLED, CLAIMS)),
    ]
    return "".join(sections).rstrip("\n") + "\n"


if __name__ == "__main__":
    print(document(), end="")
