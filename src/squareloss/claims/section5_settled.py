"""Section 5: quasi-interpolation and collapse at critical points of small networks, lambda > 0."""

import pandas as pd

from squareloss.claims.claim import claim
from squareloss.claims.section3_landscape import (
    AT_CRITICAL,
    AT_CRITICAL_OF_THREE,
    claim_of_settled,
    meeting,
)

HUNDREDTH = "a hundredth of the scale, where the gradient is zero to six digits"

claim_of_settled(
    "lemma6-margins",
    "Lemma 6",
    "trained to convergence with lambda > 0, all margins are equal",
    "margin_spread",
    "sd / mean of the margins at a critical point",
    below=1e-4,
    because="zero, up to where the optimiser stops",
)
claim_of_settled(
    "lemma6-residuals",
    "Lemma 6, as the proofs of Theorems 5 and 6 use it",
    "trained to convergence with lambda > 0, all residuals 1 - rho fbar_n are equal",
    "residual_spread",
    "sd / mean of 1 - rho fbar_n at a critical point",
    below=0.01,
    because=HUNDREDTH,
)
claim_of_settled(
    "lemma7-outputs",
    "Lemma 7, Property 2",
    "trained to convergence with lambda > 0, outputs are proportional to their targets e~_c",
    "off_targets",
    "largest sine of the angle between an output and its target, three classes",
    below=0.01,
    because=HUNDREDTH,
    premise=AT_CRITICAL_OF_THREE,
)


@claim(
    "lemma6-gap",
    "Lemma 6",
    "the gap to interpolation is lambda / (mu^2 + lambda)",
    below=0.01,
    because="a hundredth of the gap",
    test="every",
    premise=AT_CRITICAL,
)
def gap_error(settled: pd.DataFrame) -> pd.Series:
    """|gap / (lambda / (mu^2 + lambda)) - 1| at a critical point."""
    rows = meeting(settled, AT_CRITICAL)
    mu, decay = rows["mu"], rows["weight_decay"]
    return ((1 - rows["rho"] * mu) / (decay / (mu**2 + decay)) - 1).abs()


# For two classes Eq. 9 gives the rows of V_L opposite values at any critical point: no collapse
# is needed for NC2 of the weights, which is a check.
for name, statement, column, test in [
    ("nc1", "NC1: Tr(Sigma_W Sigma_B^+) = 0", "nc1", "every"),
    ("nc2-norms-weights", "NC2: ||w_c|| equal", "nc2_equinorm_weights", "check"),
    ("nc2-angles-weights", "NC2: cos(w_c, w_c') = -1/(C-1)", "nc2_angle_weights", "check"),
    ("nc3", "NC3: W / ||W|| = M^T / ||M||", "nc3", "every"),
    ("nc4", "NC4: predictions are the nearest class mean", "nc4", "every"),
]:
    claim_of_settled(
        f"{name}-settled",
        "Theorem 5, small networks",
        statement,
        column,
        f"{column} at a critical point, lambda > 0",
        test=test,
        below=0.01,
        because=HUNDREDTH,
    )
