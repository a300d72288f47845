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

HEADING = '''# Tables

Generated from the schemas: `python -m squareloss.tables.document > docs/tables.md`.

All tables are Parquet files, long and tidy, below `results/<study>/`. Each column carries its unit,
meaning and equation as metadata, too (`pyarrow.parquet.read_schema(path).field("rho").metadata`).
Unit 1 is a pure number. NaN is a value that is undefined, or that of a run that diverged; integers
and booleans have no NaN, so that ranks are 0 then and `applies` is false. Equation numbers are the
paper's; [errata.md](errata.md) says where we read one differently.

mu, M and the margins are those of the training images, with the labels trained on. Some columns
say what holds of weight norm with lambda on `rho_top`, as the paper has it. With batch norm `rho`
is the last layer's norm alone. Where a recipe says `weight_decay_on: weights`, lambda acts on every
weight, and `lambda_eff` is what it would be on `rho_top`. With `init_scale_on: rho_top` or
`layer_norms: unit` the scale multiplies `rho_top` alone. At epoch 0 `current_lr` is the initial
rate.

In the paths, `<point>` stands for
`recipe=<r>/wd=<wd>/init=<s>/noise=<r>/n=<N>/batch=<B>/lr=<lr>` and `<b>` for the number of a block
of replicates. Keys of the paths are for people; the same facts are typed columns under long names.

## Reading them

A folder of parts is one table, in any library that reads Parquet. The keys in the paths repeat
typed columns, and libraries guess their types differently (DuckDB reads `wd=0.001` as text): leave
them aside. A folder keeps what an earlier config asked for until `make prune`, so prune first, or
list the files by `squareloss.study.plan.parts` as the README does. How far from interpolation do
runs end?

With pandas:

```python
import pandas as pd

history = pd.read_parquet("results/demo/metrics/history", partitioning=None)
last = history[history["epoch"] == history.groupby("recipe_name")["epoch"].transform("max")]
gap = (1 - last["rho"] * last["mu"]).abs()
print(gap.groupby([last["recipe_name"], last["weight_decay"]]).median())
```

With polars, which reads what the answer needs and no more:

```python
import polars as pl

history = pl.scan_parquet("results/demo/metrics/history/**/*.parquet", hive_partitioning=False)
last = history.filter(pl.col("epoch") == pl.col("epoch").max().over("recipe_name"))
gap = (1 - pl.col("rho") * pl.col("mu")).abs().median()
print(last.group_by("recipe_name", "weight_decay").agg(gap.alias("gap")).sort("gap").collect())
```

With DuckDB, in SQL:

```python
import duckdb

print(
    duckdb.sql("""
        select recipe_name, weight_decay, median(gap) as gap
        from (
            select *, abs(1 - rho * mu) as gap from read_parquet(
                'results/demo/metrics/history/**/*.parquet', hive_partitioning = false
            )
            qualify epoch = max(epoch) over (partition by recipe_name)
        )
        group by all order by gap
    """)
)
```

## Columns of every table
'''

AGGREGATE_HEADING = f"""## `{AGGREGATE.name}`

One row is {AGGREGATE.row}.

Files: `{AGGREGATE.name}/<figure>.parquet`, one for each figure that is drawn from runs. Beside it,
`{AGGREGATE.name}/layers/<figure>.parquet` has all rows of
[`{LAYERS.name}`](#{LAYERS.name}) of the same runs.

The columns of [`{HISTORY.name}`](#{HISTORY.name}), joined with those of
[`{COLLAPSE.name}`](#{COLLAPSE.name}) and, from [`{LAYERS.name}`](#{LAYERS.name}) and
[`{BOUNDS.name}`](#{BOUNDS.name}), with the columns below. What is computed from
snapshots is NaN at the epochs that have none. Bounds are given for every network, also for one that
has not fitted its images or has batch norm: `{BOUNDS.name}` says which by `applies`.
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
        + columns_section(
            (*RECIPE_COLUMNS, SPREAD, *LAYER_COLUMNS, *BOUND_COLUMNS, *CONVOLUTION_COLUMNS)
        ),
        PLAIN_HEADING,
        *(plain_section(table) for table in (FLOW, MINIBATCH, TREE, AMPLE, SETTLED, CLAIMS)),
    ]
    return "".join(sections).rstrip("\n") + "\n"


if __name__ == "__main__":
    print(document(), end="")
