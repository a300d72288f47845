"""What identifies a run in a table, and the rows that many readers pick."""

from pathlib import Path

import pandas as pd

from squareloss.tables.parts import RUN as RUN
from squareloss.tables.parts import read
from squareloss.tables.schema import Table


def read_runs(path: str | Path, kind: Table) -> pd.DataFrame:
    """A table of many runs. Raises `UserError` for a damaged one, and one of something else."""
    return read([path], kind, whole=False)


def last_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last epoch."""
    return table[table["epoch"] == table.groupby(RUN)["epoch"].transform("max")]
