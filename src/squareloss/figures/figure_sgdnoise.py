"""Section 6.2: the noise of SGD in weights and margins.

How far the directions V_k move within one epoch (mean over the layers before the last), the spread
of the margins relative to their mean, and the training loss, against the epoch: SGD and full-batch
gradient descent, with and without λ (dashed). Bands are quartiles.

The paper expects that the movement of SGD levels off with λ > 0 and vanishes with λ = 0, and that
gradient descent has none in the end. With `config/long.yaml` it falls with λ = 0 by orders of
magnitude more than with λ > 0, for SGD and for gradient descent.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("optimizer", "weight_decay")

PANELS = (
    courses.Panel(
        "update_norm",
        "Noise in the weights",
        "$\\|V_k - V_k$ one epoch before$\\|$,\nmean over $k<L$",
        log=True,
    ),
    courses.Panel("margin_spread", "Spread of the margins", "sd / mean of the margins", log=True),
    courses.LOSS,
)


def name(optimizer: str, decay: float) -> str:
    """A run in the legend."""
    return rf"{'full-batch GD' if optimizer == 'gd' else 'SGD'}, $\lambda$ = {decay:g}"


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Change of the weights in an epoch, and relative spread of the margins, against the epoch."""
    return courses.draw(
        table,
        made_from,
        panels=PANELS,
        curves=courses.Curves(VARIES, name),
        title="Does noise stay with weight decay and vanish without?",
    )
