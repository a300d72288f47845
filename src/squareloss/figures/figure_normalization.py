"""Section 7: weight normalisation, Lagrange multiplier, batch normalisation and none."""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses, style

NAMES = {"lm": "Lagrange multiplier", "bn": "batch norm", "none": "no normalisation"}


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Errors, rho and NC1 against the epoch for the four normalisations."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.RHO, courses.NC1),
        by=["recipe_name"],
        label=lambda recipe: NAMES.get(recipe, "weight norm"),
        title="Normalisations of the same network",
        note="rho of batch norm is that of the last layer alone.",
    )


if __name__ == "__main__":
    style.run(draw)
