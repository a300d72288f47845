"""docs/tables.md from the schemas: `python -m squareloss.tables.document > docs/tables.md`."""

from collections.abc import Sequence

from squareloss.tables.aggregate import (
    AGGREGATE,
    BOUND_COLUMNS,
    CONVOLUTION_COLUMNS,
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

This page is generated from the schemas by `make docs`. [query.md](query.md) shows how to read the
tables in pandas, polars and DuckDB.

All tables are long and tidy Parquet files below `results/<study>/`. Each column carries its unit,
meaning and equation as metadata (`pyarrow.parquet.read_schema(path).field("rho").metadata`).

- **Unit** 1 is a pure number. **Equation** is the paper's number; [errata.md](errata.md) says where
  we read one differently.
- **NaN** is an undefined value, or a run that diverged. Integers and booleans have no NaN: ranks
  are 0 then, and `applies` is false.
- mu, M and the margins are those of the training images, with the labels trained on.
- With batch norm `rho` is the last layer's norm times |rho_top|.
- `lambda_eff` is lambda as it acts on rho^2. With `weight_decay_on: weights` lambda acts on every
  weight, and `lambda_eff` is what it would be on `rho_top`.
- With `init_scale_on: rho_top` or `layer_norms: unit` the scale multiplies `rho_top` alone.
- At epoch 0 `current_lr` is the initial rate.

In paths `<point>` stands for
`recipe=<r>/wd=<wd>/init=<s>/noise=<r>/n=<N>/batch=<B>/lr=<lr>` and `<b>` for the number of a block
of replicates. The keys of a path are for people. The columns below repeat them with types.

## Columns of every table
"""

AGGREGATE_HEADING = f"""## `{AGGREGATE.name}`

One row is {AGGREGATE.row}.

Files: `{AGGREGATE.name}/<figure>.parquet`, one for each figure that is drawn from runs. All rows of
[`{LAYERS.name}`](#{LAYERS.name}) of the same runs are in
`{AGGREGATE.name}/layers/<figure>.parquet`. A run that several figures show stands in the table of
each, so that `{AGGREGATE.name}/*.parquet` together has its rows several times.

The table has all columns of [`{HISTORY.name}`](#{HISTORY.name}) and
[`{COLLAPSE.name}`](#{COLLAPSE.name}), and the columns below, most of them from
[`{LAYERS.name}`](#{LAYERS.name}) and [`{BOUNDS.name}`](#{BOUNDS.name}). What is computed from
snapshots is NaN at epochs without one. Bounds are given for every network, also where they do not
apply: see `applies` of `{BOUNDS.name}`.
"""

PLAIN_HEADING = """## Small problems and claims

These tables are not of the study's runs and have no columns but their own.

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
        f"### `{table.name}`\n\nOne row is {escaped(table.row)}.\n\nFile: `{table.path}`\n"
        + columns_section(table.columns)
    )


def document() -> str:
    """The whole page."""
    sections = [
        HEADING + columns_section(IDENTITY),
        *(table_section(table) for table in TABLES),
        AGGREGATE_HEADING
        + columns_section(
            (*RECIPE_COLUMNS, SPREAD, *LAYER_COLUMNS, *BOUND_COLUMNS, *CONVOLUTION_COLUMNS)
        ),
        PLAIN_HEADING,
        *(plain_section(table) for table in (FLOW, MINIBATCH, TREE, AMPLE, SETTLED, CLAIMS)),
    ]
    return "".join(sections).rstrip("\n") + "\n"


if __name__ == "__main__":
    print(document(), end="")
