"""Picking runs and epochs from aggregated tables; values come back by replicate."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

RUN = ["recipe_name", "weight_decay", "init_scale", "label_noise", "n_train", "batch_size"]
RUN += ["learning_rate"]


def where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Rows with these values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def ends(table: pd.DataFrame, column: str) -> tuple[Any, Any]:
    """Smallest and largest value of a column."""
    return table[column].min(), table[column].max()


def last(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each run's last epoch."""
    return table[table["epoch"] == table.groupby(RUN)["epoch"].transform("max")]


def at_end(table: pd.DataFrame, column: str, **values: Any) -> pd.Series:
    """`column` at the last epoch of the one run with these values, by replicate."""
    rows = last(where(table, **values))
    assert rows.groupby(RUN).ngroups <= 1, f"{values} name more than one run"
    return rows.set_index("replicate")[column]


def ratio_to_start(table: pd.DataFrame, column: str) -> pd.Series:
    """Of one run: last finite value over the value at epoch 0, by replicate."""
    finite = table[np.isfinite(table[column])].sort_values("epoch")
    values = finite.groupby("replicate")[column]
    missing = table["replicate"].unique()
    return (values.last() / values.first()).reindex(missing)


def trend(table: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Spearman's correlation of `y` at the last epoch with `x` over the runs, by replicate."""

    def correlation(rows: pd.DataFrame) -> float:
        pairs = rows[[x, y]].dropna()
        constant = len(pairs) < 3 or (pairs.nunique() < 2).any()
        return np.nan if constant else float(spearmanr(pairs[x], pairs[y]).statistic)

    groups = last(table).groupby("replicate")
    return pd.Series({replicate: correlation(rows) for replicate, rows in groups}, dtype=float)


def fits(table: pd.DataFrame, values: pd.Series, **run: Any) -> pd.Series:
    """`values` by replicate, NaN for those of the run whose training error did not end at 0."""
    return values.where(at_end(table, "train_error", **run) == 0)
