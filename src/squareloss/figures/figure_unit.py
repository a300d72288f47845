"""Section 3.5 where lambda_eff is the same for every start: layer norms of 1."""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses, style

EQUILIBRIUM = courses.Panel("rho_mu", r"Quasi-interpolation", r"$\rho\,\mu$ (1 at interpolation)")


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """rho, rho mu and the errors against the epoch from several starts, with unit layer norms."""
    return courses.draw(
        table.assign(rho_mu=table["rho"] * table["mu"]),
        made_from,
        panels=(courses.RHO, EQUILIBRIUM, *courses.ERRORS),
        by=["weight_decay", "init_scale"],
        label=lambda decay, init: rf"$\lambda$ = {decay:g}, $\rho(0) \propto$ {init:g}",
        title="Unit layer norms: the same penalty for every start",
    )


if __name__ == "__main__":
    style.run(draw)
