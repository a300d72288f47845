"""Section 7 and what Section 1 says of the square loss: starts, normalisations and losses."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import Claim, Tables
from squareloss.claims.select import ends, fitted_at_end, other_recipe, where


def start_against_decay(tables: Tables) -> pd.Series:
    """log of rho of the smallest start without weight decay over rho of the largest with it.

    Of the starts that were trained both with weight decay and without.
    """
    table = tables["figure5"]
    zero, decay = ends(table, "weight_decay")
    both = set(where(table, weight_decay=zero)["init_scale"])
    low, high = ends(
        table[table["init_scale"].isin(both & set(where(table, weight_decay=decay)["init_scale"]))],
        "init_scale",
    )
    small = fitted_at_end(table, "rho", weight_decay=zero, init_scale=low)
    return (small / fitted_at_end(table, "rho", weight_decay=decay, init_scale=high)).map(np.log)


def harm_of_large_start(tables: Tables) -> pd.Series:
    """lambda = 0: test error of the largest start less that of the smallest."""
    table = where(tables["figure5"], weight_decay=0)
    low, high = (
        fitted_at_end(table, "test_error", init_scale=s) for s in ends(table, "init_scale")
    )
    return high - low


def normalization_difference(tables: Tables, other: str) -> pd.Series:
    """Test error of a normalisation less that of batch norm; "wn" is the paper's own recipe."""
    table = tables["normalization"]
    recipe = other_recipe(table, "lm", "bn", "none") if other == "wn" else other
    errors = [fitted_at_end(table, "test_error", recipe_name=name) for name in (recipe, "bn")]
    return errors[0] - errors[1]


def loss_difference(tables: Tables) -> pd.Series:
    """Test error of cross-entropy less that of the square loss."""
    table = tables["loss"]
    names = "cross-entropy", other_recipe(table, "cross-entropy")
    errors = [fitted_at_end(table, "test_error", recipe_name=name) for name in names]
    return errors[0] - errors[1]


FITTED = "zero training error"
CLAIMS = [
    Claim(
        "start-replaces-decay",
        "Section 7, remarks",
        "a small start without lambda leads to a rho as small as lambda > 0 does",
        "log of rho, smallest start with lambda = 0 over largest start with lambda > 0",
        "<",
        0,
        "equal norms are 0",
        ("figure5",),
        start_against_decay,
        premise=FITTED,
    ),
    Claim(
        "small-start-helps",
        "Section 7, remarks",
        "lambda = 0: a small start generalises better than a large one",
        "test error of the largest start minus that of the smallest",
        ">",
        0,
        "a difference",
        ("figure5",),
        harm_of_large_start,
        premise=FITTED,
    ),
    Claim(
        "bn-better-than-wn",
        "Section 7, remarks",
        "batch normalisation generalises better than weight normalisation",
        "test error of weight norm minus that of batch norm",
        ">",
        0,
        "a difference",
        ("normalization",),
        lambda tables: normalization_difference(tables, "wn"),
        premise=FITTED,
    ),
    Claim(
        "bn-better-than-lm",
        "Section 7, remarks",
        "batch normalisation generalises better than the Lagrange multiplier",
        "test error of the Lagrange multiplier minus that of batch norm",
        ">",
        0,
        "a difference",
        ("normalization",),
        lambda tables: normalization_difference(tables, "lm"),
        premise=FITTED,
    ),
    Claim(
        "square-loss-as-good",
        "Section 1",
        "the square loss is as good as cross-entropy, if not better",
        "test error of cross-entropy minus that of the square loss",
        ">",
        -0.01,
        "a difference of one in a hundred images counts as equal",
        ("loss",),
        loss_difference,
        premise=FITTED,
    ),
]
