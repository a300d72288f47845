"""How measured values decide a claim.

A statement about training is decided by the median over replicates. The exact sign test supposes
nothing but that replicates are independent: neither symmetry nor a shape of their distribution.
Where a control is measured, a claim is supported only if its values also lie further on the claimed
side than their controls do, by a sign test over replicates. The larger of the two p counts, so that
the two are one test. All tests of all claims are one family. Its size is fixed and depends neither
on what a study could measure nor on claims that are added later; Holm's method keeps the
probability of any false verdict over replicates at `ALPHA` at most. The values of Benjamini and
Hochberg's method, which bound the share of false verdicts instead, stand beside them in the table
and decide nothing. Replicates share the data: a verdict says what another training would give, not
what other images would.

A statement about every network has no such probability: a case that fails contradicts it, and
cases that hold leave open what share of others would not (`statistics.violations_left`).
"""

import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from squareloss.claims import statistics
from squareloss.claims.claim import Claim, Tables
from squareloss.claims.rows import SIDES, Measured, counts, half_way, measure, row_of
from squareloss.claims.rule import ALPHA, FAMILY, decide, fewest, moving, verdict

__all__ = [
    "ALPHA",
    "FAMILY",
    "counts",
    "evaluate",
    "fewest",
    "half_way",
    "judge",
    "moving",
    "steady",
]


def evaluate(claim: Claim, tables: Tables) -> dict[str, Any]:
    """One row of the table of claims, without the corrected p-values and the verdict."""
    return row_of(claim, measure(claim, tables))


def scaled(claim: Claim, factor: float) -> dict[str, Claim]:
    """The claim with a threshold of our own times a factor, by a word on what was changed."""
    found = {}
    if claim.ours:
        found["threshold"] = replace(claim, threshold=claim.threshold * factor)
    if not math.isnan(claim.negligible):
        found["no effect"] = replace(claim, negligible=claim.negligible * factor)
    return found


def alone(claim: Claim, row: dict[str, Any], p: statistics.Floats, i: int, tests: int) -> str:
    """The verdict on row `i` of a table whose p-values, a row a claim, are these."""
    tested = np.isfinite(p)
    adjusted = np.full_like(p, np.nan)
    adjusted[tested] = statistics.holm(p[tested], max(tests, int(tested.sum())))
    corrected: dict[str, Any] = {f"holm_{side}": adjusted[i, k] for k, side in enumerate(SIDES)}
    return verdict(claim, cast(Mapping[Hashable, Any], row | corrected), tests)[0]


def turns(claims: Sequence[Claim], found: Sequence[Measured], table: pd.DataFrame) -> list[str]:
    """Whether verdicts are others with half or twice the threshold, where it is ours.

    "" if the paper's words fix it or nothing was measured, "robust", or which change turns it to
    what. Holm's correction is that of the table's own tests.
    """
    words = []
    p = table[[f"p_{side}" for side in SIDES]]
    for i, (claim, measured) in enumerate(zip(claims, found, strict=True)):
        before = table.loc[i, "verdict"]
        turned = []
        tried = 0
        for name, factor in (("x 1/2", 0.5), ("x 2", 2.0)):
            for what, variant in scaled(claim, factor).items() if table.loc[i, "measured"] else ():
                tried += 1
                row = row_of(variant, measured)
                changed = p.copy()
                changed.loc[i] = [row[f"p_{side}"] for side in SIDES]
                after = alone(variant, row, changed.to_numpy(dtype=np.float64), i, FAMILY)
                if after != before:
                    of = "" if what == "threshold" else f"{what} "
                    turned.append(f"{of}{name} ({after})")
        words.append("turns at " + ", ".join(turned) if turned else "robust" if tried else "")
    return words


def judge(claims: list[Claim], tables: Tables, tests: int = FAMILY) -> pd.DataFrame:
    """The table of claims, in a family of so many `tests`: one row a claim, in their order.

    Raises `ValueError` if the claims take more.
    """
    if sum(claim.tests for claim in claims) > tests:
        raise ValueError(f"the claims take more than {tests} tests: raise FAMILY, and say why")
    found = [measure(claim, tables) for claim in claims]
    rows = pd.DataFrame(
        [row_of(claim, measured) for claim, measured in zip(claims, found, strict=True)]
    )
    table = decide(claims, rows, tests)
    table["robust"] = turns(claims, found, table)
    return table


def steady(claims: Sequence[Claim], table: pd.DataFrame) -> tuple[int, int]:
    """Sizes of the family, from and to, between which every verdict is that of `FAMILY`.

    The least that is tried is the number of tests that the claims take, the largest 2 `FAMILY`.
    Verdicts can only be lost as the family grows, so that both ends are found by halving.
    """
    words = table["verdict"].tolist()

    def same(tests: int) -> bool:
        return decide(claims, table, tests)["verdict"].tolist() == words

    least, most = min(FAMILY, sum(claim.tests for claim in claims)), 2 * FAMILY
    low = bisect_left(range(least, FAMILY), True, key=same)
    high = bisect_left(range(FAMILY + 1, most + 1), True, key=lambda tests: not same(tests))
    return least + low, FAMILY + high
