"""All scalars of an experiment in one table, joined by the aggregation job."""

from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import BOUNDS, COLLAPSE
from squareloss.tables.schema import Column, Table

# Of each bound its value, in a column of the bound's name; of what all take, what the row lacks.
INPUT_COLUMNS = tuple(c for c in BOUNDS.columns if c.name in ("max_norm", "delta"))
BOUND_COLUMNS = (
    Column("eq16_printed", "float64", "1", "bound on the test error as printed", "Eq. 16"),
    Column("eq16_eq12", "float64", "1", "the same with the logarithm of Eq. 12", "Eq. 12, 16"),
    *INPUT_COLUMNS,
)

AGGREGATE = Table(
    "aggregate",
    "one evaluated epoch of a replicate, over all runs of an experiment",
    (*HISTORY.columns, *COLLAPSE.columns, *BOUND_COLUMNS),
)
