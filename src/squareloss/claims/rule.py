"""The rule: which verdict a row of the table of claims has, and why it has none.

The constants are here, and the correction for the number of tests. What it rests on: `verdict.py`.
"""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from squareloss.claims import statistics
from squareloss.claims.claim import Claim
from squareloss.claims.rows import SIDES, distance

ALPHA = 0.05
# Tests that the claims may take together: the most for which 15 of 16 replicates that agree decide.
FAMILY = 192
# A limit has not arrived if the second half of training covers this share of the way to the
# threshold.
APPROACHING = 0.1
# As many replicates as one may be told to train, four times those of config/long.yaml.
MOST_REPLICATES = 64


def fewest(tests: int) -> int:
    """Replicates that decide a claim in a family of so many tests if all of them agree."""
    needed = statistics.replicates_needed(1.0, tests, ALPHA, most=1000)
    assert needed is not None  # 2 ** -1000 is below any level over any number of claims
    return needed


def moving(claim: Claim, half: float, end: float) -> bool:
    """Whether a limit is not arrived: training on might put the median on the other side.

    That is so, on either side of the threshold, if the second half of training covered a tenth of
    the way to it or more, or if nothing could be measured at half.
    """
    reached = distance(claim, end)
    nearer = math.copysign(1, -reached) * (reached - distance(claim, half))
    return not nearer < APPROACHING * abs(reached)


def missing(row: Mapping[Hashable, Any], tests: int) -> tuple[str, str]:
    """Why the replicates that were measured decide nothing, and what would be needed."""
    measured = row["measured"]
    agreeing = max(row["agreeing_for"], row["agreeing_against"])
    needed = statistics.replicates_needed(agreeing / measured, tests, ALPHA, MOST_REPLICATES)
    if measured < (least := fewest(tests)):
        return "too few replicates", f"{measured} replicates; {max(least, needed or 0)} are needed"
    if needed is not None:
        words = f"{agreeing} of {measured} agree; with {needed} replicates that share would decide"
        return "too few replicates", words
    if row["p_control"] > statistics.sign_p(row["holding"], measured):
        return "control alike", control_words(row)
    p = f"p = {row['p_for']:.2g} for, {row['p_against']:.2g} against"
    return "inconclusive", f"{p}, before correction for {tests} tests"


def control_words(row: Mapping[Hashable, Any]) -> str:
    """How a claim's values lie to those of its control."""
    count = f"{row['beyond']} of {row['pairs']} further on the claimed side than their control"
    return f"{count}, whose median is {row['control_median']:.3g}"


def of_cases(claim: Claim, row: Mapping[Hashable, Any], left_out: str) -> tuple[str, str, str]:
    """Verdict on a check or a statement about every network of which some have the premise."""
    measured, holding = row["measured"], row["holding"]
    good, bad = ("passed", "failed") if claim.test == "check" else ("supported", "contradicted")
    if holding < measured:
        return bad, "", f"fails in {measured - holding} of {measured} cases{left_out}"
    words = f"holds in all {measured} cases"
    if claim.test == "check":
        return good, "", f"{words}{left_out}"
    share = f"if they were drawn at random, up to {row['violations_left']:.0%} of others might not"
    return good, "", f"{words}; {share} (95%){left_out}"


def aside(claim: Claim, rows: Mapping[str, Mapping[Hashable, Any]]) -> str:
    """What a fair reading of a row needs besides: an earlier verdict, the values of others."""
    words = f"; earlier: {claim.earlier}" if claim.earlier else ""
    for name in claim.beside:
        row = rows.get(name, {"values": "[]"})
        if values := [value for value in json.loads(row["values"]) if value is not None]:
            span = f"{min(values):.3g} to {max(values):.3g}"
            words += f"; {name}: {len(values)} values from {span}"
    return words


def verdict(claim: Claim, row: Mapping[Hashable, Any], tests: int) -> tuple[str, str, str]:
    """Verdict, why there is none, and the numbers that say so, from a row with Holm's values."""
    measured, without = row["measured"], row["without"]
    unit = "replicates" if claim.test in ("replicates", "number") else "cases"
    left_out = f"; {without} left out" if without else ""
    if row["lacking"]:
        return "not decided", "study lacks runs", f"this study lacks: {row['lacking']}"
    if measured == 0 or (without > measured and claim.test == "replicates"):
        premise = f" or lack the premise: {claim.premise}" if claim.premise else ""
        count = f"{without} of {measured + without} {unit} diverged{premise}"
        return "not decided", claim.unmet, count
    if claim.test == "number":
        return "reported", "", f"{claim.because}{left_out}"
    if claim.test != "replicates":
        return of_cases(claim, row, left_out)
    decided = [
        (word, row[f"holm_{side}"])
        for word, side in zip(("supported", "contradicted", "no such effect"), SIDES, strict=True)
        if row[f"holm_{side}"] < ALPHA
    ]
    if not decided:
        why, words = missing(row, tests)
        return "not decided", why, f"{words}{left_out}"
    word, p = decided[0]
    beside = f"; {control_words(row)}" if row["pairs"] else ""
    smaller = claim.shown and row["size"] != ""
    if smaller:
        left_out += f"; at {row['size']}, where the paper has width 1 and N = 10,000"
    if claim.limit and moving(claim, row["half"], row["median"]):
        way = f"median {row['half']:.3g} at half of training, {row['median']:.3g} at the end"
        return "not decided", "not converged", f"{way}{left_out}"
    if smaller and word == "contradicted":
        word = "not reproduced"
    return word, "", f"p = {p:.2g} after Holm's correction{beside}{left_out}"


def decide(claims: Sequence[Claim], rows: pd.DataFrame, tests: int) -> pd.DataFrame:
    """The rows of `row_of` with corrected p-values and verdicts, in a family of so many tests."""
    table = rows.copy()
    p = table[[f"p_{side}" for side in SIDES]].to_numpy(dtype=np.float64)
    tested = np.isfinite(p)
    for name, adjust in (("holm", statistics.holm), ("bh", statistics.benjamini_hochberg)):
        adjusted = np.full_like(p, np.nan)
        adjusted[tested] = adjust(p[tested], tests)
        table[[f"{name}_{side}" for side in SIDES]] = adjusted
    records = table.to_dict("records")
    named = {claim.name: row for claim, row in zip(claims, records, strict=True)}
    found = []
    for claim, row in zip(claims, records, strict=True):
        word, why, reason = verdict(claim, row, tests)
        told = aside(claim, named) if row["measured"] else ""
        found.append((word, why, f"{reason}{told}"))
    table[["verdict", "why", "reason"]] = pd.DataFrame(found, index=table.index)
    return table
