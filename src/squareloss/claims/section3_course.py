"""Sections 3.5 and 5.1: what rho, the margins and the loss do on the way, epoch by epoch."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.section3 import gap
from squareloss.claims.select import ends, fits, fitted_at_end, where


def of_decay(table: pd.DataFrame) -> pd.DataFrame:
    """The run with weight decay from the smaller start."""
    return where(
        table, weight_decay=table["weight_decay"].max(), init_scale=table["init_scale"].min()
    )


def since_fitted(table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """A column by replicate at the first epoch without training error, and at the last of all."""
    table = table.sort_values("epoch")
    fitted = table[table["train_error"] == 0].groupby("replicate")[column].first()
    return fits(table, fitted), fitted_at_end(table, column)


def share_of_epochs(table: pd.DataFrame, what: str, given: str = "") -> pd.Series:
    """Share of the epochs in which `what` falls, of those in which `given` falls, by replicate."""
    table = table.sort_values("epoch")

    def share(rows: pd.DataFrame) -> float:
        lengths = rows["epoch"].diff()
        among = lengths[rows[given].diff() < 0] if given else lengths
        return float(among[rows[what].diff() < 0].sum() / among.sum()) if among.sum() else np.nan

    return fits(table, pd.Series({r: share(rows) for r, rows in table.groupby("replicate")}))


@claim(
    "mu-rises-as-rho-falls",
    "Section 3.5, after Lemma 4",
    "while rho falls, mu rises",
    below=0.1,
    because="always, but for one epoch in ten that SGD's noise turns",
    premise=FITTED,
)
def mu_falls_too(figure8: pd.DataFrame) -> pd.Series:
    """Share of epochs in which mu falls, of those in which rho does."""
    return share_of_epochs(figure8, "mu", given="rho")


@claim(
    "rho-falls-briefly",
    "Section 3.5, after Lemma 4",
    "rho_dot cannot be negative for long periods",
    below=0.5,
    because="half of training is long",
    premise=FITTED,
)
def rho_falls(figure8: pd.DataFrame) -> pd.Series:
    """Share of all epochs in which rho falls."""
    return share_of_epochs(figure8, "rho")


@claim(
    "mu-rises",
    "Section 3.5, Figure 3",
    "lambda > 0: the loss decreases with mu increasing",
    above=1,
    because="a ratio",
    premise=FITTED,
)
def rise_of_mu(figure3: pd.DataFrame) -> pd.Series:
    """mu at the end over that at the first epoch without training error, lambda > 0."""
    first, last = since_fitted(of_decay(figure3), "mu")
    return last / first


@claim(
    "sigma-falls",
    "Section 3.5, Figure 3",
    "lambda > 0: the loss decreases with sigma decreasing",
    below=1,
    because="a ratio",
    premise=FITTED,
)
def fall_of_sigma(figure3: pd.DataFrame) -> pd.Series:
    """sd of the margins at the end over that at the first epoch without training error."""
    first, last = since_fitted(of_decay(figure3), "margin_sd")
    return last / first


@claim(
    "large-margins-shrink",
    "Section 3.5, Figure 3",
    "the large margins of some samples decrease",
    below=0.9,
    because="a tenth is more than an epoch's noise",
    premise=FITTED,
)
def fall_of_the_largest(figure3: pd.DataFrame) -> pd.Series:
    """Largest margin at the end over the largest at any epoch, lambda > 0, smaller start."""
    table = of_decay(figure3)
    return fitted_at_end(table, "max_margin") / table.groupby("replicate")["max_margin"].max()


@claim(
    "sigma-lowers-the-loss",
    "Section 3.5, Eq. 11",
    "for larger rho the loss decreases because sigma^2 decreases",
    above=0.5,
    because="more than half of the decrease",
    premise=FITTED,
)
def share_of_sigma(figure3: pd.DataFrame) -> pd.Series:
    """Share of rho^2 sigma^2 in the decrease of the data loss since training error was 0.

    The loss is (1 - rho mu)^2 + rho^2 sigma^2.
    """
    table = of_decay(figure3)
    spread = (table["rho"] * table["margin_sd"]) ** 2
    table = table.assign(spread=spread, loss=spread + (1 - table["rho"] * table["mu"]) ** 2)
    (first, last), (whole, left) = (since_fitted(table, name) for name in ("spread", "loss"))
    return (first - last) / (whole - left)


@claim(
    "decay-matters-late",
    "Section 3.5, after Eq. 11",
    "lambda moves rho more in the final phase than until the data are fitted",
    above=0,
    because="a difference",
    premise=FITTED,
)
def late_effect(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho with lambda and without| at the end less that when the data are fitted."""
    zero, decay = ends(figure3, "weight_decay")
    init = figure3["init_scale"].min()
    runs = [where(figure3, weight_decay=wd, init_scale=init) for wd in (zero, decay)]
    fitted = [run[run["train_error"] == 0].groupby("replicate")["epoch"].min() for run in runs]
    both = pd.concat(fitted, axis=1).max(axis=1, skipna=False)

    def effect(epochs: pd.Series) -> pd.Series:
        rhos = [run.set_index(["replicate", "epoch"])["rho"] for run in runs]
        keys = pd.MultiIndex.from_arrays([epochs.index, epochs])
        ratio = rhos[1].reindex(keys).to_numpy() / rhos[0].reindex(keys).to_numpy()
        return pd.Series(np.abs(np.log(ratio)), epochs.index)

    end = both.where(both.isna(), float(figure3["epoch"].max()))
    difference = effect(end) - effect(both)
    return fits(runs[1], fits(runs[0], difference.reindex(runs[0]["replicate"].unique())))


