"""Section 1: square loss against cross-entropy.

Errors, ρ and NC1 against the epoch on the same network, data and schedule; bands are quartiles.

The paper starts from reports that the square loss reaches a similar test error, if not a better
one. With sixteen replicates of 300 epochs (`config/long.yaml`) the two end close to each other.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("loss",)

NAMES = {"square": "square loss", "cross_entropy": "cross-entropy"}


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Errors, rho and NC1 against the epoch for the two losses."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.RHO, courses.NC1),
        curves=courses.Curves(VARIES, NAMES.__getitem__),
        title="Does the square loss generalise as well as cross-entropy?",
    )
