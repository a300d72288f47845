"""What a claim is: one function that measures, and what the paper says of the measured number.

A claim is one function, decorated with `claim`: its parameters name the tables that it reads, its
docstring says what it measures, and the decorator says what the paper states, where, and on which
side of which threshold the measured number lies then. There are four kinds:

- `replicates`: a statement about training, which is random. `verdict.py` tests the median over
  replicates.
- `every`: a statement about all networks. One counterexample contradicts it.
- `check`: proved, or arithmetic: if it fails in any case, the implementation is wrong. Checks are a
  table of their own and never counted among the statements that training supports.
- `number`: reported beside the paper's words and not judged, because those words claim nothing that
  the number could contradict, or because it is of another setting than the paper's.

A statement of the first two kinds says what its `control` is: what would be measured without the
mechanism that the paper names. Where the measured number is no difference from it already,
`controlled` measures it, and the claim is supported only if its number lies further on the claimed
side than its control. A claim without a control says why.

What does not meet a claim's premise is left out and counted.
"""

import ast
import inspect
import math
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

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
    side: Literal[">", "<", "within", ""]  # within: at most the threshold away from 0; "": a number
    threshold: float
    because: str  # why this threshold; of a number, why it is not judged
    # Takes the tables that its parameters name and gives values by replicate, or by case; NaN where
    # the premise fails or a replicate diverged.
    function: Measure
    test: Literal["replicates", "every", "check", "number"] = "replicates"
    says: str = ""  # what the paper says at the place, in other words and no stronger
    control: str = ""  # what would be measured without the mechanism that the paper names
    controlled: Measure | None = None  # measures it; None where the claim is a difference from it
    no_control: str = ""  # why there is none
    given: bool = False  # whether the paper's words fix the threshold, as they do no difference
    premise: str = ""  # what is measured has it; the rest is left out
    unmet: str = "premise unmet"  # why nothing is decided where too few have the premise
    limit: bool = False  # whether the statement is about where training ends up in the long run
    # Whether the paper shows it of a network of its own: one that is smaller, or has fewer images,
    # does not contradict it.
    shown: bool = False
    earlier: str = ""  # what was judged before its results were known, if not this, and how
    beside: tuple[str, ...] = ()  # claims whose values are told in the row, for a fair reading
    # An effect that differs from the threshold by less than this is as good as none.
    negligible: float = math.nan
    negligible_because: str = ""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables it reads: experiments, their layers, or small problems."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def tests(self) -> int:
        """How many tests of a median it takes: for, against (on one side or two), of no effect."""
        if self.test != "replicates":
            return 0
        return (3 if self.side == "within" else 2) + (not math.isnan(self.negligible))

    def measure(self, tables: Tables) -> pd.Series:
        """The measured values. Raises `UnsuitableError` if the tables lack runs to compare."""
        return self.function(**{name: tables[name] for name in self.tables})

    def measure_control(self, tables: Tables) -> pd.Series:
        """The control's values, by the same replicates or cases; empty if nothing measures it."""
        if self.controlled is None:
            return pd.Series(dtype=float)
        return self.controlled(**{name: tables[name] for name in self.tables})

    @property
    def ours(self) -> bool:
        """Whether the threshold was chosen here, and not by the paper's words."""
        return self.test != "number" and self.threshold != 0 and not self.given

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
    says: str,
    because: str,
    above: float | None = None,
    below: float | None = None,
    within: float | None = None,
    quantity: str = "",
    **rest: Any,
) -> Callable[[Measure], Measure]:
    """Make the decorated function a claim: what it measures lies `above`, `below` or `within`.

    `within` is the largest distance from 0. `because` is the reason for the threshold; `quantity`
    says what is measured in the place of a docstring; `rest` are further fields of `Claim`. Raises
    `TypeError` for a claim without a place or a word on what the paper says there, that has not one
    threshold (a number has none), has not one of a control and a reason why there is none, gives no
    reason for the size of a negligible effect, or has no word on what it measures, and
    `ValueError` for a name that is taken.
    """
    sides: dict[Literal[">", "<", "within", ""], float | None]
    sides = {">": above, "<": below, "within": within}
    given = [(side, value) for side, value in sides.items() if value is not None]
    test = rest.get("test", "replicates")
    if test == "number":
        if given:
            raise TypeError(f"claim {name}: a number that is not judged has no threshold")
        given = [("", math.nan)]
    if len(given) != 1:
        raise TypeError(f"claim {name}: give one of `above`, `below` and `within`")
    if not (place and says and because):
        raise TypeError(f"claim {name}: say where the paper states it, what it `says`, and because")
    if test in ("replicates", "every") and bool(rest.get("control")) == bool(
        rest.get("no_control")
    ):
        raise TypeError(f"claim {name}: give a `control`, or with `no_control` why there is none")
    if rest.get("controlled") and not rest.get("control"):
        raise TypeError(f"claim {name}: say in `control` what `controlled` measures")
    if ("negligible" in rest) != ("negligible_because" in rest):
        raise TypeError(f"claim {name}: give both `negligible` and `negligible_because`")
    if name in {known.name for known in CLAIMS}:
        raise ValueError(f"claim {name}: there is another of this name")

    def register(function: Measure) -> Measure:
        about = quantity or _docstring(function).strip().partition("\n")[0].removesuffix(".")
        if not about:
            raise TypeError(
                f"claim {name}: its function needs a docstring that says what it measures"
            )
        fields = rest | {"says": says}
        CLAIMS.append(Claim(name, place, statement, about, *given[0], because, function, **fields))
        return function

    return register


def _docstring(function: Measure) -> str:
    """A function's docstring; from its source under `python -OO`, which leaves docstrings out."""
    if sys.flags.optimize < 2:
        return function.__doc__ or ""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef)
    return ast.get_docstring(definition) or ""
