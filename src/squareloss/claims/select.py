"""Picking runs and epochs from aggregated tables; values come back by replicate."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from squareloss.claims.claim import RUN, UnsuitableError

LEARNT = 0.05  # training error below which a network counts as trained


def where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Rows with these values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def ends(table: pd.DataFrame, column: str) -> tuple[Any, Any]:
    """Smallest and largest value of a column. Raises `UnsuitableError` if there is only one."""
    if table[column].nunique() < 2:
        raise UnsuitableError(f"runs that differ in {column}")
    return table[column].min(), table[column].max()


def last(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each run's last epoch."""
    return table[table["epoch"] == table.groupby(RUN)["epoch"].transform("max")]


def at_end(table: pd.DataFrame, column: str, **run: Any) -> pd.Series:
    """`column` at the last epoch of the one run with these values, by replicate.

    Raises `UnsuitableError` if there is no such run, or more than one.
    """
    rows = last(where(table, **run))
    if rows.groupby(RUN).ngroups != 1:
        named = ", ".join(f"{name} = {value}" for name, value in run.items())
        raise UnsuitableError(f"one run with {named}" if named else "a single run")
    return rows.set_index("replicate")[column]


def fitted_at_end(table: pd.DataFrame, column: str, **run: Any) -> pd.Series:
    """The same, NaN for the replicates whose training error is not 0 there."""
    return at_end(table, column, **run).where(at_end(table, "train_error", **run) == 0)


def fits(table: pd.DataFrame, values: pd.Series, **run: Any) -> pd.Series:
    """`values` by replicate, NaN for those of the run whose training error did not end at 0."""
    return values.where(at_end(table, "train_error", **run) == 0)


def learnt(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    """`values` by replicate, NaN for those of which some run in the table has not learnt."""
    worst = last(table).groupby("replicate")["train_error"].max(skipna=False)
    return values.where(worst < LEARNT)


def ratio_to_start(table: pd.DataFrame, column: str) -> pd.Series:
    """Of one run: last finite value over the value at epoch 0, by replicate."""
    finite = table[np.isfinite(table[column])].sort_values("epoch")
    values = finite.groupby("replicate")[column]
    missing = table["replicate"].unique()
    return (values.last() / values.first()).reindex(missing)


def trend(table: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Spearman's correlation of `y` with `x` over the runs that end without training error.

    By replicate; NaN for fewer than three such runs.
    """

    def correlation(rows: pd.DataFrame) -> float:
        pairs = rows.loc[rows["train_error"] == 0, [x, y]].dropna()
        constant = len(pairs) < 3 or (pairs.nunique() < 2).any()
        return np.nan if constant else float(spearmanr(pairs[x], pairs[y]).statistic)

    groups = last(table).groupby("replicate")
    return pd.Series({replicate: correlation(rows) for replicate, rows in groups}, dtype=float)


def other_recipe(table: pd.DataFrame, *named: str) -> str:
    """The one recipe of an experiment that is none of these: the paper's own.

    Raises `UnsuitableError` if there is none, or more than one.
    """
    others = set(table["recipe_name"]) - set(named)
    if len(others) != 1:
        raise UnsuitableError(f"one recipe beside {', '.join(named)}")
    return str(others.pop())
