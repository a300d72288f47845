"""Sections 3.5 and 5.1: what rho, the margins and the loss do on the way, epoch by epoch."""

from math import nan
from typing import Any

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.section3 import gap, while_training
from squareloss.claims.select import ends, fits, fitted_at_end, where

FIGURE3 = (
    "In Figure 3, with and without weight decay, the loss decreases with mu increasing and sigma"
    " decreasing. In which part of the course is not said."
)


def of_start(table: pd.DataFrame, decay: bool) -> pd.DataFrame:
    """The run from the smaller start, with weight decay or without."""
    zero, largest = ends(table, "weight_decay")
    return where(
        table, weight_decay=largest if decay else zero, init_scale=table["init_scale"].min()
    )


def since_fitted(table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """A column by replicate at the first epoch without training error, and at the last of all."""
    table = table.sort_values("epoch")
    fitted = table[table["train_error"] == 0].groupby("replicate")[column].first()
    return fits(table, fitted), fitted_at_end(table, column)


def growth(table: pd.DataFrame, column: str) -> pd.Series:
    """A column at the end over its value at the first epoch without training error."""
    first, last = since_fitted(table, column)
    return last / first


DRIFT = 0.01  # what SGD moves rho around its equilibrium, as `section3.NOISE` has it
MUST = "If rho_dot becomes negative during training, mu must increase, since the loss cannot."


@claim(
    "mu-rises-as-rho-falls",
    "Section 3.5, after Lemma 4",
    "where rho falls, mu rises",
    says=MUST,
    no_control="said of any training in which the loss does not increase: a step in which both fall"
    " would contradict it",
    above=0,
    because="a sign",
    test="every",
    earlier="courses that fall from their start on counted, and it was supported",
    premise="steps in which rho falls after it has risen, and the loss does not increase: a rho"
    " that falls from the start on did not become falling",
)
def least_rise_of_mu(gradientflow: pd.DataFrame) -> pd.Series:
    """Least rise of mu over the steps in which rho falls, each course of gradient descent."""
    course = while_training(gradientflow).sort_values("time")
    runs = [course["replicate"], course["norms"]]
    rise, change, loss = (course[name].groupby(runs).diff() for name in ("mu", "rho", "loss"))
    risen = (change > 0).groupby(runs).cummax()
    return rise.where(risen & (change < 0) & (loss <= 0)).groupby(runs).min()


@claim(
    "mu-falls-under-sgd",
    "Section 3.5, after Lemma 4",
    "share of the time in which mu falls while rho falls, under SGD",
    says=MUST,
    test="number",
    because="under SGD, and from one epoch to another, the loss may increase, so that the statement"
    " says nothing of it: `mu-rises-as-rho-falls` judges it where the loss does not",
    premise=FITTED,
)
def mu_falls_too(figure8: pd.DataFrame) -> pd.Series:
    """Share of epochs in which mu falls, of those in which rho does."""
    table = figure8.sort_values("epoch")

    def share(rows: pd.DataFrame) -> float:
        falling = rows["epoch"].diff()[rows["rho"].diff() < 0]
        return float(falling[rows["mu"].diff() < 0].sum() / falling.sum()) if len(falling) else nan

    return fits(table, pd.Series({r: share(rows) for r, rows in table.groupby("replicate")}))


@claim(
    "rho-falls-briefly",
    "Section 3.5, small initialization, after Lemma 4",
    "for how long rho falls at a stretch, under SGD",
    says="From a start of rho < rho_0: rho_dot cannot be negative for long periods of time.",
    test="number",
    because="derived for gradient flow, whose loss cannot increase, while the loss of SGD can; and"
    " how long is long is not said",
    earlier="the share of all epochs in which rho falls was below a half, then the longest stretch"
    " below a tenth of training: both contradicted",
    premise="zero training error, and a start below 1 / mu, the rho that the margins at the end"
    " need",
)
def rho_falls(figure8: pd.DataFrame) -> pd.Series:
    """Longest stretch in which rho falls without a rise, by 1% or more, share of training."""
    table = figure8.sort_values("epoch")

    def longest(rows: pd.DataFrame) -> float:
        if rows["rho"].iloc[0] * rows["mu"].iloc[-1] >= 1:
            return nan
        lengths, falls = rows["epoch"].diff(), rows["rho"].diff() < 0
        stretch = (~falls).cumsum()  # each begins at a row before it that does not fall
        stretches = lengths.where(falls, 0).groupby(stretch).sum()
        rho = rows["rho"].groupby(stretch)
        long = stretches[1 - rho.last() / rho.first() >= DRIFT]
        return float(long.max() / lengths.sum()) if len(long) else 0.0

    return fits(table, pd.Series({r: longest(rows) for r, rows in table.groupby("replicate")}))


NO_MECHANISM = (
    "said with weight decay and without, and so of no mechanism that could be left out; a ratio on"
    " the other side of 1 would contradict it"
)
FIRST = (
    ". After the fit is our reading: before it mu and sigma both rise from about 0 in any training,"
    " so that over the whole course one sentence could only hold and the other only fail"
)


def since_the_fit(
    name: str, decay: bool, column: str, what: str, also: tuple[str, str] = ("", ""), **rest: Any
) -> None:
    """The claim that a column rises or falls after the fit, with weight decay or without.

    `also` is another place that says so of this run, and its words.
    """
    about = "lambda > 0" if decay else "lambda = 0"

    @claim(
        name,
        f"Section 3.5, on Figure 3{also[0]}",
        f"{about}: {what} after the data are fitted",
        says=f"{FIGURE3}{also[1]}",
        no_control=NO_MECHANISM,
        given=True,
        because=f"a ratio: 1 is no change{FIRST}",
        premise=FITTED,
        shown=True,
        quantity=f"{column} at the end over that at the first epoch of no training error, {about}",
        **rest,
    )
    def ratio(figure3: pd.DataFrame) -> pd.Series:
        return growth(of_start(figure3, decay=decay), column)


since_the_fit("mu-rises", True, "mu", "mu increases", above=1)
since_the_fit("mu-rises-without-decay", False, "mu", "mu increases", above=1)
ON_FIGURE8 = (
    "; Section 5.1, after Lemma 6; Figure 8, caption",
    " The histogram of the margins narrows as training progresses (Figure 8, which is this run).",
)
since_the_fit("sigma-falls", True, "margin_sd", "sigma decreases", ON_FIGURE8, below=1)
since_the_fit("sigma-falls-without-decay", False, "margin_sd", "sigma decreases", below=1)


@claim(
    "large-margins-shrink",
    "Section 3.5, on Figure 3",
    "lambda > 0: what becomes of the largest margin after the data are fitted",
    says="The large margins of some of the data points decrease during training, which contributes"
    " to a smaller sigma.",
    test="number",
    because="said of some samples: some of those that are largest at one time are smaller later in"
    " any training, and this table has the largest of all alone",
    premise=FITTED,
)
def change_of_the_largest(figure3: pd.DataFrame) -> pd.Series:
    """Largest margin at the end over the largest at the first epoch without training error."""
    return growth(of_start(figure3, decay=True), "max_margin")


@claim(
    "sigma-lowers-the-loss",
    "Section 3.5, after Eq. 11",
    "share of sigma^2 in the decrease of the loss after the data are fitted",
    says="For small rho the decrease of the loss is that of -2 rho mu. For larger rho the term"
    " rho^2 (sigma^2 + mu^2) becomes important: eventually the loss decreases because sigma^2"
    " does.",
    test="number",
    because="with rho at Eq. 7 the other part, (1 - rho mu)^2, is of second order: nearly all of"
    " the decrease is that of sigma^2 in any network that fits",
    premise=FITTED,
)
def share_of_sigma(figure3: pd.DataFrame) -> pd.Series:
    """Share of rho^2 sigma^2 in the decrease of the data loss since training error was 0.

    The loss is (1 - rho mu)^2 + rho^2 sigma^2.
    """
    table = of_start(figure3, decay=True)
    spread = (table["rho"] * table["margin_sd"]) ** 2
    table = table.assign(spread=spread, loss=spread + (1 - table["rho"] * table["mu"]) ** 2)
    (first, last), (whole, left) = (since_fitted(table, name) for name in ("spread", "loss"))
    return (first - last) / (whole - left)


@claim(
    "decay-matters-late",
    "Section 3.5, after Eq. 11",
    "by how much further lambda moves rho in the end than until the data are fitted",
    says="For standard small values the regularisation term is relevant only in the final phase,"
    " when rho is in the order of rho_0.",
    control="the epochs until the fit, which are subtracted; lambda = 0 is the other side of the"
    " ratio",
    test="number",
    because="two runs of SGD may drift apart whatever differs between them, and no two equal ones"
    " are here to say by how much. The term's share of the loss would be no test: it is largest in"
    " the end in any network that fits",
    earlier="judged, and not decided",
    premise=FITTED,
)
def late_effect(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho with lambda and without|: at the end, less its largest until both fit."""
    runs = [of_start(figure3, decay=decay) for decay in (False, True)]
    fitted = [run[run["train_error"] == 0].groupby("replicate")["epoch"].min() for run in runs]
    both = pd.concat(fitted, axis=1).max(axis=1, skipna=False)
    rhos = [run.set_index(["replicate", "epoch"])["rho"] for run in runs]
    effect = (rhos[1] / rhos[0]).map(np.log).abs().reset_index(name="effect")
    early = effect[effect["epoch"] <= effect["replicate"].map(both)]
    end = effect[effect["epoch"] == figure3["epoch"].max()].set_index("replicate")["effect"]
    difference = end - early.groupby("replicate")["effect"].max()
    return fits(runs[1], fits(runs[0], difference.reindex(runs[0]["replicate"].unique())))


@claim(
    "rho-mu-below-one",
    "Section 3.2, Lemma 1, end of its proof",
    "lambda > 0: how far rho mu is below 1",
    says="With lambda > 0 the solution of equal margins at zero gradient has rho mu < 1.",
    control="1 - rho mu with lambda = 0",
    controlled=lambda figure3: gap(of_start(figure3, decay=False)),
    test="number",
    because="by Eq. 7 1 - rho mu is (sigma^2 + lambda) / (M + lambda) wherever rho is at rest, and"
    " cannot be negative; `lemma1-decay-costs` judges the difference from lambda = 0",
    premise=FITTED,
)
def positive_gap(figure3: pd.DataFrame) -> pd.Series:
    """1 - rho mu at the end, smaller start."""
    return gap(of_start(figure3, decay=True))


QUASI = 0.05  # largest residual of a network that quasi-interpolates


def largest_residual(table: pd.DataFrame) -> pd.Series:
    """Largest |1 - rho fbar_n| of a sample, by row."""
    ends_of_margins = (table["rho"] * table[name] for name in ("min_margin", "max_margin"))
    return pd.concat([(1 - scaled).abs() for scaled in ends_of_margins], axis=1).max(
        axis=1, skipna=False
    )


def residual_before(figure8: pd.DataFrame) -> pd.Series:
    """The largest |1 - rho fbar_n| before training, of replicates that fit in the end."""
    table = figure8.assign(residual=largest_residual(figure8))
    return fits(figure8, where(table, epoch=0).set_index("replicate")["residual"])


@claim(
    "quasi-interpolates",
    "Section 1, paragraph 4; Section 3.2, Lemma 1",
    "lambda > 0: |rho fbar_n - 1| <= epsilon for all n, epsilon small",
    says="With weight decay interpolation is replaced by quasi-interpolation: |f(x_n) - y_n| is at"
    " most a small epsilon for all n.",
    control="the same before training",
    controlled=residual_before,
    below=QUASI,
    because="a twentieth of the label. With the margin of 0.005 and the sd of 1e-4 that the paper"
    " prints, the largest of 10,000 residuals is about 0.08, were they normal",
    premise=FITTED,
    limit=True,
)
def small_residuals(figure8: pd.DataFrame) -> pd.Series:
    """Largest |1 - rho fbar_n| over the training samples, at the end."""
    return fitted_at_end(figure8.assign(residual=largest_residual(figure8)), "residual")
