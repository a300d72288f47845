"""All scalars of an experiment in one table, joined by the aggregation job."""

from squareloss.spec import Recipe
from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS
from squareloss.tables.schema import Column, Table
from squareloss.theory import bounds

# Settings of each run's recipe that readers compare; a recipe's name alone says nothing of them.
TRAINED = ("dataset", "network", "width", "normalization", "loss", "optimizer")
RECIPE_COLUMNS = tuple(
    Column(
        name,
        "float64" if Recipe.model_fields[name].annotation is float else "string",
        "1",
        str(Recipe.model_fields[name].description),
    )
    for name in TRAINED
)

SPREAD = Column("margin_spread", "float64", "1", "margin_sd over |mean_margin|")

# One column per bound holds its value; shared inputs are added where the row lacks them.
INPUT_COLUMNS = tuple(c for c in BOUNDS.columns if c.name in ("max_norm", "ramp_loss", "delta"))
BOUND_COLUMNS = (
    *(Column(b.name, "float64", "1", b.meaning, b.place) for b in bounds.BOUNDS.values()),
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
    (
        *RECIPE_COLUMNS,
        *HISTORY.columns,
        SPREAD,
        *COLLAPSE.columns,
        *LAYER_COLUMNS,
        *BOUND_COLUMNS,
    ),
)
