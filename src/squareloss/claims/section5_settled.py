"""Section 5: quasi-interpolation and collapse at critical points of small networks, lambda > 0.

What the section's statements say is exact, so that they are compared with what the optimiser
leaves. A hundredth would be no test: with a gap to interpolation of 0.004, any network that
quasi-interpolates has margins and outputs that are equal to that.
"""

from typing import Any

import pandas as pd

from squareloss.claims.claim import claim
from squareloss.claims.section3_landscape import (
    AT_CRITICAL,
    AT_CRITICAL_FITTED,
    AT_CRITICAL_OF_THREE,
    EXACT,
    EXACTLY,
    claim_of_settled,
    meeting,
)

# Measured on the same 13 problems that end at a critical point, at their random start.
NO_START = (
    "no control is measured: the table has no start, and random weights give these problems 0 to"
    " 0.8, mean 0.47. Two classes that are told apart may have it without collapse"
)
UNEQUAL = (
    "it follows from residuals that are equal, which `lemma6-residuals` judges: by Eq. 9 V_L sums"
    " the features, weighted by their residuals (errata.md). Random weights give these problems 1.3"
    " to 1.5"
)
# Random weights give these problems 0.02 to 0.2.
ONE_DIRECTION = (
    "not decided, since not measured: of two classes Sigma_B has rank 1, and this sees the variance"
    " of the features in one direction, which quasi-interpolation alone makes small. The table has"
    " no Tr(Sigma_W) / Tr(Sigma_B)"
)


def gap_of(settled: pd.DataFrame) -> pd.Series:
    """1 - rho mu at a critical point."""
    rows = meeting(settled, AT_CRITICAL)
    return 1 - rows["rho"] * rows["mu"]


claim_of_settled(
    "lemma6-residuals",
    "Section 5.1, Property 1 and Lemma 6",
    "at critical points with lambda > 0, the least loss or not, rho fbar_n = 1 - epsilon for all n",
    "residual_spread",
    "sd / mean of 1 - rho fbar_n at a critical point",
    says="A network trained to convergence with weight decay and weight normalisation satisfies"
    " rho fbar_n = 1 - epsilon for all training samples, epsilon being the gap. The proof is of the"
    " least loss, and of networks with 100% accuracy. Section 3.1 assumes that training ends at"
    " global minima, Section 5.1 says 'without any assumption': judged is the lemma's conclusion at"
    " any critical point.",
    no_control="said of all trained networks: 0 is one epsilon for all, and residuals that have"
    " nothing in common but their size have about 1",
    below=EXACT,
    because=EXACTLY,
    beside=("lemma6-margins",),
    premise=AT_CRITICAL_FITTED,
)


@claim(
    "lemma6-margins",
    "Section 5.1, proof of Lemma 6",
    "trained to convergence with lambda > 0: how equal the margins are",
    says="The loss is minimised when sigma^2 = 0: all training samples have the same margin.",
    control="the gap 1 - rho mu: as far as this apart margins may lie in any network that"
    " quasi-interpolates",
    controlled=gap_of,
    test="number",
    because="the same statement as `lemma6-residuals` on a scale on which the gap alone makes"
    " margins nearly equal",
    premise=AT_CRITICAL,
)
def margin_spread(settled: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at a critical point."""
    return meeting(settled, AT_CRITICAL)["margin_spread"]


claim_of_settled(
    "lemma7-outputs",
    "Section 5.2, Property 2 and Lemma 7",
    "at critical points with lambda > 0, the least loss or not, outputs are proportional to e~_c",
    "off_targets",
    "largest sine of the angle between an output and its target, three classes",
    says="A classifier of C classes trained to convergence with weight decay and weight"
    " normalisation has outputs proportional to their targets, for all training samples. The proof"
    " is of the least loss, and of networks with 100% accuracy. Section 3.1 assumes that training"
    " ends at global minima: judged is the lemma's conclusion at any critical point, which may"
    " have neither.",
    no_control="said of all trained networks: one whose outputs are not proportional contradicts"
    " it",
    below=EXACT,
    because="zero, up to a hundred times the gradient that is left, 1e-6: outputs are of size 1",
    earlier="below a hundredth, and supported",
    premise=AT_CRITICAL_OF_THREE,
)


@claim(
    "eq8-gap",
    "Section 3.4.1, Eq. 8",
    "the gap to interpolation is (sigma^2 + lambda) / (mu^2 + sigma^2 + lambda)",
    says="The gap to interpolation is epsilon = (sigma^2 + lambda) / (mu^2 + sigma^2 + lambda). The"
    " last sentence of Lemma 6 is this with sigma = 0.",
    below=EXACT,
    because=EXACTLY,
    test="check",
    premise=AT_CRITICAL,
)
def gap_error(settled: pd.DataFrame) -> pd.Series:
    """|gap / ((sigma^2 + lambda) / (M + lambda)) - 1| at a critical point, M = mu^2 + sigma^2."""
    rows = meeting(settled, AT_CRITICAL)
    mu, m, decay = rows["mu"], rows["M"], rows["weight_decay"]
    return (gap_of(settled) / ((m - mu**2 + decay) / (m + decay)) - 1).abs()


AT_REST = "Section 3.4.1, Eq. 9, of two outputs"
OPPOSITE = (
    "Nothing of two rows: NC2 of Theorem 5 is mu_+ = -mu_-, of class means, and its V_L is one"
    " vector. By Eq. 9 two rows are opposite at any critical point, collapsed or not (errata.md)."
)
for name, statement, column in [
    ("nc2-norms-weights", "by Eq. 9 two rows of V_L are of equal norm", "nc2_equinorm_weights"),
    ("nc2-angles-weights", "by Eq. 9 two rows of V_L are opposite", "nc2_angle_weights"),
]:
    claim_of_settled(
        f"{name}-settled",
        AT_REST,
        statement,
        column,
        f"{column} at a critical point, lambda > 0",
        says=OPPOSITE,
        below=EXACT,
        because=EXACTLY,
        test="check",
    )

FOLLOWS = (
    "Symmetric quasi-interpolation holds at convergence without any assumption, and Neural Collapse"
    " follows from it."
)
CONDITIONS: list[tuple[str, str, str, str, dict[str, Any]]] = [
    (
        "nc1",
        "NC1, in one direction: Tr(Sigma_W Sigma_B^+) = 0",
        "nc1",
        "NC1: the features of a class are all equal to their mean.",
        {"test": "number", "because": ONE_DIRECTION},
    ),
    (
        "nc3",
        "NC3: W / ||W|| = M^T / ||M||",
        "nc3",
        "NC3: V_L is proportional to the class means (which are centred here: errata.md).",
        {"test": "number", "because": UNEQUAL, "earlier": "judged, and contradicted"},
    ),
    (
        "nc4",
        "NC4: predictions are the nearest class mean",
        "nc4",
        "NC4: the sign of the output is that of the nearest class mean.",
        {"test": "number", "because": NO_START, "earlier": "judged, and supported"},
    ),
]
for name, statement, column, says, rest in CONDITIONS:
    claim_of_settled(
        f"{name}-settled",
        "Section 5.1, Lemma 6 with Theorem 5",
        statement,
        column,
        f"{column} at a critical point, lambda > 0",
        says=f"{FOLLOWS} {says}",
        **rest,
    )
