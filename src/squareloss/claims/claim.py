"""What a claim is, and how measured values decide it.

A claim is one function, decorated with `claim`: its parameters name the tables that it reads, its
docstring says what it measures, and the decorator says what the paper states and on which side of
which threshold the measured number lies then. There are two kinds of test:

- `replicates`: a statement about training, which is random. The mean over replicates gets a
  bootstrap interval (BCa, 95%), and exact sign-flip tests in both directions. Fewer than
  `FEWEST` replicates decide nothing.
- `every`: a statement about all networks, like a theorem. One counterexample contradicts it.

What does not meet a claim's premise is left out and counted. A claim about a limit is measured a
second time, at the last snapshot but one: while it still approaches its threshold, being on the
wrong side does not contradict it.

All p-values of the first kind are corrected for their number by Holm's method, those for and those
against separately: with all verdicts together, a false *supported* has a probability of at most
`ALPHA`, and so has a false *contradicted*. Replicates share the data: an interval says what another
training would give, not what other images would.
"""

import inspect
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

from squareloss.tables.runs import RUN

# The smallest p of an exact test of 5 replicates is 1/32, which no correction would leave below 5%.
FEWEST = 6
ALPHA = 0.05
# A limit is still approached if the last two snapshots cover this share of what is missing.
APPROACHING = 0.1
FITTED = "zero training error"
Tables = Mapping[str, pd.DataFrame]
Measure = Callable[..., pd.Series]


class UnsuitableError(ValueError):
    """The tables do not hold the runs that a claim compares."""


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
    # Takes the tables that its parameters name and gives values by replicate, or by case; NaN where
    # the premise fails or a replicate diverged.
    function: Measure
    test: Literal["replicates", "every"] = "replicates"
    premise: str = ""  # what is measured has it; the rest is left out
    limit: bool = False  # whether the statement is about where training ends up in the long run

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables it reads: experiments, their layers, or small problems."""
        return tuple(inspect.signature(self.function).parameters)

    def measure(self, tables: Tables) -> pd.Series:
        """The measured values. Raises `UnsuitableError` if the tables lack runs to compare."""
        return self.function(**{name: tables[name] for name in self.tables})

    @property
    def measured(self) -> str:
        """What is measured, and where."""
        return f"{self.quantity}{f'; only with {self.premise}' if self.premise else ''}"


CLAIMS: list[Claim] = []  # in the order of their definition


def claim(
    name: str,
    place: str,
    statement: str,
    *,
    because: str,
    above: float | None = None,
    below: float | None = None,
    quantity: str = "",
    **rest: Any,
) -> Callable[[Measure], Measure]:
    """Make the decorated function a claim: the value that it measures lies `above` or `below`.

    `because` is the reason for the threshold; `quantity` says what is measured in the place of a
    docstring; `rest` are further fields of `Claim`. Raises `TypeError` for a claim without a side,
    with two, or without a word on what it measures, and `ValueError` for a name that is taken.
    """
    if (above is None) == (below is None):
        raise TypeError(f"claim {name}: give one of `above` and `below`")
    if name in {known.name for known in CLAIMS}:
        raise ValueError(f"claim {name}: there is another of this name")

    def register(function: Measure) -> Measure:
        about = quantity or (function.__doc__ or "").strip().partition("\n")[0].removesuffix(".")
        if not about:
            raise TypeError(
                f"claim {name}: its function needs a docstring that says what it measures"
            )
        side: Literal[">", "<"] = "<" if above is None else ">"
        threshold = below if above is None else above
        assert threshold is not None
        CLAIMS.append(
            Claim(name, place, statement, about, side, threshold, because, function, **rest)
        )
        return function

    return register


def sign_flip_p(effects: NDArray[np.float64]) -> float:
    """One-sided p of "the mean is above 0" when each effect might as well have had the other sign.

    That supposes effects distributed symmetrically. Exact up to 13, else from 9,999 random flips.
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


