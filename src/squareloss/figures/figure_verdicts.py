"""The rule of the claims: how often it is wrong, and how often it finds what is there.

Left: the share of studies with a false verdict, against the number of replicates, where the median
of every quantity is its threshold; 2,000 simulated studies a point, of a symmetric law (normal) and
a skewed one (lognormal). The sign test is the rule of this project; the t test of the mean, with
the same correction, is drawn to compare. The dotted line is the level. Right: the probability that
a claim is decided, against the share of replicates that lie on its side in the long run; exact, of
a claim that is the first in Holm's order. Nothing is measured here: the picture is that of
docs/claims.md, and no study asks for it.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binom, ttest_1samp

from squareloss.claims import statistics
from squareloss.claims.verdict import ALPHA, FAMILY
from squareloss.figures import style

STUDIES = 2000
REPLICATES = (6, 8, 10, 12, 16, 24)


def false_verdicts(replicates: int, skewed: bool, rule: str) -> float:
    """Share of simulated studies with any verdict, in which no quantity has an effect.

    `rule`: "sign test" of the median or "t test" of the mean, whose true values are the threshold.
    Each of half of the family's quantities is tested for and against.
    """
    rng = np.random.default_rng([replicates, skewed])
    wrong = 0
    for _ in range(STUDIES):
        values = rng.normal(size=(FAMILY // 2, replicates))
        if skewed:
            values = np.exp(values) - (1 if rule == "sign test" else np.exp(0.5))
        if rule == "sign test":
            above = (values > 0).sum(axis=1)
            p = statistics.sign_p(np.concatenate([above, replicates - above]), replicates)
        else:
            above = ttest_1samp(values, 0, axis=1, alternative="greater").pvalue
            p = np.concatenate([above, 1 - above])
        wrong += bool((statistics.holm(p, FAMILY) < ALPHA).any())
    return wrong / STUDIES


def decided(share: np.ndarray, replicates: int) -> np.ndarray:
    """Probability that at least as many of `replicates` agree as Holm's first step asks for."""
    counts = np.arange(replicates + 1)
    enough = statistics.sign_p(counts, replicates) * FAMILY < ALPHA
    least = counts[enough].min() if enough.any() else replicates + 1
    return np.asarray(binom.sf(least - 1, replicates, share))


def draw_false(ax: Axes) -> None:
    """The left panel."""
    for rule, colour in (("sign test", style.BLUE), ("t test", style.ORANGE)):
        for skewed, line in ((False, "-"), (True, "--")):
            shares = [false_verdicts(n, skewed, rule) for n in REPLICATES]
            label = f"{rule}, {'lognormal' if skewed else 'normal'}"
            ax.plot(REPLICATES, shares, line, color=colour, marker="o", ms=3, label=label)
    ax.set_xticks(REPLICATES)
    ax.axhline(ALPHA, color="0.5", lw=0.8, ls=":")
    ax.set(xlabel="replicates", ylabel="studies with a false verdict (share)", ylim=(-0.02, 1.02))
    ax.set_title("No effect anywhere")
    ax.legend()


def draw_power(ax: Axes) -> None:
    """The right panel."""
    share = np.linspace(0.5, 1, 201)
    for n, colour in zip((10, 12, 16, 24, 32), style.SERIES, strict=False):
        ax.plot(share, decided(share, n), color=colour, label=f"{n} replicates")
    ax.set(xlabel="replicates on one side (share)", ylabel="probability of a verdict")
    ax.set_title("An effect")
    ax.legend()


def draw(made_from: str = "") -> Figure:
    """Draw both panels; `made_from` is of a study, and this figure is of none."""
    figure = style.canvas(7.2, 3.2)
    left, right = figure.subplots(1, 2)
    draw_false(left)
    draw_power(right)
    rule = f"Holm's correction over {FAMILY} tests, level {ALPHA:g}."
    style.foot(figure, made_from, rule, f"Left: {STUDIES:,} simulated studies a point.")
    return figure
