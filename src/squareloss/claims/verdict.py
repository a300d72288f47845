"""How measured values decide a claim.

A statement about training is decided by the median over replicates. The exact sign test assumes
that replicates are independent, and nothing about their distribution. If a control is measured, a
claim is supported only if its values also lie further on the claimed side than the control's
values, by a sign test over replicates. The larger of the two p counts, so that the two are one
test.

All tests of all claims are one family. Its size is fixed: it depends neither on what a study could
measure nor on claims that are added later. Holm's method keeps the probability of any false verdict
over replicates at `ALPHA` at most. The table also has the values of Benjamini and Hochberg's
method, which bound the share of false verdicts. They decide nothing. Replicates share the data: a
verdict is about other trainings, not about other images.

A statement about every network has no such probability. One case that fails contradicts it. If all
cases hold, others may still fail: `statistics.violations_left` bounds their share.
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
from squareloss.claims.rows import SIDES, Measured, measure, row_of
from squareloss.claims.rule import ALPHA, FAMILY, decide, fewest, verdict

__all__ = [
    "ALPHA",
    "FAMILY",
    "evaluate",
    "fewest",
    "judge",
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


def turns(
    claims: Sequence[Claim], found: Sequence[Measured], table: pd.DataFrame, tests: int
) -> list[str]:
    """For each claim, whether half or twice a threshold of our own changes the verdict.

    "robust" if neither does, else "turns at x 2 (contradicted)" or the like. "" if the paper's
    words fix the threshold, or nothing was measured. Holm's correction uses all p of the table.
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
                after = alone(variant, row, changed.to_numpy(dtype=np.float64), i, tests)
                if after != before:
                    of = "" if what == "threshold" else f"{what} "
                    turned.append(f"{of}{name} ({after})")
        words.append("turns at " + ", ".join(turned) if turned else "robust" if tried else "")
    return words


def judge(claims: list[Claim], tables: Tables, tests: int = FAMILY) -> pd.DataFrame:
    """The table of claims, one row a claim in their order; `tests` is the size of the family.

    Raises `ValueError` if the claims take more.
    """
    if sum(claim.tests for claim in claims) > tests:
        raise ValueError(f"the claims take more than {tests} tests: raise FAMILY, and say why")
    found = [measure(claim, tables) for claim in claims]
    rows = pd.DataFrame(
        [row_of(claim, measured) for claim, measured in zip(claims, found, strict=True)]
    )
    table = decide(claims, rows, tests)
    table["robust"] = turns(claims, found, table, tests)
    return table


def steady(claims: Sequence[Claim], table: pd.DataFrame) -> tuple[int, int]:
    """The smallest and largest family in which every verdict is that of `FAMILY`.

    Sizes are tried from the number of tests that the claims take to 2 `FAMILY`. A larger family can
    only lose verdicts, so both ends are found by bisection.
    """
    words = table["verdict"].tolist()

    def same(tests: int) -> bool:
        return decide(claims, table, tests)["verdict"].tolist() == words

    least, most = min(FAMILY, sum(claim.tests for claim in claims)), 2 * FAMILY
    low = bisect_left(range(least, FAMILY), True, key=same)
    high = bisect_left(range(FAMILY + 1, most + 1), True, key=lambda tests: not same(tests))
    return least + low, FAMILY + high
