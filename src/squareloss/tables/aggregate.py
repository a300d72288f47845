"""All scalars of an experiment in one table, joined by the aggregation job."""

from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS
from squareloss.tables.schema import Column, Table

# Of each bound its value, in a column of the bound's name; of what all take, what the row lacks.
INPUT_COLUMNS = tuple(c for c in BOUNDS.columns if c.name in ("max_norm", "delta"))
BOUND_COLUMNS = (
    Column("eq16_printed", "float64", "1", "bound on the test error as printed", "Eq. 16"),
    Column("eq16_eq12", "float64", "1", "the same with the logarithm of Eq. 12", "Eq. 12, 16"),
    Column("eq19", "float64", "1", "bound for patches that do not overlap", "Theorem 4"),
    Column("eq24", "float64", "1", "conjectured bound for overlapping patches", "Eq. 24"),
    Column("eq25_printed", "float64", "1", "eq19, taken as dense: factor as printed", "Eq. 25"),
    Column("eq25_counted", "float64", "1", "eq19, taken as dense: copies counted", "Eq. 25"),
    Column("theorem7", "float64", "1", "eq16_eq12 with a factor sqrt(r/n) a layer", "Theorem 7"),
    Column("golowich", "float64", "1", "Golowich et al. 2018, taken as dense"),
    Column("neyshabur", "float64", "1", "Neyshabur et al. 2015, taken as dense"),
    Column("bartlett", "float64", "1", "Bartlett et al. 2017, constants 1"),
    Column("parameters", "float64", "1", "number of weights, constants 1"),
    *INPUT_COLUMNS,
)

# Each layer's measures, averaged over the layers before the last as the authors averaged ranks.
AVERAGED = (
    "stable_rank",
    "effective_rank",
    "rank_1e-3",
    "rank_1e-2",
    "rank_4e-2",
    "update_norm",
    "distance",
)
LAYER_COLUMNS = tuple(
    Column(c.name, "float64", c.unit, f"mean over the layers before the last: {c.meaning}")
    for c in LAYERS.columns
    if c.name in AVERAGED
)

AGGREGATE = Table(
    "aggregate",
    "one evaluated epoch of a replicate, over all runs of an experiment",
    (*HISTORY.columns, *COLLAPSE.columns, *LAYER_COLUMNS, *BOUND_COLUMNS),
)