def before(tables: Tables) -> Tables:
    """The tables up to each run's last snapshot but one, which comes at half of training."""
    cut = {}
    for name, table in tables.items():
        if "stable_rank" not in table:  # a small problem: it has no snapshots
            continue
        snapshots = table[table["stable_rank"].notna()].groupby(RUN)["epoch"].unique()
        limits = snapshots.map(lambda epochs: sorted(epochs)[-2] if len(epochs) > 1 else -1)
        limit = table[RUN].join(limits.rename("limit"), on=RUN)["limit"]
        cut[name] = table[(table["epoch"] <= limit).to_numpy()]
    return cut


def approach(claim: Claim, tables: Tables, end: pd.Series) -> float:
    """Mean at the last snapshot but one, where the mean `end` approaches the threshold; else NaN.

    Over the replicates measured at both.
    """
    try:
        earlier = claim.measure(before(tables))
    except UnsuitableError:
        return math.nan
    both = pd.DataFrame({"earlier": earlier, "end": end}).astype(float)
    both = both.replace([np.inf, -np.inf], np.nan).dropna()
    first, second = float(both["earlier"].mean()), float(both["end"].mean())
    towards = 1 if claim.side == ">" else -1
    missing, moved = towards * (claim.threshold - second), towards * (second - first)
    return first if moved > APPROACHING * missing > 0 else math.nan


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
        "tables": ", ".join(claim.tables),
        "lacking": ", ".join(name for name in claim.tables if name not in tables),
        "measured": 0,  # replicates, or cases: networks, layers or small problems
        "without": 0,  # those that diverged or lack the premise
        "holding": 0,  # those on the claimed side
    }
    row |= dict.fromkeys(("mean", "worst", "low", "high", "p_for", "p_against"), math.nan)
    row["earlier"] = math.nan
    if row["lacking"]:
        return row
    try:
        found = claim.measure(tables)
    except UnsuitableError as error:
        return row | {"lacking": str(error)}
    measured = found.to_numpy(dtype=np.float64)
    values = measured[np.isfinite(measured)]
    signed = (values - claim.threshold) * (1 if claim.side == ">" else -1)
    row |= {"measured": len(values), "without": len(measured) - len(values)}
    row |= {"holding": int((signed > 0).sum())}
    if len(values):
        row |= {"mean": float(values.mean()), "worst": float(values[signed.argmin()])}
    if claim.test == "replicates" and len(values) >= FEWEST:
        row["low"], row["high"] = interval(values)
        row["p_for"], row["p_against"] = sign_flip_p(signed), sign_flip_p(-signed)
        if claim.limit:
            row["earlier"] = approach(claim, tables, found)
    return row


def verdict(row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """Verdict and reason from a row of `evaluate` with `holm_for` and `holm_against`."""
    measured, without, holding = row["measured"], row["without"], row["holding"]
    unit = "replicates" if row["test"] == "replicates" else "cases"
    premise = f" or lack the premise: {row['premise']}" if row["premise"] else ""
    if row["lacking"]:
        return "not decided", f"this study lacks: {row['lacking']}"
    if measured == 0 or (without > measured and row["test"] == "replicates"):
        return "not decided", f"{without} of {measured + without} {unit} diverged{premise}"
    left_out = f"; {without} left out" if without else ""
    if row["test"] == "every":
        if holding == measured:
            return "supported", f"holds in all {measured} cases{left_out}"
        return "contradicted", f"fails in {measured - holding} of {measured} cases{left_out}"
    if measured < FEWEST:
        return "not decided", f"{measured} replicates; {FEWEST} are needed{left_out}"
    if row["holm_for"] < ALPHA:
        return "supported", f"p = {row['holm_for']:.2g} after Holm's correction{left_out}"
    if row["holm_against"] < ALPHA:
        if np.isfinite(row["earlier"]):
            course = f"{row['earlier']:.3g} one snapshot before, {row['mean']:.3g} at the end"
            return "not decided", f"not converged, still on its way: {course}{left_out}"
        return "contradicted", f"p = {row['holm_against']:.2g} after Holm's correction{left_out}"
    p = f"p = {row['holm_for']:.2g} for, {row['holm_against']:.2g} against"
    return "not decided", f"{p}{left_out}"


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
