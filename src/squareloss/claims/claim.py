"""What a claim is, and how measured values decide it.

A claim says that a number, measured on each replicate or on each network, lies on one side of a
threshold. Two kinds of test:

- `replicates`: a statement about training, which is random. The mean over replicates gets a
  bootstrap interval (BCa, 95%), and exact sign-flip tests in both directions. Fewer than
  `FEWEST` replicates decide nothing.
- `every`: a statement about all networks, like a theorem. One counterexample contradicts it.

All p-values of the first kind are corrected for their number by Holm's method, those for and those
against separately: with all verdicts together, a false *supported* has a probability of at most
`ALPHA`, and so has a false *contradicted*. Replicates share the data: an interval says what another
training would give, not what other images would.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

FEWEST = (
    6  # with 5, the smallest p of an exact test is 1/32: before any correction, hardly below 5%
)
ALPHA = 0.05
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, and the number that decides it."""

    name: str
    place: str  # in the paper
    statement: str  # in symbols
    quantity: str  # what is measured
    side: Literal[">", "<"]
    threshold: float
    because: str  # why this threshold
    experiments: tuple[str, ...]  # names of the tables it reads
    # Values by replicate, or by network; NaN where a premise fails or a replicate diverged.
    measure: Callable[[Tables], pd.Series]
    test: Literal["replicates", "every"] = "replicates"


def sign_flip_p(effects: NDArray[np.float64]) -> float:
    """One-sided p of "the mean is above 0" when each effect might as well have had the other sign.

    Exact up to 13 effects, else from 9,999 random flips.
    """
    result = permutation_test(
        (effects,), np.mean, permutation_type="samples", alternative="greater", rng=0
    )
    return float(result.pvalue)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95% interval of the mean by the bias-corrected accelerated bootstrap."""
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    result = bootstrap((values,), np.mean, method="BCa", rng=0).confidence_interval
    return float(result.low), float(result.high)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's adjusted p-values: their family-wise error is bounded whatever depends on what."""
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def evaluate(claim: Claim, tables: Tables) -> dict[str, object]:
    """One row of the table of claims, without the corrected p-values and the verdict."""
    row: dict[str, object] = {
        "claim": claim.name,
        "place": claim.place,
        "statement": claim.statement,
        "quantity": claim.quantity,
        "side": claim.side,
        "threshold": claim.threshold,
        "because": claim.because,
        "test": claim.test,
        "experiments": ", ".join(claim.experiments),
        "lacking": ", ".join(name for name in claim.experiments if name not in tables),
        "measured": 0,
        "without": 0,
        "holding": 0,
    }
    empty = dict.fromkeys(("mean", "low", "high", "p_for", "p_against"), np.nan)
    if row["lacking"]:
        return row | empty
    measured = claim.measure(tables).to_numpy(dtype=np.float64)
    values = measured[np.isfinite(measured)]
    signed = (values - claim.threshold) * (1 if claim.side == ">" else -1)
    row |= {"measured": len(values), "without": len(measured) - len(values)}
    row |= {"holding": int((signed > 0).sum())}
    row |= empty
    if len(values):
        row["mean"] = float(values.mean())
    if claim.test == "replicates" and len(values) >= FEWEST:
        row["low"], row["high"] = interval(values)
        row["p_for"], row["p_against"] = sign_flip_p(signed), sign_flip_p(-signed)
    return row


def verdict(row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """Verdict and reason from a row of `evaluate` with `holm_for` and `holm_against`."""
    measured, without, holding = row["measured"], row["without"], row["holding"]
    unit = "replicates" if row["test"] == "replicates" else "networks"
    if row["lacking"]:
        return "not decided", f"this study lacks: {row['lacking']}"
    if measured == 0 or (without > measured and row["test"] == "replicates"):
        lost = f"{without} of {measured + without} {unit}"
        return "not decided", f"{lost} diverged or do not meet the premise"
    if row["test"] == "every":
        if holding == measured:
            return "supported", f"holds in all {measured} networks"
        return "contradicted", f"fails in {measured - holding} of {measured} networks"
    if measured < FEWEST:
        return "not decided", f"{measured} replicates; {FEWEST} are needed"
    for word, key in (("supported", "holm_for"), ("contradicted", "holm_against")):
        if row[key] < ALPHA:
            return word, f"p = {row[key]:.2g} after Holm's correction"
    return "not decided", f"p = {row['holm_for']:.2g} for, {row['holm_against']:.2g} against"


def judge(claims: list[Claim], tables: Tables) -> pd.DataFrame:
    """The table of claims: one row a claim, in their order."""
    table = pd.DataFrame([evaluate(claim, tables) for claim in claims])
    for side in ("for", "against"):
        tested = table[f"p_{side}"].notna()
        table[f"holm_{side}"] = np.nan
        table.loc[tested, f"holm_{side}"] = holm(table.loc[tested, f"p_{side}"].to_numpy())
    verdicts = [verdict(row) for row in table.to_dict("records")]
    table["verdict"] = [word for word, _ in verdicts]
    table["reason"] = [reason for _, reason in verdicts]
    return table
