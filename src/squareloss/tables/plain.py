"""Parquet tables that are not of runs: small problems and claims."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.files import whole
from squareloss.tables.schema import Column


@dataclass(frozen=True)
class PlainTable:
    """A Parquet table without the identity columns of a run."""

    name: str
    row: str
    path: str  # below results/<study>/
    columns: tuple[Column, ...]

    def schema(self) -> pa.Schema:
        """Arrow schema: its columns in their order."""
        return pa.schema([column.field() for column in self.columns])

    def write(self, path: str | Path, frame: pd.DataFrame) -> None:
        """Write `frame` whole or not at all, columns in the schema's order; what it lacks is NaN.

        Raises `KeyError` if it has a column that the schema does not know.
        """
        schema = self.schema()
        if unknown := set(frame.columns) - set(schema.names):
            raise KeyError(f"{self.name}: columns {sorted(unknown)} do not match")
        columns = frame.reindex(columns=schema.names)
        arrays = [pa.array(columns[field.name].to_numpy()).cast(field.type) for field in schema]
        with whole(path) as temporary:
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), temporary)
