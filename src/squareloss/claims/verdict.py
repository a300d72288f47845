"""How measured values decide a claim.

A statement about training is decided by the median over replicates. The exact sign test supposes
nothing but that replicates are independent: neither symmetry nor a shape of their distribution.
All tests of all claims are one family. Its size is fixed and depends neither on what a study could
measure nor on claims that are added later; Holm's method keeps the probability of any false
verdict in it at `ALPHA` at most. The values of Benjamini and Hochberg's method, which bound the
share of false verdicts instead, stand beside them in the table and decide nothing. Replicates share
the data: a verdict says what another training would give, not what other images would.
"""

import json
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from squareloss.claims import statistics
from squareloss.claims.claim import Claim, Tables, UnsuitableError
from squareloss.tables.runs import RUN

ALPHA = 0.05
# Tests that the claims may take together: the most for which 15 of 16 replicates that agree decide.
FAMILY = 192
# A limit is still approached if the second half of training covers this share of what is missing.
APPROACHING = 0.1
# As many replicates as one may be told to train, four times those of config/long.yaml.
MOST_REPLICATES = 64
SIDES = ("for", "against", "negligible")


def fewest(tests: int) -> int:
    """Replicates that decide a claim in a family of so many tests if all of them agree."""
    needed = statistics.replicates_needed(1.0, tests, ALPHA, most=1000)
    assert needed is not None  # 2 ** -1000 is below any level over any number of claims
    return needed


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


def moving(claim: Claim, half: float, end: float) -> bool:
    """Whether a limit is not arrived: training on might put the median on the other side.

    On the wrong side that is unless the second half of training covered less than a tenth of what
    is missing, which is not known if nothing could be measured at half. On the claimed side it is
    if going on at the same pace for as long again would leave it.
    """
    reached = distance(claim, end)
    moved = reached - distance(claim, half)
    return reached + moved < 0 if reached > 0 else not moved <= APPROACHING * -reached


def evaluate(claim: Claim, tables: Tables) -> dict[str, object]:
    """One row of the table of claims, without the corrected p-values and the verdict."""
    row: dict[str, object] = {
        "claim": claim.name,
        "place": claim.place,
        "statement": claim.statement,
        "quantity": claim.measured,
        "side": claim.side,
        "threshold": claim.threshold,
        "because": claim.because,
        "premise": claim.premise,
        "test": claim.test,
        "limit": claim.limit,
        "negligible": claim.negligible,
        "tables": ", ".join(claim.tables),
        "lacking": ", ".join(name for name in claim.tables if name not in tables),
        "measured": 0,  # replicates, or cases: networks, layers or small problems
        "without": 0,  # those that diverged or lack the premise
        "holding": 0,  # those on the claimed side
        "agreeing_for": 0,  # those that the test for the claim counts
        "agreeing_against": 0,
        "values": "[]",
    }
    numbers = ("median", "worst", "low", "high", "half", *(f"p_{side}" for side in SIDES))
    row |= dict.fromkeys(numbers, math.nan)
    if row["lacking"]:
        return row
    try:
        found = claim.measure(tables)
    except UnsuitableError as error:
        return row | {"lacking": str(error)}
    measured = found.to_numpy(dtype=np.float64)
    values = measured[np.isfinite(measured)]
    signed = np.array([distance(claim, value) for value in values])
    without = len(measured) - len(values)
    row["values"] = json.dumps([float(f"{v:.6g}") if np.isfinite(v) else None for v in measured])
    row |= {"measured": len(values), "without": without, "holding": int((signed > 0).sum())}
    if len(values) == 0:
        return row
    row |= {"median": float(np.median(values)), "worst": float(values[signed.argmin()])}
    if claim.test != "replicates":
        return row
    row["low"], row["high"] = statistics.median_interval(values)
    if claim.limit:
        row["half"] = median_at_half(claim, tables, found)
    agreeing = dict(zip(("for", "against"), counts(claim, values), strict=True))
    row |= {f"agreeing_{side}": count for side, count in agreeing.items()}
    if without > len(values):
        return row
    for side, count in agreeing.items():
        row[f"p_{side}"] = float(statistics.sign_p(count, len(values)))
    if not math.isnan(claim.negligible):
        row["p_negligible"] = statistics.equivalence_p(values, claim.threshold, claim.negligible)
    return row


