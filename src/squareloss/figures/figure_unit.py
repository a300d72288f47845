"""Section 3.5: starts under one and the same penalty.

The product norm ρ, ρμ (1 where the labels are interpolated) and the errors against the epoch, with
every layer's norm frozen at 1, so that the penalty on ρ is λ for every start. With the norms of the
initial weights, as in Figure 3, it is λ divided by the square of their product, and starts differ
in it.

The paper states that starts matter less with λ > 0. With `config/long.yaml` two starts whose ρ
differs by a factor of four end at the same ρ with λ > 0, and stay apart with λ = 0 (dashed). Bands
are quartiles.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("weight_decay", "init_scale")

EQUILIBRIUM = courses.Panel("rho_mu", r"Quasi-interpolation", r"$\rho\,\mu$ (1 at interpolation)")


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """rho, rho mu and the errors against the epoch from several starts, with unit layer norms."""
    return courses.draw(
        table.assign(rho_mu=table["rho"] * table["mu"]),
        made_from,
        panels=(courses.RHO, EQUILIBRIUM, *courses.ERRORS),
        curves=courses.Curves(VARIES, courses.start),
        title=r"Under the same penalty, do different starts come to the same $\rho$?",
    )
