"""Section 3: the gradient, and the landscape, on small networks trained to their end.

Each claim is one column of the table `settled`, where the network meets the premise. Its control,
if it has one, is another column.
"""

from typing import Any

import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.theory.equilibrium import CRITICAL

AT_CRITICAL = f"a gradient below {CRITICAL:g} at the end: many minima are on kinks"
AT_CRITICAL_FITTED = f"{FITTED}, and {AT_CRITICAL}"
AT_CRITICAL_OF_THREE = f"{AT_CRITICAL}; of three classes"
ZERO_LOSS = "a loss below 1e-14"
ZERO_LOSS_WIDE = f"{ZERO_LOSS}; a first layer of more than 2N units, as all of these have"
# What is exact at a critical point is measured as exactly as gradients below 1e-6 allow.
EXACT = 1e-4
EXACTLY = "zero, up to what is left of the gradient, 1e-6, over residuals of 1e-2"


def meeting(settled: pd.DataFrame, premise: str) -> pd.DataFrame:
    """The table by problem, NaN where a problem's network lacks the premise; "" is none."""
    critical = settled["gradient"] < CRITICAL
    # Of N margins none is further from their mean than sqrt(N - 1) times their sd. `residuals` is N
    # times the outputs, so that this leaves no margin below 0.
    positive = (settled["mu"] > 0) & (settled["margin_spread"] * settled["residuals"] ** 0.5 < 1)
    meets = {
        AT_CRITICAL: critical,
        AT_CRITICAL_FITTED: critical & positive,
        AT_CRITICAL_OF_THREE: settled["multiclass_gradient"] < CRITICAL,
        ZERO_LOSS: settled["free_loss"] < 1e-14,
        ZERO_LOSS_WIDE: settled["free_loss"] < 1e-14,
        "": settled["replicate"].notna(),
    }
    return settled.where(meets[premise])


LARGE = (
    'If a network is initialised with "large norm rho > rho_0", then rho_dot < 0; "since rho >> 1"'
    " an interpolating solution is likely to be near."
)


def claim_of_settled(
    name: str,
    place: str,
    statement: str,
    column: str,
    quantity: str,
    *,
    test: str = "every",
    premise: str = AT_CRITICAL,
    against: str = "",
    **rest: Any,
) -> None:
    """The claim that a column of `settled` lies on one side; the column `against` is its control.

    `rest` are further fields of `Claim`.
    """

    def measured(settled: pd.DataFrame) -> pd.Series:
        return meeting(settled, premise)[column]

    def controlled(settled: pd.DataFrame) -> pd.Series:
        return meeting(settled, premise)[against]

    rest |= {"controlled": controlled} if against else {}
    claim(name, place, statement, quantity=quantity, test=test, premise=premise, **rest)(measured)


claim_of_settled(
    "eq3-homogeneity",
    "Section 3.4.1, Lemma 2 and Eq. 3",
    "<V_k, d f / d V_k> = f for every layer",
    "eq3_error",
    "largest |<V_k, d fbar_n / d V_k> - fbar_n| of a network at its start",
    says="For a ReLU network the product of a layer's weights with its gradient is the output.",
    below=1e-10,
    because="rounding in float64",
    test="check",
    premise="",
)


@claim(
    "eq4-multiplier",
    "Section 3.4.1, Eq. 4 and 7",
    "at an equilibrium nu_k = mean(rho fbar_n (1 - rho fbar_n)) = lambda rho^2",
    says="The multiplier of a layer is nu_k = (1/N) sum_n rho fbar_n (1 - rho fbar_n), whose last"
    " bar is not printed (errata.md). By Eq. 7 that is lambda rho^2 where rho is at rest.",
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
    "Section 3.4.1, Eq. 9",
    "at an equilibrium V_k = sum_n l_n d fbar_n / d V_k / sum_n l_n fbar_n",
    "eq9_error",
    "largest distance of a V_k from the right side, at the end",
    says="If V_k is at rest, it is a sum of the samples' gradients, weighted by 1 - rho fbar_n"
    " (printed as those of f_n and over f_n; fbar_n is meant: errata.md).",
    below=EXACT,
    because=EXACTLY,
    test="check",
)
claim_of_settled(
    "lemma3-convergence",
    "Section 3.4.1, Lemma 3",
    "lambda = 0: rho and V_k stop as the loss goes to 0",
    "free_gradient",
    "norm of (rho_dot, V_k dot) where training without lambda ended",
    says="If lambda = 0 and the loss converges to 0, then rho_dot and V_k_dot go to 0.",
    below=1e-6,
    because="the speed is at most in the order of the square root of the loss",
    test="check",
    premise=ZERO_LOSS,
)