def missing(row: Mapping[Hashable, Any], tests: int) -> tuple[str, str]:
    """Why the replicates that were measured decide nothing, and what would be needed."""
    measured = row["measured"]
    agreeing = max(row["agreeing_for"], row["agreeing_against"])
    needed = statistics.replicates_needed(agreeing / measured, tests, ALPHA, MOST_REPLICATES)
    if measured < (least := fewest(tests)):
        return "too few replicates", f"{measured} replicates; {max(least, needed or 0)} are needed"
    if needed is not None:
        words = f"{agreeing} of {measured} agree; if as many of {needed} did, that would decide"
        return "too few replicates", words
    p = f"p = {row['p_for']:.2g} for, {row['p_against']:.2g} against"
    return "inconclusive", f"{p}, before correction for {tests} tests"


def verdict(claim: Claim, row: Mapping[Hashable, Any], tests: int) -> tuple[str, str, str]:
    """Verdict, why there is none, and the numbers that say so, from a row with Holm's values."""
    measured, without, holding = row["measured"], row["without"], row["holding"]
    unit = "replicates" if claim.test == "replicates" else "cases"
    left_out = f"; {without} left out" if without else ""
    if row["lacking"]:
        return "not decided", "study lacks runs", f"this study lacks: {row['lacking']}"
    if measured == 0 or (without > measured and claim.test == "replicates"):
        premise = f" or lack the premise: {claim.premise}" if claim.premise else ""
        count = f"{without} of {measured + without} {unit} diverged{premise}"
        return "not decided", claim.unmet, count
    if claim.test != "replicates":
        good, bad = ("passed", "failed") if claim.test == "check" else ("supported", "contradicted")
        if holding == measured:
            return good, "", f"holds in all {measured} cases{left_out}"
        return bad, "", f"fails in {measured - holding} of {measured} cases{left_out}"
    decided = [
        (word, row[f"holm_{side}"])
        for word, side in zip(("supported", "contradicted", "no such effect"), SIDES, strict=True)
        if row[f"holm_{side}"] < ALPHA
    ]
    if not decided:
        why, words = missing(row, tests)
        return "not decided", why, f"{words}{left_out}"
    word, p = decided[0]
    if claim.limit and moving(claim, row["half"], row["median"]):
        way = f"median {row['half']:.3g} at half of training, {row['median']:.3g} at the end"
        return "not decided", "not converged", f"{way}{left_out}"
    return word, "", f"p = {p:.2g} after Holm's correction{left_out}"


def judge(claims: list[Claim], tables: Tables, tests: int = FAMILY) -> pd.DataFrame:
    """The table of claims, in a family of so many `tests`: one row a claim, in their order.

    Raises `ValueError` if the claims take more.
    """
    if sum(claim.tests for claim in claims) > tests:
        raise ValueError(f"the claims take more than {tests} tests: raise FAMILY, and say why")
    table = pd.DataFrame([evaluate(claim, tables) for claim in claims])
    p = table[[f"p_{side}" for side in SIDES]].to_numpy(dtype=np.float64)
    tested = np.isfinite(p)
    for name, adjust in (("holm", statistics.holm), ("bh", statistics.benjamini_hochberg)):
        adjusted = np.full_like(p, np.nan)
        adjusted[tested] = adjust(p[tested], tests)
        table[[f"{name}_{side}" for side in SIDES]] = adjusted
    rows = zip(claims, table.to_dict("records"), strict=True)
    found = [verdict(claim, row, tests) for claim, row in rows]
    table[["verdict", "why", "reason"]] = pd.DataFrame(found, index=table.index)
    return table
