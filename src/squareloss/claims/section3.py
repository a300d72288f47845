"""Section 3: the dynamics of rho."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import TRAINED, ends, fits, fitted_at_end, learnt, where
from squareloss.tables.runs import last_epoch
from squareloss.theory.equilibrium import loss_from_rho_dot, rho_equilibrium

ALIGNED = 0.99
NOISE = "SGD moves rho around its equilibrium; a hundredth is far below any difference plotted"


def while_training(gradientflow: pd.DataFrame) -> pd.DataFrame:
    """The courses of gradient descent with momentum, at every tenth step."""
    return gradientflow[gradientflow["method"] == "momentum"]


def apart(table: pd.DataFrame, weight_decay: float, epoch: int) -> pd.Series:
    """|log of the ratio of rho| of the largest and the smallest start at an epoch."""
    rows = where(table, weight_decay=weight_decay, epoch=epoch)
    low, high = (
        where(rows, init_scale=init).set_index("replicate")["rho"]
        for init in ends(table, "init_scale")
    )
    return (high / low).map(np.log).abs()


@claim(
    "eq5-flow",
    "Section 3.4, Eq. 5",
    "gradient descent follows the gradient flow of (rho, V_k) as its step decreases",
    above=0.5,
    because="1 is first order, where all is smooth; along kinks of the ReLU descent comes nearer"
    " more slowly: Euler's method has order 1/2 on flows that slide along kinks",
    test="check",
)
def order_of_descent(gradientflow: pd.DataFrame) -> pd.Series:
    """Slope of log distance from the integrated flow over log step; 1 is first order."""
    end = gradientflow[gradientflow["method"] == "descent"]
    return pd.Series(
        {
            replicate: np.polyfit(np.log(rows["step"]), np.log(rows["distance"]), 1)[0]
            for replicate, rows in end.groupby("replicate")
        }
    )


@claim(
    "eq6-rho-dot",
    "Eq. 6",
    "rho_dot = 2 G^2 (mu - rho (M + lambda_eff)), time = steps x rate / (1 - momentum)",
    below=0.1,
    because="a step is finite and momentum takes 1/(1 - momentum) steps to build up",
    test="check",
)
def eq6_error(gradientflow: pd.DataFrame) -> pd.Series:
    """rms of measured minus predicted rho_dot over that of the predicted, layer norms 1 and 1.5"""
    course = while_training(gradientflow)
    squares = pd.DataFrame(
        {
            "error": (course["rho_dot_measured"] - course["rho_dot_eq6"]) ** 2,
            "size": course["rho_dot_eq6"] ** 2,
        }
    )
    means = squares.groupby([course["replicate"], course["norms"]]).mean()
    return (means["error"] / means["size"]) ** 0.5


@claim(
    "lemma4",
    "Lemma 4, Eq. 11",
    "L = 1 - rho (rho_dot / 2 + mu)",
    below=0.05,
    because="a twentieth of the loss at the start, which is 1; rho_dot is from finite steps",
    test="check",
)
def lemma4_error(gradientflow: pd.DataFrame) -> pd.Series:
    """largest difference of the two sides while training with momentum, norms 1 and 1.5"""
    course = while_training(gradientflow)
    rho, rho_dot, mu = (course[name].to_numpy() for name in ("rho", "rho_dot_measured", "mu"))
    error = (course["loss"] - loss_from_rho_dot(rho, rho_dot, mu)).abs()
    return error.groupby([course["replicate"], course["norms"]]).max()


def equilibrium_error(table: pd.DataFrame) -> pd.Series:
    """rho / rho_eq - 1 at the end of the runs with weight decay: the largest by replicate."""
    runs = table[table["weight_decay"] > 0]
    end = runs[runs["epoch"] == runs["epoch"].max()]
    error = end["rho"] / rho_equilibrium(end["mu"], end["M"], end["lambda_eff"]) - 1
    largest = error.abs().groupby(end["replicate"]).transform("max")
    found = error.where(error.abs() == largest).groupby(end["replicate"]).first()
    diverged = error.isna().groupby(end["replicate"]).any()
    return found.where(~diverged)


@claim(
    "eq7-equilibrium",
    "Eq. 7",
    "rho -> mu / (M + lambda_eff)",
    within=0.01,
    because=NOISE,
    limit=True,
)
def equilibrium(figure3: pd.DataFrame) -> pd.Series:
    """rho / rho_eq - 1 at the end, of the start furthest from it."""
    return equilibrium_error(figure3)


@claim(
    "eq7-equilibrium-unit",
    "Eq. 7",
    "rho -> mu / (M + lambda), all layer norms 1",
    within=0.01,
    because=NOISE,
    limit=True,
)
def equilibrium_of_unit_norms(figure_unit: pd.DataFrame) -> pd.Series:
    """rho / rho_eq - 1 at the end, of the start furthest from it."""
    return equilibrium_error(figure_unit)


def gap(table: pd.DataFrame, **run: object) -> pd.Series:
    """1 - rho mu at the end of one run, of the replicates that fit; times C - 1 for C classes."""
    table = table.assign(gap=1 - (table["classes"] - 1) * table["rho"] * table["mu"])
    return fitted_at_end(table, "gap", **run)


@claim(
    "lemma1-decay-costs",
    "Lemma 1",
    "lambda > 0 leaves a larger distance to interpolation than lambda = 0",
    above=0,
    because="a difference",
    premise=FITTED,
)
def gap_cost_of_decay(figure3: pd.DataFrame) -> pd.Series:
    """|1 - rho mu| with lambda > 0 minus that with lambda = 0, at the end of the smaller start."""
    init, (zero, decay) = figure3["init_scale"].min(), ends(figure3, "weight_decay")
    with_decay, without = (
        gap(figure3, init_scale=init, weight_decay=wd).abs() for wd in (decay, zero)
    )
    return with_decay - without


@claim(
    "rho-nonmonotone",
    "Section 3.5",
    "rho grows non-monotonically",
    above=0.05,
    because="a twentieth is well above what SGD's noise moves rho",
    premise=FITTED,
)
def reversal(figure8: pd.DataFrame) -> pd.Series:
    """The smaller of rho's largest relative rise and largest relative fall."""
    table = figure8.sort_values("epoch")

    def smaller(rho: pd.Series) -> float:
        rise = (rho / rho.cummin() - 1).max()
        fall = (1 - rho / rho.cummax()).max()
        return float(min(rise, fall))

    return fits(table, table.groupby("replicate")["rho"].apply(smaller))


