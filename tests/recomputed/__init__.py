"""Every claim's numbers once more: plain functions written from what the claim says it measures.

A function here takes the tables that its parameters name and is registered under its claim's name.
Its control, where one is measured, is registered as "control of" that name.
It shares no code with the claims. One of `by_replicate` sees the rows of one replicate in the order
of their epochs and gives a number, NaN where the premise fails. One of `by_case` sees whole tables
and gives the numbers of all cases in any order. All modules of this folder are found.
"""

import importlib
import inspect
import math
import pkgutil

import pandas as pd

from recomputed.study import RUN

EXPECTED = {}  # claim -> function(tables) -> values: a dict by replicate, or a list of cases


def by_replicate(*names):
    """Register a function of one replicate's rows as what these claims measure."""

    def register(function):
        parameters = tuple(inspect.signature(function).parameters)

        def values(tables):
            ordered = [tables[name].sort_values("epoch") for name in parameters]
            return {
                replicate: float(function(*(t[t["replicate"] == replicate] for t in ordered)))
                for replicate in sorted(set(ordered[0]["replicate"]))
            }

        return add(names, values) or function

    return register


def by_case(*names):
    """Register a function of whole tables as what these claims measure."""

    def register(function):
        parameters = tuple(inspect.signature(function).parameters)
        return add(names, lambda tables: function(*(tables[name] for name in parameters)))

    return register


def add(names, values):
    """Register values under names that are new."""
    for name in names:
        assert name not in EXPECTED, name
        EXPECTED[name] = values


def run(rows, **values):
    """The rows of the one run of a replicate that has these values."""
    for column, value in values.items():
        rows = rows[rows[column] == value]
    assert len(rows.drop_duplicates(RUN)) == 1
    return rows


def last(rows, **values):
    """The row at the end of that run."""
    return run(rows, **values).iloc[-1]


def fitted(*rows):
    """Whether none of these ends has a training error; one that diverged has NaN."""
    return all(row["train_error"] == 0 for row in rows)


def learnt(rows):
    """Whether each run of a replicate ends below 5% training error."""
    return all(group["train_error"].iloc[-1] < 0.05 for _, group in rows.groupby(RUN))


def only_if(premise, value):
    """The value, or NaN without the premise."""
    return value if premise else math.nan


def ends(rows):
    """The row at the end of each run and replicate."""
    return rows[rows["epoch"] == rows.groupby(RUN)["epoch"].transform("max")]


def correlation(x, y):
    """Pearson's, from its definition."""
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / ((x * x).sum() * (y * y).sum()) ** 0.5


def rank_correlation(rows, x, y):
    """Spearman's over the rows without training error, three at the least."""
    rows = rows[rows["train_error"] == 0]
    return correlation(rows[x].rank(), rows[y].rank()) if len(rows) >= 3 else math.nan


def of_each(tables):
    """The networks at the end of all runs of these tables, those without training error."""
    rows = pd.concat([ends(table) for table in tables], ignore_index=True)
    return rows.where(rows["train_error"] == 0)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"recomputed.{_module.name}")
