"""Section 3: the gradient, and the landscape, on small networks trained to their end.

Each claim is one column of the table `settled`, where the network meets the premise.
"""

from typing import Any

import pandas as pd

from squareloss.claims.claim import claim
from squareloss.theory.equilibrium import CRITICAL

AT_CRITICAL = f"a gradient below {CRITICAL:g} at the end: many minima are on kinks"
AT_CRITICAL_OF_THREE = f"{AT_CRITICAL}; of three classes"
ZERO_LOSS = "a loss below 1e-14"


def meeting(settled: pd.DataFrame, premise: str) -> pd.DataFrame:
    """The table by problem, NaN where a problem's network lacks the premise; "" is none."""
    meets = {
        AT_CRITICAL: settled["gradient"] < CRITICAL,
        AT_CRITICAL_OF_THREE: settled["multiclass_gradient"] < CRITICAL,
        ZERO_LOSS: settled["free_loss"] < 1e-14,
        "": settled["replicate"].notna(),
    }
    return settled.where(meets[premise])


def claim_of_settled(
    name: str,
    place: str,
    statement: str,
    column: str,
    quantity: str,
    *,
    test: str = "every",
    premise: str = AT_CRITICAL,
    **threshold: Any,
) -> None:
    """The claim that a column of `settled` lies on one side of a threshold."""

    def measured(settled: pd.DataFrame) -> pd.Series:
        return meeting(settled, premise)[column]

    claim(name, place, statement, quantity=quantity, test=test, premise=premise, **threshold)(
        measured
    )


claim_of_settled(
    "eq3-homogeneity",
    "Lemma 2, Eq. 3",
    "<V_k, d f / d V_k> = f for every layer",
    "eq3_error",
    "largest |<V_k, d fbar_n / d V_k> - fbar_n| of a network at its start",
    below=1e-10,
    because="rounding in float64",
    test="check",
    premise="",
)


@claim(
    "eq4-multiplier",
    "Eq. 4 and 7",
    "at an equilibrium nu_k = mean(rho fbar_n (1 - rho fbar_n)) = lambda rho^2",
    below=1e-6,
    because="what is left of the gradient",
    test="check",
    premise=AT_CRITICAL,
)
def multiplier(settled: pd.DataFrame) -> pd.Series:
    """|nu_k - lambda rho^2| at the end."""
    rows = meeting(settled, AT_CRITICAL)
    return (rows["multiplier"] - rows["weight_decay"] * rows["rho"] ** 2).abs()


claim_of_settled(
    "eq9-weights",
    "Eq. 9",
    "at an equilibrium V_k = sum_n l_n d fbar_n / d V_k / sum_n l_n fbar_n",
    "eq9_error",
    "largest distance of a V_k from the right side, at the end",
    below=1e-4,
    because="what is left of the gradient, over residuals of 1e-2",
    test="check",
)
claim_of_settled(
    "lemma3-convergence",
    "Lemma 3",
    "lambda = 0: rho and V_k stop as the loss goes to 0",
    "free_gradient",
    "norm of (rho_dot, V_k dot) where training without lambda ended",
    below=1e-6,
    because="the speed is at most in the order of the square root of the loss",
    test="check",
    premise=ZERO_LOSS,
)


@claim(
    "theorem1-rank",
    "Theorem 1",
    "zero-loss minima are degenerate: d - N of d directions leave the loss at 0",
    below=0.5,
    because="ranks are whole numbers; N counts samples times outputs",
    test="every",
    premise=ZERO_LOSS,
)
def missing_rank(settled: pd.DataFrame) -> pd.Series:
    """|rank of the Hessian at zero loss - samples x outputs|."""
    rows = meeting(settled, ZERO_LOSS)
    return (rows["hessian_rank"] - rows["residuals"]).abs()


claim_of_settled(
    "theorem2-connected",
    "Theorem 2, Figure 2",
    "zero-loss solutions are connected by a path of low loss",
    "curve_loss",
    "largest loss on a trained curve between two solutions of lambda = 0",
    below=1e-3,
    because="a thousandth of the loss of a network that says nothing; a curve of one bend",
    premise=ZERO_LOSS,
)
claim_of_settled(
    "theorem2-line",
    "Section 3.3, Figure 2",
    "the valley is curved (our reading of it): the straight way between two solutions leaves it",
    "line_loss",
    "largest loss on the line between the same two solutions",
    above=1e-3,
    because="the same thousandth",
    premise=ZERO_LOSS,
)
claim_of_settled(
    "no-zero-loss-below",
    "Section 3.3",
    "below a certain rho_0 there are no zero-loss minima",
    "loss_below",
    "least loss found at 0.9 / mu, mu the mean margin at the end with a small lambda",
    above=1e-3,
    because="at 0.9 rho_0 equal margins of 1 / rho_0 leave a loss of 1e-2",
)
claim_of_settled(
    "zero-loss-above",
    "Section 3.3",
    "at a larger rho there are zero-loss minima",
    "loss_above",
    "least loss found at 1.1 / mu",
    below=1e-10,
    because="zero, up to where the optimiser stops",
)
claim_of_settled(
    "large-start-falls",
    "Section 3.5",
    "rho > rho_0 at the start: rho_dot < 0",
    "rho_dot_above",
    "rho_dot at rho = 1.5 rho_0 and random V_k, lambda = 0",
    below=0,
    because="a sign",
)
claim_of_settled(
    "very-large-start-falls",
    "Section 3.5",
    "rho >> rho_0 at the start: rho_dot < 0",
    "rho_dot_far_above",
    "rho_dot at rho = 100 rho_0 and random V_k, lambda = 0",
    below=0,
    because="a sign",
)
claim_of_settled(
    "inseparable-start-dies",
    "Section 3.5",
    "a small start with mu <= lambda rho goes back to rho = 0, and stays there",
    "inseparable_growth",
    "largest |rho| of gradient descent from rho = 0.01 with mu < 0, over that of the start",
    below=1 + 1e-6,
    because="it never gets larger than at the start",
    premise="",
)
