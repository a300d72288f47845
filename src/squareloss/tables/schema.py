"""Schemas of the Parquet tables: column, type, unit, meaning, equation.

All tables are long and tidy. The identity columns name the run and the replicate under long names,
which never clash with the short Hive keys of the paths.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.files import whole
from squareloss.spec import Point, coordinates


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type as text, unit ("1" if it has none), meaning, source equation."""

    name: str
    type: str
    unit: str
    meaning: str
    equation: str = ""

    def field(self) -> pa.Field:
        """The Arrow field; unit, meaning and equation are its metadata."""
        metadata = {"unit": self.unit, "meaning": self.meaning, "equation": self.equation}
        return pa.field(self.name, pa.type_for_alias(self.type), metadata=metadata)


IDENTITY = (
    Column("recipe_name", "string", "1", "recipe of the run, a key of `recipes`"),
    *(
        Column(name, {float: "float64", int: "int64"}[kind], axis.unit, meaning, axis.equation)
        for name, kind, axis, meaning in coordinates()
    ),
    Column("replicate", "int64", "1", "number of the independent seed, from 0"),
    Column("epoch", "int64", "epochs", "passes over the training set done, 0 = at initialisation"),
)


@dataclass(frozen=True)
class Table:
    """A Parquet table: name, what one row is, and its own columns after the identity columns.

    `keys`: which of these tell the rows of a replicate and epoch apart. None if no column does, and
    rows are not of one replicate.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...] | None = ()

    def schema(self) -> pa.Schema:
        """Arrow schema: identity columns, then the table's own."""
        return pa.schema([column.field() for column in (*IDENTITY, *self.columns)])

    def write(self, path: str | Path, point: Point, rows: list[dict[str, Any]]) -> None:
        """Write `rows` of one run, whole or not at all.

        A row is a dict with the table's columns, `replicate` and `epoch`. Its values may be arrays
        of one length; it then stands for that many rows. Raises `KeyError` if a row lacks a column
        or has one the schema does not know.
        """
        names = {column.name for column in self.columns} | {"replicate", "epoch"}
        for row in rows:
            if row.keys() != names:
                raise KeyError(f"{self.name}: columns {sorted(row.keys() ^ names)} do not match")
        schema = self.schema()
        lengths = [_length(row) for row in rows]
        identity = point.model_dump()
        columns = []
        for field in schema:
            parts = [
                np.broadcast_to(np.asarray((identity | row)[field.name]), length)
                for row, length in zip(rows, lengths, strict=True)
            ]
            column = pa.array(np.concatenate(parts) if parts else [])
            columns.append(column.cast(field.type))
        with whole(path) as temporary:
            pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)


def _length(row: dict[str, Any]) -> int:
    return next((len(v) for v in row.values() if isinstance(v, np.ndarray)), 1)
