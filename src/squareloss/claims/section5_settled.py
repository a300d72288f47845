"""Section 5: quasi-interpolation and collapse at critical points of small networks, lambda > 0."""

import pandas as pd

from squareloss.claims.claim import claim
from squareloss.claims.section3_landscape import AT_CRITICAL, critical

HUNDREDTH = "a hundredth of the scale, where the gradient is zero to six digits"


@claim(
    "lemma6-margins",
    "Lemma 6",
    "trained to convergence with lambda > 0, all margins are equal",
    below=1e-4,
    because="zero, up to where the optimiser stops",
    test="every",
    premise=AT_CRITICAL,
)
def margin_spread(settled: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at a critical point."""
    return critical(settled, "margin_spread")


@claim(
    "lemma6-residuals",
    "Lemma 6, as the proofs of Theorems 5 and 6 use it",
    "trained to convergence with lambda > 0, all residuals 1 - rho fbar_n are equal",
    below=0.01,
    because=HUNDREDTH,
    test="every",
    premise=AT_CRITICAL,
)
def residual_spread(settled: pd.DataFrame) -> pd.Series:
    """sd / mean of 1 - rho fbar_n at a critical point."""
    return critical(settled, "residual_spread")


@claim(
    "lemma6-gap",
    "Lemma 6",
    "the gap to interpolation is lambda / (mu^2 + lambda), although sigma is not 0",
    below=0.01,
    because="a hundredth of the gap",
    test="every",
    premise=AT_CRITICAL,
)
def gap_error(settled: pd.DataFrame) -> pd.Series:
    """|gap / (lambda / (mu^2 + lambda)) - 1| at a critical point."""
    mu, rho, decay = (critical(settled, name) for name in ("mu", "rho", "weight_decay"))
    return ((1 - rho * mu) / (decay / (mu**2 + decay)) - 1).abs()


def settled_collapse(name: str, statement: str, column: str) -> None:
    """The claim that one condition of collapse holds at critical points."""

    @claim(
        f"{name}-settled",
        "Theorem 5, small networks",
        statement,
        below=0.01,
        because=HUNDREDTH,
        test="every",
        premise=AT_CRITICAL,
        quantity=f"{column} at a critical point, lambda > 0",
    )
    def measured(settled: pd.DataFrame) -> pd.Series:
        return critical(settled, column)


settled_collapse("nc1", "NC1: Tr(Sigma_W Sigma_B^+) = 0", "nc1")
settled_collapse("nc2-norms-weights", "NC2: ||w_c|| equal", "nc2_equinorm_weights")
settled_collapse("nc2-angles-weights", "NC2: cos(w_c, w_c') = -1/(C-1)", "nc2_angle_weights")
settled_collapse("nc3", "NC3: W / ||W|| = M^T / ||M||", "nc3")
settled_collapse("nc4", "NC4: predictions are the nearest class mean", "nc4")
