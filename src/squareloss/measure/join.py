"""All measurements of an experiment in two tables.

The first has one row a (run, replicate, epoch) of `history`, with what was trained from the run's
recipe, the columns of `collapse`, the means of `layers` over the layers before the last, the values
of `bounds`, and rho as the authors' code counts it (`convolutions`) beside it. What is measured
from snapshots exists at the snapshot epochs only and is NaN at the others. The second has all rows
of `layers`.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.errors import UserError
from squareloss.files import whole
from squareloss.measure.convolutions import KEYS, counted
from squareloss.tables.aggregate import AGGREGATE, AVERAGED, INPUT_COLUMNS, TRAINED
from squareloss.tables.runs import RUN
from squareloss.tables.schema import Table

INPUTS = [column.name for column in INPUT_COLUMNS]


def aggregate(
    recipes: dict[str, dict[str, Any]],
    history: pd.DataFrame,
    collapse: pd.DataFrame,
    layers: pd.DataFrame,
    bounds: pd.DataFrame,
) -> pd.DataFrame:
    """Join the four tables on the identity columns; every row of `history` stays, once.

    `recipes`: the settings of each recipe by its name. Raises `KeyError` if the columns are not
    those of the schema, and `UserError` if what is measured of snapshots is not of the same ones.
    """
    _refuse_others(history, collapse, layers, bounds)
    values = bounds.pivot(index=[*KEYS, *INPUTS], columns="bound", values="value").reset_index()
    joined = history.merge(collapse, on=KEYS, how="left", validate="1:1")
    joined = joined.merge(averages(layers), on=KEYS, how="left", validate="1:1")
    joined = joined.merge(values, on=KEYS, how="left", validate="1:1")
    joined["margin_spread"] = joined["margin_sd"] / joined["mean_margin"].abs()
    joined = joined.join(counted(recipes, joined, layers))
    for name in TRAINED:
        settings = {recipe: settings[name] for recipe, settings in recipes.items()}
        joined[name] = joined["recipe_name"].map(settings)
    names = AGGREGATE.schema().names
    if unmatched := set(joined.columns) ^ set(names):
        raise KeyError(f"aggregate: columns {sorted(unmatched)} do not match")
    return joined.sort_values(KEYS, ignore_index=True)[names]


def _refuse_others(history: pd.DataFrame, *measured: pd.DataFrame) -> None:
    """What is measured of snapshots is of the same ones, each of which has a row of `history`."""
    there, *others = (set(map(tuple, table[KEYS].to_numpy())) for table in (history, *measured))
    if not (others[0] == others[1] == others[2] <= there):
        raise UserError(
            "the tables history, collapse, layers and bounds have other runs, replicates or epochs "
            "than each other; delete the parts of one that lacks some and run again"
        )


def averages(layers: pd.DataFrame) -> pd.DataFrame:
    """Means over the layers before the last, one row a (run, replicate, epoch).

    Runs may differ in depth, so which layer is the last is asked of each run.
    """
    hidden = layers[layers["layer"] < layers.groupby(RUN)["layer"].transform("max")]
    means = hidden.groupby(KEYS)[list(AVERAGED)].mean()
    # A network that diverged has no rank, but its integer column holds 0; make that NaN.
    return means.where(means["effective_rank"].notna(), axis=0).reset_index()


def write(path: str | Path, table: pd.DataFrame, kind: Table) -> None:
    """Write `table` with the types and the metadata of its `kind`."""
    schema = kind.schema()
    # `Table.from_pandas` would store NaN as null, unlike the tables that are joined here.
    columns = [pa.array(table[field.name].to_numpy(), field.type) for field in schema]
    with whole(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)
