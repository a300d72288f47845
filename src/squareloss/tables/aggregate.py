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

# rho, margins and Eq. 16 as the authors' public code counts rho: see `measure.convolutions`.
AUTHORS = "github.com/GraceXu182/binaryclassifiers_squareloss"
CONVOLUTION_COLUMNS = (
    Column(
        "rho_convolutions",
        "float64",
        "1",
        "product of the convolutions' Frobenius norms and |rho_top|, dense layers left out, as the "
        "authors' code counts rho; NaN without convolutions, and, where norms are not frozen "
        "(`bn`, `none`), between snapshots",
        AUTHORS,
    ),
    Column(
        "mean_margin_convolutions",
        "float64",
        "1",
        "mean margin of f_W over rho_convolutions",
    ),
    Column(
        "margin_sd_convolutions",
        "float64",
        "1",
        "standard deviation of the margins of f_W over rho_convolutions",
    ),
    Column(
        "mean_difference_convolutions",
        "float64",
        "1",
        "mean over the training set of (f_y - the other output) of f_W over rho_convolutions, the "
        "authors' margin: twice the margin above; NaN unless there are two classes",
        AUTHORS,
    ),
    Column(
        "difference_sd_convolutions",
        "float64",
        "1",
        "standard deviation of that difference over the samples",
        AUTHORS,
    ),
    Column(
        "eq16_printed_convolutions",
        "float64",
        "1",
        "eq16_printed with rho_convolutions for rho",
        "Eq. 16",
    ),
    Column(
        "eq16_eq12_convolutions",
        "float64",
        "1",
        "eq16_eq12 with rho_convolutions for rho",
        "Eq. 16 with the logarithm of Eq. 12",
    ),
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
        *CONVOLUTION_COLUMNS,
    ),
)
