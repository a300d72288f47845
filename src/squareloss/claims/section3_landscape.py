"""Section 3: the gradient, and the landscape, on small networks trained to their end."""

import pandas as pd

from squareloss.claims.claim import claim
from squareloss.tables.small import CRITICAL

AT_CRITICAL = f"a gradient below {CRITICAL:g} at the end: many minima are on kinks"
ROUNDING = "rounding in float64"


def critical(settled: pd.DataFrame, column: str) -> pd.Series:
    """A column by problem, NaN where training did not end at a critical point."""
    return settled.set_index("replicate")[column].where(
        settled.set_index("replicate")["gradient"] < CRITICAL
    )


@claim(
    "eq3-homogeneity",
    "Lemma 2, Eq. 3",
    "<V_k, d f / d V_k> = f for every layer",
    below=1e-10,
    because=ROUNDING,
    test="check",
)
def homogeneity(settled: pd.DataFrame) -> pd.Series:
    """Largest |<V_k, d fbar_n / d V_k> - fbar_n| of a network at its start."""
    return settled["eq3_error"]


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
    nu, rho = critical(settled, "multiplier"), critical(settled, "rho")
    return (nu - critical(settled, "weight_decay") * rho**2).abs()


@claim(
    "eq9-weights",
    "Eq. 9",
    "at an equilibrium V_k = sum_n l_n d fbar_n / d V_k / sum_n l_n fbar_n",
    below=1e-4,
    because="what is left of the gradient, over residuals of 1e-2",
    test="check",
    premise=AT_CRITICAL,
)
def weights_of_an_equilibrium(settled: pd.DataFrame) -> pd.Series:
    """Largest distance of a V_k from the right side, at the end."""
    return critical(settled, "eq9_error")


@claim(
    "lemma3-convergence",
    "Lemma 3",
    "lambda = 0: rho and V_k stop as the loss goes to 0",
    below=1e-6,
    because="the speed is at most in the order of the square root of the loss",
    test="check",
    premise="a loss below 1e-14",
)
def speed_at_zero_loss(settled: pd.DataFrame) -> pd.Series:
    """Norm of (rho_dot, V_k dot) where training without lambda ended."""
    return settled["free_gradient"].where(settled["free_loss"] < 1e-14)


@claim(
    "theorem1-rank",
    "Theorem 1",
    "zero-loss minima are degenerate: d - N of d directions leave the loss at 0",
    below=0.5,
    because="ranks are whole numbers; N counts samples times outputs",
    test="every",
    premise="a loss below 1e-14",
)
def missing_rank(settled: pd.DataFrame) -> pd.Series:
    """|rank of the Hessian at zero loss - samples x outputs|."""
    difference = (settled["hessian_rank"] - settled["residuals"]).abs()
    return difference.where(settled["free_loss"] < 1e-14)


@claim(
    "theorem2-connected",
    "Theorem 2, Figure 2",
    "zero-loss solutions are connected by a path of low loss",
    below=1e-3,
    because="a thousandth of the loss of a network that says nothing; a curve of one bend",
    test="every",
    premise="a loss below 1e-14",
)
def loss_on_a_curve(settled: pd.DataFrame) -> pd.Series:
    """Largest loss on a trained curve between two solutions of lambda = 0."""
    return settled["curve_loss"].where(settled["free_loss"] < 1e-14)


@claim(
    "theorem2-line",
    "Section 3.3, Figure 2",
    "the valley is curved: the straight way between two solutions leaves it",
    above=1e-3,
    because="the same thousandth",
    test="every",
    premise="a loss below 1e-14",
)
def loss_on_the_line(settled: pd.DataFrame) -> pd.Series:
    """Largest loss on the line between the same two solutions."""
    return settled["line_loss"].where(settled["free_loss"] < 1e-14)


@claim(
    "no-zero-loss-below",
    "Section 3.3",
    "below a certain rho_0 there are no zero-loss minima",
    above=1e-3,
    because="at 0.9 rho_0 equal margins of 1 / rho_0 leave a loss of 1e-2",
    test="every",
    premise=AT_CRITICAL,
)
def loss_below(settled: pd.DataFrame) -> pd.Series:
    """Least loss found at 0.9 / mu, mu the mean margin at the end with a small lambda."""
    return critical(settled, "loss_below")


@claim(
    "zero-loss-above",
    "Section 3.3",
    "with increasing rho there is a continuum of zero-loss minima",
    below=1e-10,
    because="zero, up to where the optimiser stops",
    test="every",
    premise=AT_CRITICAL,
)
def loss_above(settled: pd.DataFrame) -> pd.Series:
    """Least loss found at 1.1 / mu."""
    return critical(settled, "loss_above")


@claim(
    "large-start-falls",
    "Section 3.5",
    "rho > rho_0 at the start: rho_dot < 0",
    below=0,
    because="a sign",
    test="every",
    premise=AT_CRITICAL,
)
def speed_above(settled: pd.DataFrame) -> pd.Series:
    """rho_dot at rho = 1.5 rho_0 and random V_k, lambda = 0."""
    return critical(settled, "rho_dot_above")


@claim(
    "very-large-start-falls",
    "Section 3.5",
    "rho >> rho_0 at the start: rho_dot < 0",
    below=0,
    because="a sign",
    test="every",
    premise=AT_CRITICAL,
)
def speed_far_above(settled: pd.DataFrame) -> pd.Series:
    """rho_dot at rho = 100 rho_0 and random V_k, lambda = 0."""
    return critical(settled, "rho_dot_far_above")


@claim(
    "inseparable-start-dies",
    "Section 3.5",
    "a small start with mu <= lambda rho goes back to rho = 0",
    below=1 + 1e-6,
    because="it never gets larger than at the start",
    test="every",
)
def growth(settled: pd.DataFrame) -> pd.Series:
    """Largest |rho| on the gradient flow from rho = 0.01 with mu < 0, over that of the start."""
    return settled["inseparable_growth"]
