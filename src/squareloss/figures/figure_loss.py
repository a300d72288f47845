"""Section 1: square loss against cross-entropy.

Errors, ρ and NC1 against the epoch on the same network, data and schedule.

To compare: the square loss reaches a similar test error, if not a better one.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Errors, rho and NC1 against the epoch for the two losses."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.RHO, courses.NC1),
        by=["loss"],
        label={"square": "square loss", "cross_entropy": "cross-entropy"}.get,
        title="Square loss and cross-entropy on the same network",
    )