@claim(
    "theorem1-rank",
    "Section 3.3, Theorem 1, citing [46]",
    "zero-loss minima are degenerate: d - N of d directions leave the loss at 0",
    says="The zero-loss minimisers of an overparametrised network are degenerate, of dimension"
    " d - N.",
    below=0.5,
    because="a theorem; ranks are whole numbers, and N counts samples times outputs",
    test="check",
    premise=ZERO_LOSS,
)
def missing_rank(settled: pd.DataFrame) -> pd.Series:
    """|rank of the Hessian at zero loss - samples x outputs|."""
    rows = meeting(settled, ZERO_LOSS)
    return (rows["hessian_rank"] - rows["residuals"]).abs()


claim_of_settled(
    "theorem2-connected",
    "Section 3.3, Theorem 2, citing [47], and the line after it",
    "zero-loss solutions are connected by a path of low loss",
    "curve_loss",
    "largest loss on a trained curve of one bend between two solutions of lambda = 0",
    says="With a first layer of 2N neurons or more, and fewer in each that follows, every sublevel"
    " set of the loss is connected: so are zero-loss minima of different rho.",
    against="line_loss",
    control="the largest loss on the straight line between the same two solutions",
    below=1e-3,
    because="a theorem; a thousandth of the loss of a network that says nothing",
    test="check",
    premise=ZERO_LOSS_WIDE,
)
claim_of_settled(
    "rho-locally-least",
    "Section 1, paragraph 5",
    "lambda > 0: what loss is found at a smaller rho nearby",
    "loss_below",
    "least loss without lambda found from there at 0.9 / mu, mu the mean margin at the end",
    says="The solutions of SGD with weight decay have locally minimum rho.",
    against="loss_above",
    control="what the same search finds at 1.1 / mu",
    test="number",
    because="a search that finds none is no proof, and these solutions are not of SGD. Those"
    " with lambda = 0, which should have smaller rho nearby, were not searched from. At 0.9 / mu"
    " equal margins of mu leave a loss of 1e-2",
    earlier="judged, and supported",
)
claim_of_settled(
    "zero-loss-above",
    "Section 3.3, paragraph before `Landscape for lambda > 0`",
    "what loss is found at a larger rho",
    "loss_above",
    "least loss found at 1.1 / mu",
    says="With increasing rho there is a continuous set of zero-loss minima.",
    against="loss_below",
    control="what the same search finds at 0.9 / mu",
    test="number",
    because="a search that ended above 0 would not show that there are none",
    earlier="judged, and supported",
)
claim_of_settled(
    "large-start-falls",
    "Section 3.5, large initialization, first sentence",
    "rho > rho_0 at the start, taken literally: rho_dot < 0",
    "rho_dot_above",
    "rho_dot at rho = 1.5 rho_0 and random V_k, lambda = 0; rho_0 is 1 / mu at the end of training",
    says=LARGE,
    beside=("very-large-start-falls",),
    no_control="a sign at a start, before any mechanism: random V_k whose mu exceeds rho M would"
    " contradict it",
    below=0,
    because="a sign",
)
claim_of_settled(
    "very-large-start-falls",
    "Section 3.5, large initialization",
    "rho_dot at a start of 100 rho_0",
    "rho_dot_far_above",
    "rho_dot at rho = 100 rho_0 and random V_k, lambda = 0",
    says=LARGE,
    test="number",
    because="by Eq. 6 the sign is certain for a large enough rho, whatever the network:"
    " `large-start-falls` judges the statement where it can fail",
)
claim_of_settled(
    "inseparable-start",
    "Section 3.5, paragraph 2",
    "what becomes of a small start with mu < 0",
    "inseparable_growth",
    "largest |rho| of gradient descent from rho = 0.01 with mu < 0, over that of the start",
    says="rho = 0 is a critical, unstable point. From near it either rho_dot < 0 and rho goes back"
    " to zero, or rho grows, if mu > lambda rho > 0.",
    test="number",
    because="with mu < 0 rho_dot is negative by Eq. 6, and rho goes back towards zero, as the paper"
    " says. That it stays there is not said, and afterwards it does not (errata.md)",
    premise="",
)
