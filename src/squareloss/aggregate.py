"""The aggregation job: all scalars of an experiment in one table.

    python -m squareloss.aggregate --history P ... --collapse P ... --bounds P ... --output P

One row a (run, replicate, epoch) of `history`, with the columns of `collapse` and the values of
`bounds` beside it; these exist at the snapshot epochs only and are NaN at the others.
"""

import argparse

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.errors import run_stage
from squareloss.files import whole
from squareloss.tables.parts import read
from squareloss.tables.schema import IDENTITY

KEYS = [column.name for column in IDENTITY]


def aggregate(history: pd.DataFrame, collapse: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Join the three tables on the identity columns; every row of `history` stays, once."""
    values = bounds.pivot(index=[*KEYS, "max_norm"], columns="bound", values="value").reset_index()
    joined = history.merge(collapse, on=KEYS, how="left", validate="1:1")
    joined = joined.merge(values, on=KEYS, how="left", validate="1:1")
    return joined.sort_values(KEYS, ignore_index=True)


def main() -> None:
    """Command line of the aggregation job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("history", "collapse", "bounds"):
        parser.add_argument(f"--{option}", nargs="+", required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    table = aggregate(read(args.history), read(args.collapse), read(args.bounds))
    with whole(args.output) as temporary:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), temporary)
    print(f"{len(table)} rows of {table.groupby(KEYS[:-2]).ngroups} runs")


if __name__ == "__main__":
    run_stage(main)
