"""Reading the parts of a table: one Parquet file a block."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.errors import UserError


def read(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Concatenate parts of one table, in the order given. Raises `UserError` for a damaged one."""
    return pd.concat([_read_part(path) for path in paths])


def _read_part(path: str | Path) -> pd.DataFrame:
    try:
        # By default pyarrow would add the keys of the path as columns.
        return pq.read_table(path, partitioning=None).to_pandas()
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a Parquet file, or truncated ({reason}); delete it and run again"
        ) from None
