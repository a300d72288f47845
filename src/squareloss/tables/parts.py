"""Reading Parquet tables, and refusing what is not the table that was asked for.

A part is one Parquet file: the rows of one block of a run. Its path says which, and its rows must
say the same, or results of other runs would be taken for this one's without a word.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.errors import UserError, first_line
from squareloss.tables import paths as names
from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import IDENTITY, Table

AGAIN = "delete it and run again"
UNREADABLE = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)  # the file may be whole
# The columns that are the same for all replicates and epochs of a run.
RUN = [column.name for column in IDENTITY if column.name not in ("replicate", "epoch")]


def read(paths: Sequence[str | Path], kind: Table | PlainTable, whole: bool = True) -> pd.DataFrame:
    """Concatenate files of one table, in the order given.

    Raises `UserError` for one that is damaged, lacks rows or columns, has a row twice, or rows of
    another run than its path names. Tables that an earlier version wrote may lack columns: `whole`
    is false where readers do without them.
    """
    return pd.concat([_read(path, kind, whole) for path in paths])


def _read(path: str | Path, kind: Table | PlainTable, whole: bool) -> pd.DataFrame:
    if not Path(path).is_file():
        raise UserError(f"{path}: no file, and the table {kind.name} is needed; {AGAIN}")
    try:
        # By default pyarrow would add the keys of the path as columns.
        table = pq.read_table(path, partitioning=None)
        frame: pd.DataFrame = table.to_pandas()
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno in UNREADABLE:
            raise UserError(f"{path}: could not be read: {os.strerror(error.errno)}") from None
        raise UserError(
            f"{path}: not a Parquet file, or truncated ({first_line(error)}); {AGAIN}"
        ) from None
    if fault := _fault(path, table.schema, frame, kind, whole):
        table_of_runs = isinstance(kind, Table) and not whole
        what = "table of runs" if table_of_runs else f"table {kind.name}"
        raise UserError(f"{path}: no {what}, {fault}; {AGAIN}")
    return frame


def _fault(
    path: str | Path, schema: pa.Schema, frame: pd.DataFrame, kind: Table | PlainTable, whole: bool
) -> str:
    """What is wrong with a table that could be read; "" if nothing is."""
    expected = {field.name: field.type for field in kind.schema()}
    found = {field.name: field.type for field in schema}
    needed = expected if whole else {c.name for c in IDENTITY} & {*expected}
    if len(found) != len(schema):
        return "since it has a column twice"
    if lacking := [name for name in needed if name not in found]:
        return f"since it lacks {', '.join(sorted(lacking))}"
    known = found if whole else found.keys() & expected.keys()
    if other := [name for name in known if not _alike(expected.get(name), found[name])]:
        return f"since these columns are others: {', '.join(sorted(other))}"
    if frame.empty:
        return "since it has no rows"
    if not isinstance(kind, Table) or kind.keys is None:
        return _of_another_run(path, frame) if isinstance(kind, Table) else ""
    if frame.duplicated([*RUN, "replicate", "epoch", *kind.keys]).any():
        return "since it has a row twice"
    return _of_another_run(path, frame) or _incomplete(path, frame)


def _alike(expected: pa.DataType | None, found: pa.DataType) -> bool:
    """Whether a column has its type. Texts have several, and pandas writes another than we do."""
    texts = expected == pa.string() and found == pa.large_string()
    return expected == found or texts


def _of_another_run(path: str | Path, frame: pd.DataFrame) -> str:
    part = names.below(path)
    if part is None:  # a table of many runs
        return ""
    other = [name for name in RUN if not (frame[name] == getattr(part.point, name)).all()]
    return f"since it is of another run than its path says: {', '.join(other)}" if other else ""


def _incomplete(path: str | Path, frame: pd.DataFrame) -> str:
    """Every replicate of a block has the same rows at the same epochs, also one that diverged."""
    part = names.below(path)
    if part is None:
        return ""
    rows = frame.groupby(["epoch", "replicate"]).size().unstack()
    if rows.isna().any(axis=None) or (rows.nunique(axis=1) > 1).any():
        return "since its replicates have different rows"
    first, size = part.block * rows.shape[1], rows.shape[1]
    if list(rows.columns) != list(range(first, first + size)):
        return f"since its replicates are not those of block {part.block}"
    return ""
