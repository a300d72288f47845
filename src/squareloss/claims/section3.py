"""Section 3: the dynamics of rho."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import ends, fits, fitted_at_end, where
from squareloss.tables.runs import last_epoch
from squareloss.theory.equilibrium import loss_from_rho_dot, rho_equilibrium

ALIGNED = 0.99
NOISE = "SGD moves rho around its equilibrium; a hundredth is far below any difference plotted"


def while_training(gradientflow: pd.DataFrame) -> pd.DataFrame:
    """The courses of gradient descent with momentum, at every tenth step."""
    return gradientflow[gradientflow["method"] == "momentum"]


@claim(
    "eq5-flow",
    "Section 3.1, paragraph 1; Section 3.4.1, Eq. 5",
    "gradient descent follows the gradient flow of (rho, V_k) as its step decreases",
    says="Gradient flow is the limit of gradient descent for an infinitesimally small learning rate"
    " (Section 3.1); for rho and V_k it is the system of Eq. 5.",
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
    "Section 3.4.1, Eq. 6",
    "rho_dot = 2 G^2 (mu - rho (M + lambda_eff)), time = steps x rate / (1 - momentum)",
    says="The flow of rho is rho_dot = 2 (mu - rho (M + lambda)). The factors of frozen layer norms"
    " and momentum are derived in errata.md.",
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
    "Section 3.5, Lemma 4 and Eq. 11",
    "L = 1 - rho (rho_dot / 2 + mu)",
    says="With layers of norm 1 the square loss is 1 - rho (rho_dot / 2 + mu).",
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


def equilibrium_error(table: pd.DataFrame, decays: bool = True, decay: float = 1) -> pd.Series:
    """rho / rho_eq - 1 at the end, the largest by replicate.

    Of the runs with weight decay, or of those without; rho_eq with `decay` times lambda_eff.
    """
    runs = table[(table["weight_decay"] > 0) == decays]
    if runs.empty:
        raise UnsuitableError(f"runs with{'' if decays else 'out'} weight decay")
    end = where(runs, epoch=runs["epoch"].max())
    rho, mu, m, lam = (end[name].to_numpy() for name in ("rho", "mu", "M", "lambda_eff"))
    error = pd.Series(rho / rho_equilibrium(mu, m, decay * lam) - 1, end.index)
    largest = error.abs().groupby(end["replicate"]).transform("max")
    found = error.where(error.abs() == largest).groupby(end["replicate"]).first()
    diverged = error.isna().groupby(end["replicate"]).any()
    return found.where(~diverged)


def equilibrium_without_decay(figure3: pd.DataFrame) -> pd.Series:
    """The same of the runs without weight decay."""
    return equilibrium_error(figure3, decays=False)


@claim(
    "eq7-equilibrium",
    "Section 3.4.1, Eq. 7",
    "rho -> mu / (M + lambda_eff), whose lambda_eff is too small here to be seen",
    says="At critical points rho is mu / (M + lambda). That training ends at one is assumed"
    " (Section 3.1).",
    control="lambda = 0: rho M / mu - 1, which any network that interpolates has near 0",
    controlled=equilibrium_without_decay,
    test="number",
    because="Eq. 7 is of lambda = 0, too, so that the control has all that it names; at this"
    " lambda_eff the two formulas hardly differ. `eq7-equilibrium-unit` judges Eq. 7 where they do",
)
def equilibrium(figure3: pd.DataFrame) -> pd.Series:
    """rho / rho_eq - 1 at the end, of the start furthest from it."""
    return equilibrium_error(figure3)


def equilibrium_without_lambda(figure_unit: pd.DataFrame) -> pd.Series:
    """The same from a formula without lambda."""
    return equilibrium_error(figure_unit, decay=0)


@claim(
    "eq7-equilibrium-unit",
    "Section 3.4.1, Eq. 7",
    "SGD ends near rho = mu / (M + lambda), layer norms 1, where lambda is a tenth of M",
    says="At critical points rho is mu / (M + lambda), not mu / M. That training ends at one is"
    " assumed (Section 3.1); SGD with decay reaches none exactly (Section 1).",
    control="rho M / mu - 1: the formula without lambda",
    controlled=equilibrium_without_lambda,
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
    "Section 3.2, Lemma 1",
    "lambda > 0 leaves a larger distance to interpolation than lambda = 0",
    says="For lambda = 0 there are solutions that interpolate; for lambda > 0 solutions with equal"
    " margins do not interpolate, they quasi-interpolate.",
    control="lambda = 0, which is subtracted",
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
    "Section 1, paragraph 3; Section 3.5, small initialization",
    "rho grows, and not monotonically (for how long it falls `rho-falls-briefly` reports)",
    beside=("rho-falls-briefly",),
    says="rho may grow non-monotonically, with oscillations over short intervals, until it"
    " converges (Section 3.5); the introduction says that it grows so.",
    no_control="said of any lambda, and of no mechanism that could be left out; a course that only"
    " rises, or that ends below its start, would contradict it",
    above=0.05,
    because="a twentieth is well above what SGD's noise moves rho",
    premise=FITTED,
)
def reversal(figure8: pd.DataFrame) -> pd.Series:
    """The least of rho's largest relative rise and fall, and its growth from start to end."""
    table = figure8.sort_values("epoch")

    def least(rho: pd.Series) -> float:
        rise = (rho / rho.cummin() - 1).max()
        fall = (1 - rho / rho.cummax()).max()
        return float(min(rise, fall, rho.iloc[-1] / rho.iloc[0] - 1))

    return fits(table, table.groupby("replicate")["rho"].apply(least))


@claim(
    "lemma5",
    "Section 3.5, Lemma 5",
    "turning V_L orthogonally to the features and raising rho leaves the outputs as they are",
    says="If V_L and the features are aligned, V_L may turn to any unit vector of overlap alpha"
    " with it: with rho / alpha the network still interpolates.",
    below=0.01,
    because="a hundredth of the label",
    test="check",
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
