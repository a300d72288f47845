"""What identifies a run in a table, and the rows that many readers pick."""

import pandas as pd

from squareloss.tables.schema import IDENTITY

# The columns that are the same for all replicates and epochs of a run.
RUN = [column.name for column in IDENTITY if column.name not in ("replicate", "epoch")]


def last_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last epoch."""
    return table[table["epoch"] == table.groupby(RUN)["epoch"].transform("max")]