@claim(
    "rho-mu-below-one",
    "Lemma 1",
    "lambda > 0: rho mu < 1",
    above=0,
    because="a difference",
    premise=FITTED,
)
def positive_gap(figure8: pd.DataFrame) -> pd.Series:
    """1 - rho mu at the end."""
    return gap(figure8)


@claim(
    "quasi-interpolates",
    "Lemma 1, Section 5.1",
    "lambda > 0: training ends at quasi-interpolation, 1 - rho mu small",
    below=0.05,
    because="a twentieth of the label",
    premise=FITTED,
    limit=True,
)
def small_gap(figure8: pd.DataFrame) -> pd.Series:
    """|1 - rho mu| at the end."""
    return gap(figure8).abs()


@claim(
    "residuals-equal",
    "Lemma 6, as the proofs of Theorems 5 and 6 use it",
    "lambda > 0: the residuals 1 - rho fbar_n become equal",
    below=0.1,
    because="a tenth of the scale; the margins are equal far sooner, for residuals are small",
    premise=FITTED,
    limit=True,
)
def spread_of_residuals(figure8: pd.DataFrame) -> pd.Series:
    """sd of 1 - rho fbar_n over |mean| at the end."""
    rho, sd = (fitted_at_end(figure8, name) for name in ("rho", "margin_sd"))
    return rho * sd / gap(figure8).abs()


def margins_shape(name: str, column: str, within: float, because: str) -> None:
    """The claim that a moment of the margins is that of a Gaussian."""

    @claim(
        f"margins-gaussian-{name}",
        "Figure 10, left",
        f"lambda > 0: the margins are Gaussian-like: {name} 0",
        within=within,
        because=because,
        premise=FITTED,
        quantity=f"{name} of the margins at the end, median over the starts",
    )
    def moment(figure10: pd.DataFrame) -> pd.Series:
        table = where(figure10, weight_decay=ends(figure10, "weight_decay")[1])
        values = [
            fitted_at_end(table, column, init_scale=init) for init in table["init_scale"].unique()
        ]
        return pd.concat(values, axis=1).median(axis=1)


margins_shape("skewness", "margin_skewness", 0.5, "an exponential law has 2")
margins_shape("kurtosis", "margin_kurtosis", 1.0, "a Laplace law has 3 in excess of a Gaussian")