def approach_of_starts(table: pd.DataFrame) -> pd.Series:
    """With weight decay: how far apart the starts are at the end over how far at the start."""
    decay, end = table["weight_decay"].max(), table["epoch"].max()
    change = apart(table, decay, end) / apart(table, decay, 0)
    return learnt(where(table, weight_decay=decay), change)


@claim(
    "starts-meet",
    "Section 3.5, Figure 3",
    "lambda > 0: different starts approach the same rho (confounded: lambda_eff differs)",
    below=0.5,
    because="at least half of the way; layers frozen at larger norms have a smaller lambda_eff",
    premise=TRAINED,
    limit=True,
)
def starts_meet(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of two starts at the end over that at the start."""
    return approach_of_starts(figure3)


@claim(
    "starts-meet-unit",
    "Section 3.5",
    "lambda > 0, all layer norms 1: different starts approach the same rho",
    below=0.5,
    because="at least half of the way",
    premise=TRAINED,
    limit=True,
)
def starts_of_unit_norms_meet(figure_unit: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of the extreme starts at the end over that at the start."""
    return approach_of_starts(figure_unit)


def further_apart_without_decay(table: pd.DataFrame) -> pd.Series:
    """How far apart the starts end without weight decay less how far with it."""
    zero, decay = ends(table, "weight_decay")
    end = table["epoch"].max()
    return learnt(table, apart(table, zero, end) - apart(table, decay, end))


@claim(
    "starts-stay-apart",
    "Section 3.5, Figure 3",
    "lambda = 0: the final rho depends more on the start than with lambda > 0",
    above=0,
    because="a difference",
    premise=TRAINED,
)
def starts_stay_apart(figure3: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of two starts with lambda = 0 minus that with lambda > 0, at the end."""
    return further_apart_without_decay(figure3)


@claim(
    "starts-stay-apart-unit",
    "Section 3.5",
    "lambda = 0, all layer norms 1: the final rho depends more on the start",
    above=0,
    because="a difference",
    premise=TRAINED,
)
def starts_of_unit_norms_stay_apart(figure_unit: pd.DataFrame) -> pd.Series:
    """|log ratio of rho| of the extreme starts with lambda = 0 minus that with lambda > 0."""
    return further_apart_without_decay(figure_unit)


@claim(
    "lazy",
    "Section 3.5",
    "lambda = 0: from a large start the weights move less",
    below=0,
    because="a difference",
    premise=FITTED,
)
def laziness(figure5: pd.DataFrame) -> pd.Series:
    """||V_k - V_k(0)||, mean over k < L: largest start minus smallest."""
    low, high = ends(where(figure5, weight_decay=0), "init_scale")
    moved = [fitted_at_end(figure5, "distance", weight_decay=0, init_scale=s) for s in (low, high)]
    return moved[1] - moved[0]


@claim(
    "lemma5",
    "Lemma 5",
    "turning V_L orthogonally to the features and raising rho leaves the outputs as they are",
    below=0.01,
    because="a hundredth of the label",
    test="every",
    premise=f"zero training error, and features within {ALIGNED:g} (cosine) of V_L's direction",
)
def rotations(figure5: pd.DataFrame) -> pd.Series:
    """Largest change of an output, V_L turned by 60 degrees and rho doubled, lambda = 0."""
    end = last_epoch(where(figure5, weight_decay=0))
    if end.empty:
        raise UnsuitableError("runs with weight_decay = 0")
    return end["lemma5_change"].where(
        (end["train_error"] == 0) & (end["lemma5_alignment"] > ALIGNED)
    )
