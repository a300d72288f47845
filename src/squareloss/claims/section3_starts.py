"""Sections 1 and 3.5: what the start does to rho, with weight decay and without."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.select import LEARNT_WELL, ends, fitted_at_end, learnt, where


def apart(table: pd.DataFrame, weight_decay: float, epoch: int) -> pd.Series:
    """|log of the ratio of rho| of the largest and the smallest start at an epoch."""
    rows = where(table, weight_decay=weight_decay, epoch=epoch)
    low, high = (
        where(rows, init_scale=init).set_index("replicate")["rho"]
        for init in ends(table, "init_scale")
    )
    return (high / low).map(np.log).abs()


def approach_of_starts(table: pd.DataFrame, weight_decay: float) -> pd.Series:
    """At one weight decay: how far apart the starts are at the end over how far at the start."""
    change = apart(table, weight_decay, table["epoch"].max()) / apart(table, weight_decay, 0)
    return learnt(where(table, weight_decay=weight_decay), change)


MEETING = (
    "the paper says that starts matter less with weight decay, which `starts-stay-apart` and"
    " `starts-stay-apart-unit` judge; that they meet it says nowhere, and the caption of Figure 2"
    " denies any guarantee"
)
WEAKER = (
    "With regularisation training depends less on initial conditions (Section 1). lambda > 0 makes"
    " the process more robust (Section 3.5; that it biases it towards small rho is judged by"
    " `figure10-smaller-margins`, since rho is nearly 1 over the mean margin)."
)


@claim(
    "starts-meet",
    "Section 1, paragraph 4; Section 3.5, last paragraph",
    "lambda > 0: how much nearer the rho of different starts are at the end (lambda_eff differs)",
    says=WEAKER,
    control="the same with lambda = 0",
    controlled=lambda figure3: approach_of_starts(figure3, figure3["weight_decay"].min()),
    test="number",
    because=MEETING,
    premise=LEARNT_WELL,
)
def starts_meet(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of two starts at the end over that at the start."""
    return approach_of_starts(figure3, figure3["weight_decay"].max())


@claim(
    "starts-meet-unit",
    "Section 1, paragraph 4; Section 3.5, last paragraph",
    "lambda > 0, all layer norms 1: how much nearer the rho of different starts are at the end",
    says=WEAKER,
    control="the same with lambda = 0",
    controlled=lambda figure_unit: approach_of_starts(
        figure_unit, figure_unit["weight_decay"].min()
    ),
    test="number",
    because=MEETING,
    premise=LEARNT_WELL,
)
def starts_of_unit_norms_meet(figure_unit: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of the extreme starts at the end over that at the start."""
    return approach_of_starts(figure_unit, figure_unit["weight_decay"].max())


def further_apart_without_decay(table: pd.DataFrame) -> pd.Series:
    """How far apart the starts end without weight decay less how far with it."""
    zero, decay = ends(table, "weight_decay")
    end = table["epoch"].max()
    return learnt(table, apart(table, zero, end) - apart(table, decay, end))


@claim(
    "starts-stay-apart",
    "Section 1, paragraph 4; Section 3.5, last paragraph",
    "lambda = 0: the final rho depends more on the start than with lambda > 0",
    says=WEAKER,
    control="lambda > 0, which is subtracted",
    above=0,
    because="a difference",
    premise=LEARNT_WELL,
)
def starts_stay_apart(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of two starts with lambda = 0 minus that with lambda > 0, at the end."""
    return further_apart_without_decay(figure3)


@claim(
    "starts-stay-apart-unit",
    "Section 1, paragraph 4; Section 3.5, last paragraph",
    "lambda = 0, all layer norms 1: the final rho depends more on the start",
    says=WEAKER,
    control="lambda > 0, which is subtracted",
    above=0,
    because="a difference",
    premise=LEARNT_WELL,
)
def starts_of_unit_norms_stay_apart(figure_unit: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of the extreme starts with lambda = 0 minus that with lambda > 0."""
    return further_apart_without_decay(figure_unit)


@claim(
    "lazy",
    "Section 3.5, large initialization, and Section 7, first remark",
    "lambda = 0, all layer norms 1: how far weights end from their start, from a large rho",
    says="Solutions of large rho and small outputs are reminiscent of the neural tangent kernel's,"
    " whose parameters do not move too far from their initialisation.",
    control="the same from the small start. All layer norms are 1: frozen at larger norms"
    " directions turn more slowly whatever rho is (errata.md)",
    controlled=lambda figure_unit: way_of_weights(figure_unit, 0),
    test="number",
    because='"reminiscent", and in Section 7 "probably similar": no distance is said. Two unit'
    " matrices with nothing in common are 1.41 apart",
    earlier="that the large start moves less than the small one was judged, and supported; then"
    " that it moves less than 0.5, and contradicted",
    premise=FITTED,
)
def laziness(figure_unit: pd.DataFrame) -> pd.Series:
    """||V_k - V_k(0)||, mean over k < L, of the largest start."""
    return way_of_weights(figure_unit, 1)


def way_of_weights(figure_unit: pd.DataFrame, which: int) -> pd.Series:
    """||V_k - V_k(0)|| at the end, lambda = 0, of the smallest (0) or the largest start (1)."""
    runs = where(figure_unit, weight_decay=0)
    return fitted_at_end(runs, "distance", init_scale=ends(runs, "init_scale")[which])


@claim(
    "large-start-comes-down",
    "Section 3.5, large initialization, second sentence",
    "lambda = 0, all layer norms 1: where rho ends from a start that is larger than it need be",
    says="From a large norm rho > rho_0 the norm of the network will decrease until eventually an"
    " equilibrium is reached; it is likely that an interpolating solution has a rho that is very"
    " close to the initialisation.",
    test="number",
    because="derived for gradient flow, while this is SGD; and an end very close to the start, on"
    " either side, is what the second half of the sentence expects",
    earlier="judged to be below 1, and contradicted",
    premise="zero training error, and a start above the rho at which the smallest start fits",
)
def end_of_large_start(figure_unit: pd.DataFrame) -> pd.Series:
    """rho at the end over rho at the start, of the largest start."""
    runs = where(figure_unit, weight_decay=0)
    small, large = ends(runs, "init_scale")
    start = where(runs, init_scale=large, epoch=0).set_index("replicate")["rho"]
    fits, end = (fitted_at_end(runs, "rho", init_scale=scale) for scale in (small, large))
    return (end / start).where(start - fits > 0)
