"""What identifies a run in a table, and the rows that many readers pick."""

from pathlib import Path

import pandas as pd

from squareloss.errors import UserError
from squareloss.tables.parts import read
from squareloss.tables.schema import IDENTITY

# The columns that are the same for all replicates and epochs of a run.
RUN = [column.name for column in IDENTITY if column.name not in ("replicate", "epoch")]


def read_runs(path: str | Path) -> pd.DataFrame:
    """A table of runs. Raises `UserError` for a damaged one, and for a table of something else."""
    table = read([path])
    if lacking := {column.name for column in IDENTITY} - {*table}:
        raise UserError(
            f"{path}: no table of runs, since it lacks {', '.join(sorted(lacking))}; delete it and "
            "run again"
        )
    return table


def last_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last epoch."""
    return table[table["epoch"] == table.groupby(RUN)["epoch"].transform("max")]
