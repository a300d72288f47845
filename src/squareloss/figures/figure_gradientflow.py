"""Section 3.4: gradient flow, gradient descent and rho_dot on small problems.

On small random problems: (a) ρ along the gradient flow of Eq. 5, integrated by a standard solver;
(b) distance of normalised gradient descent from the flow at the end, against the step; (c) measured
dρ/dt of weight normalisation with momentum against Eq. 6, for layer norms of 1 and of 1.5, with
λ_eff and the time scale of frozen norms.

The paper derives that descent follows the flow and that ρ obeys Eq. 6. Here the distance falls with
the step, mostly with slope 1, and the points lie near the diagonal.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import style


def draw(gradientflow: pd.DataFrame, made_from: str = "") -> Figure:
    """(a) rho along the flow, (b) distance of descent from it, (c) rho_dot against Eq. 6."""
    figure = style.canvas(9.6, 3.7)
    figure.suptitle(r"Does gradient descent follow the flow, and $\rho$ Eq. 6?")
    left, middle, right = figure.subplots(1, 3)
    for _, course in gradientflow[gradientflow["method"] == "flow"].groupby("replicate"):
        left.plot(course["time"], course["rho"], color=style.BLUE, lw=0.8)
    left.set(xlabel="time", ylabel=r"$\rho$", title="(a) Gradient flow, a line a problem")

    descent = gradientflow[gradientflow["method"] == "descent"]
    for _, ends in descent.groupby("replicate"):
        middle.plot(ends["step"], ends["distance"], color=style.BLUE, lw=0.8, marker="o", ms=3)
    steps = np.array([descent["step"].min(), descent["step"].max()])
    first = descent[descent["step"] == steps[1]]["distance"].mean() * steps / steps[1]
    middle.plot(steps, first, color="0.3", ls="--", lw=1, label="slope 1")
    middle.set(xscale="log", yscale="log", title="(b) Smaller steps come to the flow")
    middle.set(xlabel="step", ylabel="distance of $(\\rho, V_k)$ at the end")
    middle.set_xticks(sorted(descent["step"].unique()), minor=False)
    middle.set_xticklabels([f"{step:g}" for step in sorted(descent["step"].unique())])
    middle.minorticks_off()
    middle.legend()

    course = gradientflow[gradientflow["method"] == "momentum"]
    for (norms, rows), colour in zip(course.groupby("norms"), style.SERIES, strict=False):
        points = rows["rho_dot_eq6"], rows["rho_dot_measured"]
        right.plot(*points, ".", color=colour, ms=2, label=f"layer norms {norms:g}")
    span = np.array([course["rho_dot_eq6"].min(), course["rho_dot_eq6"].max()])
    right.plot(span, span, color="0.3", ls="--", lw=1, label="equal")
    right.set(xlabel=r"predicted $\dot\rho = 2(\mu - \rho(M + \lambda_\mathrm{eff}))$")
    right.set(ylabel=r"measured $\dot\rho$", title="(c) Is the measured rate that of Eq. 6?")
    right.locator_params(nbins=5)
    right.legend(markerscale=3)
    count = gradientflow["replicate"].nunique()
    about = (
        f"{count} random problems: 20 points in 5 dimensions, layers of 8, 8 and 2 units, float64. "
        "(c): time is steps x rate / (1 - momentum), times the square of the product of the norms."
    )
    style.foot(figure, made_from, about)
    return figure
