"""The aggregation job: all scalars of an experiment in one table.

    python -m squareloss.aggregate --history P ... --collapse P ... --layers P ... --bounds P ... \
        --output P

One row a (run, replicate, epoch) of `history`, with the columns of `collapse`, the means of
`layers` over the layers before the last and the values of `bounds` beside it; these exist at the
snapshot epochs only and are NaN at the others. Columns, types and metadata are those of the schema
`AGGREGATE`.
"""

import argparse
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.tables.aggregate import AGGREGATE, AVERAGED, INPUT_COLUMNS
from squareloss.tables.parts import read
from squareloss.tables.schema import IDENTITY

KEYS = [column.name for column in IDENTITY]
INPUTS = [column.name for column in INPUT_COLUMNS]


def aggregate(
    history: pd.DataFrame, collapse: pd.DataFrame, layers: pd.DataFrame, bounds: pd.DataFrame
) -> pd.DataFrame:
    """Join the four tables on the identity columns; every row of `history` stays, once.

    Raises `KeyError` if the columns are not those of the schema.
    """
    values = bounds.pivot(index=[*KEYS, *INPUTS], columns="bound", values="value").reset_index()
    hidden = layers[layers["layer"] < layers["layer"].max()]
    averages = hidden.groupby(KEYS)[list(AVERAGED)].mean()
    # A network that diverged has no rank, though an integer column had to hold one.
    averages = averages.where(averages["effective_rank"].notna(), axis=0).reset_index()
    joined = history.merge(collapse, on=KEYS, how="left", validate="1:1")
    joined = joined.merge(averages, on=KEYS, how="left", validate="1:1")
    joined = joined.merge(values, on=KEYS, how="left", validate="1:1")
    names = AGGREGATE.schema().names
    if unmatched := set(joined.columns) ^ set(names):
        raise KeyError(f"aggregate: columns {sorted(unmatched)} do not match")
    return joined.sort_values(KEYS, ignore_index=True)[names]


def write(path: str | Path, table: pd.DataFrame) -> None:
    """Write the aggregated `table` with the types and the metadata of its schema."""
    schema = AGGREGATE.schema()
    # Not `Table.from_pandas`, which would store NaN as null, unlike the tables joined here.
    columns = [pa.array(table[field.name].to_numpy(), field.type) for field in schema]
    with whole(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)


def main() -> None:
    """Command line of the aggregation job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    inputs = ("history", "collapse", "layers", "bounds")
    for option in inputs:
        parser.add_argument(f"--{option}", nargs="+", required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    table = aggregate(*(read(getattr(args, name)) for name in inputs))
    write(args.output, table)
    print(f"{len(table)} rows of {table.groupby(KEYS[:-2]).ngroups} runs")


if __name__ == "__main__":
    run_stage(main)
