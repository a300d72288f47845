"""Figure 2: the loss over direction and norm, measured between two trained solutions.

The paper's Figure 2 is a speculative sketch of the landscape in ρ and the normalised weights V.
This one is measured: two replicates of a run are joined by the arc between their normalised
weights, μ and M are measured at each angle, and the colour is the regularised loss of Eq. 11, L = 1
- 2ρμ + ρ²(M + λ_eff), clipped to 0.001 ... 2. λ_eff is what the weight decay on the top scalar
amounts to for ρ. The line is ρ_eq = μ/(M + λ_eff) of Eq. 7, drawn where μ > 0: the bottom of the
valley at that angle. The circles are the two trained solutions at their own ρ.

In the paper's sketch the valley of small loss outside the coastline is connected. In
`config/long.yaml` the bottom of the valley rises along the arc between two solutions. That does not
contradict the paper: the straight arc need not stay in the valley even if it is connected (Theorem
2). The loss tends to 1 towards ρ = 0. All panels have one axis of ρ.

The table: the arc's angle, and how high the bottom of the valley comes on it.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from squareloss.figures import style
from squareloss.figures.style import Tabulation
from squareloss.tables.readable import number
from squareloss.theory.equilibrium import loss, rho_equilibrium

VARIES = ("weight_decay", "init_scale")
TITLES = {
    "weight_decay": "λ",
    "init_scale": "init scale",
    "replicate": "first replicate",
    "rho_first": "its rho",
    "other": "second",
    "rho_other": "rho of the second",
    "angle": "angle between (degrees)",
    "highest": "least loss over rho, its highest on the arc",
    "highest_at": "at (degrees)",
}
LOWEST, HIGHEST = 1e-3, 2.0  # of the colour scale; the loss is 1 at rho = 0


def span(arcs: list[pd.DataFrame]) -> tuple[float, float]:
    """The axis of rho, of all panels: well below the least trained rho, and above the largest."""
    trained = pd.concat([arc["rho_trained"] for arc in arcs]).dropna()
    return (trained.min() / 30, trained.max() * 10) if len(trained) else (1.0, 10.0)


def panel(ax: Axes, arc: pd.DataFrame, lowest: float, highest: float) -> QuadMesh | None:
    """One arc: the loss as colour, the rho of least loss at each angle, the two solutions."""
    first = arc.iloc[0]
    ax.set_title(
        rf"$\lambda$ = {first['weight_decay']:g}, start {first['init_scale']:g}: "
        f"replicates {first['replicate']} and {first['other']}"
    )
    ax.set(xlabel="angle from the first solution along the arc (degrees)")
    arc = arc.sort_values("angle").dropna(subset=["mu", "M"])
    ends = arc.dropna(subset=["rho_trained"])
    if ends.empty:
        style.nothing(ax, "no arc: a replicate diverged")
        return None
    angle, mu, M, lam = (arc[name].to_numpy() for name in ("angle", "mu", "M", "lambda_eff"))
    rho = np.geomspace(lowest, highest, 240)
    height = np.clip(loss(rho[:, None], mu, M, lam, classes=2), LOWEST, HIGHEST)
    ax.set_yscale("log")
    # One column is drawn for each measured angle. Contours would show the interpolation between
    # angles, which was not measured.
    drawn = ax.pcolormesh(
        angle,
        rho,
        height,
        shading="nearest",
        norm=LogNorm(LOWEST, HIGHEST),
        cmap="cividis",
        rasterized=True,
    )
    inside = mu > 0
    equilibrium = rho_equilibrium(np.where(inside, mu, np.nan), M, lam)
    label = r"$\rho_\mathrm{eq} = \mu / (M + \lambda_\mathrm{eff})$, Eq. 7"
    ax.plot(angle, equilibrium, ".-", color=style.ORANGE, ms=5, label=label)
    ax.plot(
        ends["angle"],
        ends["rho_trained"],
        "o",
        ms=8,
        mfc="white",
        mec="black",
        label=r"trained solutions, at their $\rho$",
        clip_on=False,
        zorder=5,
    )
    ax.set(ylim=(lowest, highest), xlim=(angle.min(), angle.max()))
    return drawn


def arcs_of(landscape: pd.DataFrame) -> list[pd.DataFrame]:
    """One arc for each run, that between its first two replicates."""
    order = {"weight_decay": False, "init_scale": True, "replicate": True, "other": True}
    ordered = landscape.sort_values(list(order), ascending=list(order.values()))
    arcs = []
    for _, run in ordered.groupby(["weight_decay", "init_scale"], sort=False):
        first = run.iloc[0]
        same = (run["replicate"] == first["replicate"]) & (run["other"] == first["other"])
        arcs.append(run[same])
    return arcs


def tabulate(landscape: pd.DataFrame) -> Tabulation:
    """What each arc passes: a row a run, with the bottom of the valley where it is highest."""
    rows = []
    for arc in arcs_of(landscape):
        mu, M, lam = (arc[name].to_numpy() for name in ("mu", "M", "lambda_eff"))
        rho = rho_equilibrium(np.maximum(mu, 0), M, lam)  # where the loss is least over rho >= 0
        least = np.asarray(loss(rho, mu, M, lam, classes=2))
        top = np.argmax(np.nan_to_num(least, nan=-np.inf))
        ends = arc.sort_values("angle")["rho_trained"].dropna().to_numpy()
        first, other = ends if len(ends) == 2 else (np.nan, np.nan)
        rows.append(
            arc.iloc[0][["weight_decay", "init_scale", "replicate", "other"]].to_dict()
            | {
                "rho_first": first,
                "rho_other": other,
                "angle": arc["angle"].max(),
                "highest": least[top],
                "highest_at": arc["angle"].iloc[top],
            }
        )
    numbers = pd.DataFrame(rows).astype({"replicate": int, "other": int})
    text = numbers.map(lambda value: number(value) if isinstance(value, float) else str(value))
    return Tabulation(numbers, text.rename(columns=TITLES))


def draw(landscape: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw the measured counterpart of Figure 2: one panel for each value of lambda."""
    style.check_sweep(landscape, *VARIES)
    arcs = arcs_of(landscape)
    figure = style.canvas(4.4 * len(arcs) + 0.8, 4.3)
    axes = figure.subplots(1, len(arcs), squeeze=False, sharey=True)[0]
    drawn = [panel(ax, arc, *span(arcs)) for ax, arc in zip(axes, arcs, strict=True)]
    figure.suptitle("Does a valley of small loss join two solutions?")
    axes[0].set_ylabel(r"$\rho$ (product of the layer norms)")
    meshes = [(ax, mesh) for ax, mesh in zip(axes, drawn, strict=True) if mesh]
    if meshes:
        bar = figure.colorbar(meshes[0][1], ax=list(axes), pad=0.02)
        bar.set_label(r"$\mathcal{L} = 1 - 2\rho\mu + \rho^2(M + \lambda_\mathrm{eff})$, Eq. 11")
        bar.set_ticks([0.001, 0.01, 0.1, 1, 2], labels=["≤ 0.001", "0.01", "0.1", "1", "≥ 2"])
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        look = {"frameon": True, "facecolor": "white", "framealpha": 0.9, "edgecolor": "none"}
        meshes[0][0].legend(loc="lower left", **look)
    about = (
        "Measured on the arc between the normalised weights of two replicates, "
        "a column for each angle measured. The paper's Figure 2 is a speculative sketch."
    )
    style.foot(figure, made_from, about)
    return figure
