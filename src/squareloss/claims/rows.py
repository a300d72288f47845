"""One row of the table of claims: what was measured of a claim and of its control, and how it lies.

No verdict is here: that needs the rows of all claims.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from squareloss.claims import statistics
from squareloss.claims.claim import Claim, Tables, UnsuitableError
from squareloss.claims.select import PAPERS_N
from squareloss.tables.runs import RUN

SIDES = ("for", "against", "negligible")


def distance(claim: Claim, value: float) -> float:
    """How far a value lies on the claimed side of the threshold; negative on the other side."""
    if claim.side == "within":
        return claim.threshold - abs(value)
    return (value - claim.threshold) * (1 if claim.side == ">" else -1)


def counts(claim: Claim, values: statistics.Floats) -> tuple[int, int]:
    """How many replicates the tests for and against count, the fewer they are the larger p.

    A median within the threshold of 0 takes two one-sided tests, and the weaker one counts; a
    median outside is on one side of both, and the stronger one counts.
    """
    t = claim.threshold
    above, below = int((values > t).sum()), int((values < t).sum())
    if claim.side == "within":
        over, under = int((values > -t).sum()), int((values < -t).sum())
        return min(below, over), max(above, under)
    return (above, below) if claim.side == ">" else (below, above)


def half_way(tables: Tables) -> Tables:
    """The tables up to each run's last snapshot in the first half of its training."""
    cut = {}
    for name, table in tables.items():
        if "stable_rank" not in table:  # a small problem: it has no snapshots
            continue
        halves = table.groupby(RUN)["epoch"].transform("max") / 2
        snapshots = table[table["stable_rank"].notna() & (table["epoch"] <= halves)]
        limits = snapshots.groupby(RUN)["epoch"].max().rename("limit")
        limit = table[RUN].join(limits, on=RUN)["limit"]
        cut[name] = table[(table["epoch"] <= limit).to_numpy()]
    return cut


def median_at_half(claim: Claim, tables: Tables, end: pd.Series) -> float:
    """Median at half of training of the replicates that are measured at the end too; else NaN."""
    try:
        values = claim.measure(half_way(tables)).reindex(end.index).astype(float)
    except UnsuitableError:
        return math.nan
    return float(values[np.isfinite(values) & np.isfinite(end)].median())


@dataclass(frozen=True)
class Measured:
    """What a claim's functions found in the tables of a study."""

    values: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))  # NaN: left out
    control: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))  # by the same index
    half: float = math.nan  # of a limit: the median at half of training
    size: str = ""  # of the networks, if it is not that of the paper's
    lacking: str = ""  # what the study does not have


def size_of(claim: Claim, tables: Tables) -> str:
    """Width and number of images of the runs that a claim reads; "" if they are the paper's."""
    runs = [tables[name] for name in claim.tables if {"width", "n_train"} <= {*tables[name]}]
    if not runs:
        return ""
    widths, numbers = (
        sorted({value for table in runs for value in table[name].unique()})
        for name in ("width", "n_train")
    )
    if widths == [1] and numbers == [PAPERS_N]:
        return ""
    spans = (
        " to ".join(dict.fromkeys(f"{value:,}" for value in (values[0], values[-1])))
        for values in (widths, numbers)
    )
    return "width {} and N = {}".format(*spans)


def measure(claim: Claim, tables: Tables) -> Measured:
    """The values of a claim and of its control."""
    if lacking := ", ".join(name for name in claim.tables if name not in tables):
        return Measured(lacking=lacking)
    try:
        values = claim.measure(tables).astype(float)
        control = claim.measure_control(tables).astype(float)
    except UnsuitableError as error:
        return Measured(lacking=str(error))
    half = median_at_half(claim, tables, values) if claim.limit else math.nan
    return Measured(values, control.reindex(values.index), half, size_of(claim, tables))


def beyond(claim: Claim, found: Measured) -> tuple[int, int]:
    """How many values lie further on the claimed side than their controls, and of how many pairs.

    Without sides, for a claim that a value is small in size, further is nearer to 0.
    """
    pairs = pd.DataFrame({"value": found.values, "control": found.control})
    pairs = pairs[np.isfinite(pairs.to_numpy()).all(axis=1)]
    further = sum(distance(claim, v) > distance(claim, c) for v, c in pairs.to_numpy())
    return int(further), len(pairs)


def row_of(claim: Claim, found: Measured) -> dict[str, Any]:
    """One row of the table of claims, without the corrected p-values and the verdict."""
    row: dict[str, Any] = {
        "claim": claim.name,
        "place": claim.place,
        "says": claim.says,
        "statement": claim.statement,
        "quantity": claim.measured,
        "side": claim.side,
        "threshold": claim.threshold,
        "ours": claim.ours,
        "because": claim.because,
        "premise": claim.premise,
        "control": claim.control or claim.no_control,
        "test": claim.test,
        "limit": claim.limit,
        "negligible": claim.negligible,
        "tables": ", ".join(claim.tables),
        "size": found.size,
        "lacking": found.lacking,
        "measured": 0,  # replicates, or cases: networks, layers or small problems
        "without": 0,  # those that diverged or lack the premise
        "holding": 0,  # those on the claimed side
        "beyond": 0,  # those further on the claimed side than their control
        "pairs": 0,  # those that have a control
        "control_holding": 0,  # controls on the claimed side
        "agreeing_for": 0,  # those that the test for the claim counts
        "agreeing_against": 0,
        "values": "[]",
    }
    numbers = ("median", "worst", "low", "high", "half", "control_median", "violations_left")
    row |= dict.fromkeys((*numbers, *(f"p_{side}" for side in SIDES), "p_control"), math.nan)
    if found.lacking:
        return row
    measured = found.values.to_numpy(dtype=np.float64)
    values = measured[np.isfinite(measured)]
    without = len(measured) - len(values)
    row["values"] = json.dumps([float(f"{v:.6g}") if np.isfinite(v) else None for v in measured])
    row |= {"measured": len(values), "without": without}
    if len(values) == 0:
        return row
    row["median"] = float(np.median(values))
    control = found.control.to_numpy(dtype=np.float64)
    control = control[np.isfinite(control) & np.isfinite(measured)] if len(control) else control
    if len(control):
        row["control_median"] = float(np.median(control))
    if claim.test in ("replicates", "number"):
        row["low"], row["high"] = statistics.median_interval(values)
    if claim.test == "number":
        return row
    signed = np.array([distance(claim, value) for value in values])
    row |= {"holding": int((signed > 0).sum()), "worst": float(values[signed.argmin()])}
    if claim.controlled is not None:
        row["beyond"], row["pairs"] = beyond(claim, found)
        row["control_holding"] = sum(distance(claim, c) > 0 for c in control)
    if claim.test == "every":
        row["violations_left"] = statistics.violations_left(len(values))
    if claim.test != "replicates":
        return row
    row["half"] = found.half
    agreeing = dict(zip(("for", "against"), counts(claim, values), strict=True))
    if without <= len(values):
        for side, count in agreeing.items():
            row[f"p_{side}"] = float(statistics.sign_p(count, len(values)))
        if claim.controlled is not None:
            row["p_control"] = float(statistics.sign_p(row["beyond"], row["pairs"]))
            row["p_for"] = max(row["p_for"], row["p_control"])
            agreeing["for"] = min(agreeing["for"], row["beyond"])
        if not math.isnan(claim.negligible):
            row["p_negligible"] = statistics.equivalence_p(
                values, claim.threshold, claim.negligible
            )
    return row | {f"agreeing_{side}": count for side, count in agreeing.items()}
