"""rho as the authors' code counts it: the norms of the convolutions alone.

The paper's text defines rho as the product of all layers' norms. The public code of its authors
(github.com/GraceXu182/binaryclassifiers_squareloss, of an earlier version) multiplies the norms of
the convolutions and leaves the dense layers out. It divides the difference of the two outputs by
that product and calls the result the margin. docs/errata.md compares the two definitions.

All of it follows from what is measured. f_W = rho f_V is the same function whatever rho counts, so
the margins of f_W over another rho are those of f_V times rho over the other.
"""

from typing import Any

import numpy as np
import pandas as pd

from squareloss.model import normalization
from squareloss.model.architecture import Conv
from squareloss.spec import Recipe
from squareloss.tables.runs import RUN
from squareloss.tables.schema import IDENTITY
from squareloss.theory.bounds import bound_eq16_eq12, bound_eq16_printed

KEYS = [column.name for column in IDENTITY]
REPLICATE = [*RUN, "replicate"]
FORMS = {"eq16_printed": bound_eq16_printed, "eq16_eq12": bound_eq16_eq12}


def convolution_norms(recipe: Recipe, table: pd.DataFrame, layers: pd.DataFrame) -> pd.Series:
    """Product of the convolutions' Frobenius norms in each row of `table`, which has one recipe.

    Norms are measured at snapshots. Where they are frozen the first snapshot's hold at every epoch;
    elsewhere the epochs between snapshots are NaN, and so is a network without convolutions.
    """
    if table.empty:
        return pd.Series(dtype=float, index=table.index)
    built = recipe.layers(int(table["classes"].iloc[0]))
    numbers = [k for k, layer in enumerate(built, start=1) if isinstance(layer, Conv)]
    if not numbers:
        return pd.Series(np.nan, index=table.index)
    measured = layers[layers["layer"].isin(numbers)].groupby(KEYS)["frobenius_norm"]
    # With `min_count` a norm that is NaN or missing makes the product NaN, and not a smaller one.
    products = measured.prod(min_count=len(numbers))
    by = KEYS
    if normalization.named(recipe.normalization).freezes_norms:
        by = REPLICATE
        products = products.groupby(by).first()
    return products.reindex(pd.MultiIndex.from_frame(table[by])).set_axis(table.index)


def counted(
    recipes: dict[str, dict[str, Any]], table: pd.DataFrame, layers: pd.DataFrame
) -> pd.DataFrame:
    """The columns `CONVOLUTION_COLUMNS` of the aggregate, a row for each of `table`.

    `recipes`: the settings of each recipe by its name. `table`: the joined measurements with a
    unique index. `layers`: the table of that name.
    """
    norms, depths = pd.Series(np.nan, index=table.index), pd.Series(0, index=table.index)
    for name, settings in recipes.items():
        recipe = Recipe.model_validate(settings)
        rows = table[table["recipe_name"] == name]
        if not rows.empty:
            own = layers[layers["recipe_name"] == name]
            norms.loc[rows.index] = convolution_norms(recipe, rows, own)
            depths.loc[rows.index] = len(recipe.layers(int(rows["classes"].iloc[0])))
    rho = table["rho_top"].abs() * norms
    ratio = table["rho"] / rho.where(rho > 0)
    two = table["classes"] == 2
    columns = {
        "rho_convolutions": rho,
        "mean_margin_convolutions": table["mean_margin"] * ratio,
        "margin_sd_convolutions": table["margin_sd"] * ratio,
        # A margin of two classes is half the difference of the outputs.
        "mean_difference_convolutions": (2 * table["mean_margin"] * ratio).where(two),
        "difference_sd_convolutions": (2 * table["margin_sd"] * ratio).where(two),
    }
    scaled = rho * table["max_norm"]
    for form, bound in FORMS.items():
        values = map(bound, scaled, depths, table["n_train"], table["delta"])
        # Where `eq16_printed` has no value, as after divergence, neither has this.
        value = pd.Series(list(values), index=table.index, dtype=float) + table["ramp_loss"]
        columns[f"{form}_convolutions"] = value
    return pd.DataFrame(columns)
