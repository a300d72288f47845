"""Figure 1: two parametrisations of the network f_W.

(a) Each layer's weight matrix W_i is its norm ρ_i times its normalised version V_i. (b) Every layer
is normalised and one global ρ, the product of all the norms, multiplies the output: f_W = ρ f_V
(Section 3.2). All runs train (b). Norms are Frobenius norms, for a convolution that of its filters.
The figure is a drawing; nothing is measured.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from squareloss.figures import style

# What a signal meets on its way, as (kind, text); "dots" stands for the layers in between.
ELEMENTS_A = [
    ("end", "$x$"),
    ("layer", "$V_1$"),
    ("norm", r"$\rho_1$"),
    ("relu", r"$\sigma$"),
    ("layer", "$V_2$"),
    ("norm", r"$\rho_2$"),
    ("relu", r"$\sigma$"),
    ("dots", r"$\cdots$"),
    ("layer", "$V_L$"),
    ("norm", r"$\rho_L$"),
    ("end", "$f_W(x)$"),
]
ELEMENTS_B = [
    ("end", "$x$"),
    ("layer", "$V_1$"),
    ("relu", r"$\sigma$"),
    ("layer", "$V_2$"),
    ("relu", r"$\sigma$"),
    ("dots", r"$\cdots$"),
    ("layer", "$V_L$"),
    ("end", "$f_V(x)$"),
    ("norm", r"$\rho$"),
    ("end", r"$\rho f_V(x)$"),
]
WIDTHS = {"end": 0.75, "layer": 0.8, "norm": 0.55, "relu": 0.55, "dots": 0.5}
GAP = 0.38


def element(ax: Axes, kind: str, text: str, x: float, width: float) -> None:
    """One box, circle or bare text, centred at `x`."""
    colour = {"layer": style.BLUE, "norm": style.ORANGE, "relu": "0.85"}.get(kind)
    if kind == "norm":
        ax.add_patch(Circle((x, 0), width / 2, facecolor=colour, alpha=0.35, edgecolor="none"))
        ax.add_patch(Circle((x, 0), width / 2, facecolor="none", edgecolor=colour, lw=1.5))
    elif colour:
        height = 0.8 if kind == "layer" else 0.5
        shape = "round,pad=0,rounding_size=0.08"
        corner = (x - width / 2, -height / 2)
        edge = {"layer": colour, "relu": "0.5"}[kind]
        fill = {"alpha": 0.3} if kind == "layer" else {}
        ax.add_patch(
            FancyBboxPatch(
                corner, width, height, boxstyle=shape, facecolor=colour, edgecolor="none", **fill
            )
        )
        ax.add_patch(
            FancyBboxPatch(
                corner, width, height, boxstyle=shape, facecolor="none", edgecolor=edge, lw=1.5
            )
        )
    ax.text(x, 0, text, ha="center", va="center", size=12)


def chain(ax: Axes, elements: list[tuple[str, str]]) -> list[float]:
    """Draw the elements from left to right with arrows between them; the centres of each."""
    left, centres = 0.0, []
    for i, (kind, text) in enumerate(elements):
        width = WIDTHS[kind] + (0.35 if len(text) > 9 else 0)
        if i:
            arrow = {"arrowstyle": "-|>", "color": "0.3", "lw": 1, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (left - 0.03, 0), (left - GAP + 0.03, 0), arrowprops=arrow)
        centres.append(left + width / 2)
        element(ax, kind, text, centres[-1], width)
        left += width + GAP
    ax.set(xlim=(-0.1, 11.6), ylim=(-1.15, 0.75), aspect="equal")
    ax.axis("off")
    return centres


def brace(ax: Axes, left: float, right: float, text: str) -> None:
    """A line below the elements between two positions, and what they are together."""
    ax.plot([left, left, right, right], [-0.5, -0.6, -0.6, -0.5], color="0.4", lw=1)
    ax.text((left + right) / 2, -0.68, text, ha="center", va="top", size=9)


def draw(made_from: str = "") -> Figure:
    """Draw Figure 1: a norm for each layer (a), or one for the network (b)."""
    figure = style.canvas(8.2, 3.9)
    a, b = figure.subplots(2, 1)
    a.set_title(r"(a)  Each layer: $W_i = \rho_i V_i$,   $\|V_i\|_F = 1$")
    x = chain(a, ELEMENTS_A)
    for (i, j), name in zip([(1, 2), (4, 5), (8, 9)], "12L", strict=True):
        brace(a, x[i] - 0.4, x[j] + 0.28, rf"$W_{name} = \rho_{name} V_{name}$")
    b.set_title(r"(b)  Normalised layers $\|V_i\|_F = 1$ and one global $\rho$ at the top")
    x = chain(b, ELEMENTS_B)
    brace(b, x[1] - 0.4, x[6] + 0.4, r"$f_V(x) = V_L\,\sigma(V_{L-1} \cdots \sigma(V_1 x))$")
    brace(b, x[8] - 0.28, x[9] + 0.55, r"$f_W = \rho f_V$,  $\rho = \prod_k \rho_k$")
    about = (
        "A drawing; nothing is measured. ReLU is positively homogeneous, so "
        "(a) and (b) are the same function of x; their gradients differ."
    )
    style.foot(figure, made_from, about)
    return figure
