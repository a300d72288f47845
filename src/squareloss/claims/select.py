"""Picking runs and epochs from aggregated tables; values come back by replicate."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from squareloss.claims.claim import UnsuitableError
from squareloss.tables.aggregate import TRAINED as SETTINGS
from squareloss.tables.runs import RUN, last_epoch

LEARNT = 0.05  # training error below which a network counts as trained
LEARNT_WELL = f"training error below {LEARNT:g}"
PAPERS_N = 10_000


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


def at_end(table: pd.DataFrame, column: str, **run: Any) -> pd.Series:
    """`column` at the last epoch of the one run with these values, by replicate.

    Raises `UnsuitableError` if there is no such run, or more than one.
    """
    rows = last_epoch(where(table, **run))
    if rows.groupby(RUN).ngroups != 1:
        named = ", ".join(f"{name} = {value}" for name, value in run.items())
        raise UnsuitableError(f"one run with {named}" if named else "a single run")
    return rows.set_index("replicate")[column]


def fitted_at_end(table: pd.DataFrame, column: str, **run: Any) -> pd.Series:
    """The same, NaN for the replicates whose training error is not 0 there."""
    return at_end(table, column, **run).where(at_end(table, "train_error", **run) == 0)


def fits(table: pd.DataFrame, values: pd.Series, **run: Any) -> pd.Series:
    """`values` by replicate, NaN for those of the run whose training error did not end at 0."""
    error = at_end(table, "train_error", **run).sort_index()
    return values.reindex(error.index).where(error == 0)


def learnt(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    """`values` by replicate, NaN for those of which some run in the table has not learnt."""
    worst = last_epoch(table).groupby("replicate")["train_error"].max(skipna=False)
    return values.where(worst < LEARNT)


def of_the_papers_size(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    """`values` by replicate, NaN unless the run has the paper's width, N and norm of images."""
    end = at_end(table, "max_norm") < 1 + 1e-6  # 1 as float32 rounds it
    papers = (table["width"].iloc[0] == 1) & (table["n_train"].iloc[0] == PAPERS_N)
    return values.where(end & papers)


def several(table: pd.DataFrame, column: str) -> None:
    """Raise `UnsuitableError` unless a column has three values, without which there is no trend."""
    if table[column].nunique() < 3:
        raise UnsuitableError(f"three values of {column}")


def trend(table: pd.DataFrame, x: str, y: str, over: str = "") -> pd.Series:
    """Spearman's correlation of `y` with `x` over the runs that end without training error.

    By replicate; NaN for fewer than three such runs. Raises `UnsuitableError` if the study has not
    three runs that differ in `over` (`x` unless given), whatever their training error.
    """
    several(table, over or x)

    def correlation(rows: pd.DataFrame) -> float:
        pairs = rows.loc[rows["train_error"] == 0, [x, y]].dropna()
        constant = len(pairs) < 3 or (pairs.nunique() < 2).any()
        return np.nan if constant else float(spearmanr(pairs[x], pairs[y]).statistic)

    groups = last_epoch(table).groupby("replicate")
    return pd.Series({replicate: correlation(rows) for replicate, rows in groups}, dtype=float)


def comparable(table: pd.DataFrame, varied: str) -> pd.DataFrame:
    """The table, whose runs differ in `varied` and in none of `SETTINGS` else.

    Epochs, schedule and momentum are not in the table, and may differ. Raises `UnsuitableError`
    naming the setting otherwise.
    """
    for name in SETTINGS:
        if name != varied and table[name].nunique() > 1:
            raise UnsuitableError(f"runs that differ in {varied} alone, and not in {name}")
    return table
