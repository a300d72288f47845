"""Figure 3: do different starts come to the same rho, with weight decay and without?

ρ, training loss (without the penalty) and test error against the epoch: a colour for each
initialisation scale, 0.9 and 1.3, with weight decay (λ = 0.001) and without (λ = 0, dashed).
Medians and quartiles of the replicates that fit, on logarithmic axes of ρ, so that one sees whether
starts approach each other. ρ counts all layers, as the paper's text does, and the convolutions
alone, as the code of its authors does. There stands the paper's 500 (dotted), at its own size:
magnitudes can be compared there only.

In the paper (Section 3.5) ρ may grow and fall again until it settles (Eq. 6 and 7); with λ > 0 it
is pulled towards smaller values; for λ = 0 the loss may go to 0. It trains for 1,000 epochs and
reports ρ of about 500. With `config/long.yaml` ρ grows, and falls again with λ > 0 alone. The two
starts end nearer to each other with λ > 0 than without, and not at the same ρ.
"""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import countings, courses, style

VARIES = ("weight_decay", "init_scale")

INITS = (0.9, 1.3)


def shown(table: pd.DataFrame) -> list[courses.Panel]:
    """The panels: rho in the countings that a table has, loss and test error."""
    panels = [courses.RHO]
    if countings.known(table):
        own = countings.own_size(table)
        panels.append(courses.RHO_CONVOLUTIONS if own else OTHER_SIZES)
    return [*panels, courses.LOSS, courses.ERRORS[1]]


OTHER_SIZES = replace(courses.RHO_CONVOLUTIONS, printed=())


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 3: a panel a quantity, a colour for each start, dashed without lambda."""
    table = table[table["init_scale"].isin(style.choose(table["init_scale"], INITS))]
    alone = (
        "Convolutions alone: rho without the norms of the dense layers, as in the authors' code."
    )
    return courses.draw(
        table.sort_values(["weight_decay", "init_scale"], ascending=[False, True], kind="stable"),
        made_from,
        panels=shown(table),
        curves=courses.Curves(VARIES, courses.start),
        title=r"Do different starts come to the same $\rho$, with weight decay and without?",
        note=alone if countings.known(table) else "",
    )
