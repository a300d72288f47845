"""Section 7: normalisations of the same network.

Errors, ρ and NC1 against the epoch for weight normalisation with frozen norms, the Lagrange
multiplier, batch normalisation and none, on the same network, data and schedule; bands are
quartiles.

The paper models normalisation by a Lagrange multiplier and leaves open why batch normalisation
leads to better solutions. With `config/long.yaml` batch normalisation fits first and has the
smallest test error; weight normalisation and the multiplier nearly share errors and ρ, and differ
in NC1.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("normalization",)

NAMES = {
    "wn": "weight norm",
    "lm": "Lagrange multiplier",
    "bn": "batch norm",
    "none": "no normalisation",
}


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Errors, rho and NC1 against the epoch for the four normalisations."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.RHO, courses.NC1),
        curves=courses.Curves(VARIES, NAMES.__getitem__),
        title="Which normalisation fits first and generalises best?",
        note="rho of batch norm is the norm of the last layer times |rho_top|.",
    )
