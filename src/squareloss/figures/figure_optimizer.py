"""Sections 3 and 6: from SGD in small batches to gradient descent.

Training loss, test error, ρ and NC1 against the epoch for batches of a few samples up to the whole
training set; without momentum, but for gradient descent. Bands are quartiles.

The paper derives Sections 3 to 5 for gradient flow and Section 6 for SGD. With `config/long.yaml`
ρ goes the same way in fewer epochs of small batches, which have more steps. Single samples end with
the smallest test error and NC1.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("optimizer", "batch_size", "learning_rate")


def name(optimizer: str, batch: int, rate: float) -> str:
    """A run in the legend."""
    return f"{'full-batch GD' if optimizer == 'gd' else f'SGD, batch {batch}'}, rate {rate:g}"


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Loss, errors, rho and NC1 against the epoch for small batches up to all samples."""
    return courses.draw(
        table,
        made_from,
        panels=(courses.LOSS, courses.ERRORS[1], courses.RHO, courses.NC1),
        curves=courses.Curves(VARIES, name),
        title="Do small batches end where gradient descent does?",
    )
