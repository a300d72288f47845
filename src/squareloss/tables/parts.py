"""Reading the parts of a table: one Parquet file a block."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def read(paths: list[str] | list[Path]) -> pd.DataFrame:
    """Concatenate parts of one table, in the order given."""
    # Without partitioning=None pyarrow would add the keys of the path as columns.
    return pd.concat([pq.read_table(path, partitioning=None).to_pandas() for path in paths])
