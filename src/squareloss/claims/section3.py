"""Section 3: the dynamics of rho."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import Claim, Tables, UnsuitableError
from squareloss.claims.select import LEARNT, ends, fits, fitted_at_end, last, learnt, where
from squareloss.theory.equilibrium import interpolation_gap, loss_from_rho_dot, rho_equilibrium


def equilibrium_error(tables: Tables, experiment: str) -> pd.Series:
    """|rho / rho_eq - 1| at the end of the runs with weight decay, their largest by replicate."""
    table = tables[experiment]
    runs = table[table["weight_decay"] > 0]
    end = runs[runs["epoch"] == runs["epoch"].max()]
    expected = rho_equilibrium(end["mu"], end["M"], end["lambda_eff"])
    return (end["rho"] / expected - 1).abs().groupby(end["replicate"]).max(skipna=False)


def gap_error(tables: Tables) -> pd.Series:
    """|(1 - (C-1) rho mu) - epsilon of Eq. 8|, the largest at the end of the runs, by replicate."""
    table = tables["figure3"]
    end = table[(table["weight_decay"] > 0) & (table["epoch"] == table["epoch"].max())]
    c = end["classes"]
    measured = 1 - (c - 1) * end["rho"] * end["mu"]
    error = measured - interpolation_gap(end["mu"], end["M"], end["lambda_eff"], c)
    return error.abs().groupby(end["replicate"]).max(skipna=False)


def gap_cost_of_decay(tables: Tables) -> pd.Series:
    """Gap to interpolation with weight decay less the gap without, at the smaller start."""
    table = tables["figure3"].assign(
        gap=lambda rows: (1 - (rows["classes"] - 1) * rows["rho"] * rows["mu"]).abs()
    )
    init, (zero, decay) = table["init_scale"].min(), ends(table, "weight_decay")
    with_decay, without = (
        fitted_at_end(table, "gap", init_scale=init, weight_decay=wd) for wd in (decay, zero)
    )
    return with_decay - without


def while_training(tables: Tables) -> pd.DataFrame:
    """The courses of gradient descent with momentum, at every tenth step."""
    flow = tables["gradientflow"]
    return flow[flow["method"] == "momentum"]


def lemma4_error(tables: Tables) -> pd.Series:
    """|L - (1 - rho (rho_dot / 2 + mu))| while training, the largest of a course."""
    course = while_training(tables)
    rho, rho_dot, mu = (course[name].to_numpy() for name in ("rho", "rho_dot_measured", "mu"))
    error = (course["loss"] - loss_from_rho_dot(rho, rho_dot, mu)).abs()
    return error.groupby([course["replicate"], course["norms"]]).max()


def eq6_error(tables: Tables) -> pd.Series:
    """Root mean square of measured less predicted rho_dot over that of the predicted, by course."""
    course = while_training(tables)
    squares = pd.DataFrame(
        {
            "error": (course["rho_dot_measured"] - course["rho_dot_eq6"]) ** 2,
            "size": course["rho_dot_eq6"] ** 2,
        }
    )
    means = squares.groupby([course["replicate"], course["norms"]]).mean()
    return (means["error"] / means["size"]) ** 0.5


def order_of_descent(tables: Tables) -> pd.Series:
    """Slope of log(distance from the flow) over log(step) of gradient descent, by replicate."""
    flow = tables["gradientflow"]
    end = flow[flow["method"] == "descent"]
    return pd.Series(
        {
            replicate: np.polyfit(np.log(rows["step"]), np.log(rows["distance"]), 1)[0]
            for replicate, rows in end.groupby("replicate")
        }
    )


def reversal(tables: Tables) -> pd.Series:
    """The smaller of rho's largest relative rise and largest relative fall, by replicate."""
    table = tables["figure8"].sort_values("epoch")

    def smaller(rho: pd.Series) -> float:
        rise = (rho / rho.cummin() - 1).max()
        fall = (1 - rho / rho.cummax()).max()
        return float(min(rise, fall))

    return fits(table, table.groupby("replicate")["rho"].apply(smaller))


def apart(table: pd.DataFrame, weight_decay: float, epoch: int) -> pd.Series:
    """|log of the ratio of rho| of the largest and the smallest start at an epoch."""
    rows = where(table, weight_decay=weight_decay, epoch=epoch)
    low, high = (
        where(rows, init_scale=init).set_index("replicate")["rho"]
        for init in ends(table, "init_scale")
    )
    return (high / low).map(np.log).abs()


def starts_meet(tables: Tables, experiment: str) -> pd.Series:
    """With weight decay: how far apart the starts are at the end over how far at the start."""
    table = tables[experiment]
    decay, end = table["weight_decay"].max(), table["epoch"].max()
    change = apart(table, decay, end) / apart(table, decay, 0)
    return learnt(where(table, weight_decay=decay), change)


def starts_stay_apart(tables: Tables, experiment: str) -> pd.Series:
    """How far apart the starts end without weight decay less how far with it."""
    table = tables[experiment]
    zero, decay = ends(table, "weight_decay")
    end = table["epoch"].max()
    return learnt(table, apart(table, zero, end) - apart(table, decay, end))


def laziness(tables: Tables) -> pd.Series:
    """Distance that the weights moved from the larger start less that from the smaller."""
    table = tables["figure5"]
    low, high = ends(where(table, weight_decay=0), "init_scale")
    moved = [fitted_at_end(table, "distance", weight_decay=0, init_scale=s) for s in (low, high)]
    return moved[1] - moved[0]


def rotations(tables: Tables) -> pd.Series:
    """Lemma 5's change of the outputs, of networks without weight decay that fit their labels."""
    table = tables["figure5"]
    end = last(where(table, weight_decay=0))
    if end.empty:
        raise UnsuitableError("runs with weight_decay = 0")
    return end["lemma5_change"].where(end["train_error"] == 0)


FITTED = "zero training error"
TRAINED = f"training error below {LEARNT:g}"
NOISE = "SGD moves rho around its equilibrium; a hundredth is far below any difference plotted"
CLAIMS = [
    Claim(
        "eq5-flow",
        "Section 3.4, Eq. 5",
        "gradient descent follows the gradient flow of (rho, V_k) as its step decreases",
        "slope of log distance from the integrated flow over log step; 1 is first order",
        ">",
        0.9,
        "first order is 1; steps that are not infinitely small leave a few hundredths",
        ("gradientflow",),
        order_of_descent,
        "every",
    ),
    Claim(
        "eq6-rho-dot",
        "Eq. 6",
        "rho_dot = 2 G^2 (mu - rho (M + lambda_eff)), time = steps x rate / (1 - momentum)",
        "rms of measured minus predicted rho_dot over that of the predicted, layer norms 1 and 1.5",
        "<",
        0.1,
        "a step is finite and momentum takes 1/(1 - momentum) steps to build up",
        ("gradientflow",),
        eq6_error,
        "every",
    ),
    Claim(
        "lemma4",
        "Lemma 4, Eq. 11",
        "L = 1 - rho (rho_dot / 2 + mu)",
        "largest difference of the two sides while training with momentum, norms 1 and 1.5",
        "<",
        0.05,
        "a twentieth of the loss at the start, which is 1; rho_dot is measured from finite steps",
        ("gradientflow",),
        lemma4_error,
        "every",
    ),
    Claim(
        "eq7-equilibrium",
        "Eq. 7",
        "rho -> mu / (M + lambda_eff)",
        "|rho / rho_eq - 1| at the end, largest over the starts",
        "<",
        0.01,
        NOISE,
        ("figure3",),
        lambda tables: equilibrium_error(tables, "figure3"),
        limit=True,
    ),
    Claim(
        "eq7-equilibrium-unit",
        "Eq. 7",
        "rho -> mu / (M + lambda), all layer norms 1",
        "|rho / rho_eq - 1| at the end, largest over the starts",
        "<",
        0.01,
        NOISE,
        ("unit",),
        lambda tables: equilibrium_error(tables, "unit"),
        limit=True,
    ),
    Claim(
        "eq8-gap",
        "Lemma 1, Eq. 8",
        "1 - rho mu -> (sigma^2 + lambda) / (mu^2 + sigma^2 + lambda)",
        "difference of the two sides at the end, largest over the starts",
        "<",
        0.01,
        "a hundredth of the label",
        ("figure3",),
        gap_error,
        limit=True,
    ),
    Claim(
        "lemma1-decay-costs",
        "Lemma 1",
        "lambda > 0 leaves a gap to interpolation that lambda = 0 does not",
        "|1 - rho mu| with lambda > 0 minus that with lambda = 0, at the end",
        ">",
        0,
        "a difference",
        ("figure3",),
        gap_cost_of_decay,
        premise=FITTED,
    ),
    Claim(
        "rho-nonmonotone",
        "Section 3.5",
        "rho grows non-monotonically",
        "the smaller of rho's largest relative rise and largest relative fall",
        ">",
        0.05,
        "a twentieth is well above what SGD's noise moves rho",
        ("figure8",),
        reversal,
        premise=FITTED,
    ),
    Claim(
        "starts-meet",
        "Section 3.5, Figure 3",
        "lambda > 0: different starts approach the same rho",
        "|log ratio of rho| of two starts at the end over that at the start",
        "<",
        0.5,
        "at least half of the way; each start has its own lambda_eff here",
        ("figure3",),
        lambda tables: starts_meet(tables, "figure3"),
        limit=True,
        premise=TRAINED,
    ),
    Claim(
        "starts-meet-unit",
        "Section 3.5",
        "lambda > 0, all layer norms 1: different starts approach the same rho",
        "|log ratio of rho| of the extreme starts at the end over that at the start",
        "<",
        0.5,
        "at least half of the way",
        ("unit",),
        lambda tables: starts_meet(tables, "unit"),
        limit=True,
        premise=TRAINED,
    ),
    Claim(
        "starts-stay-apart",
        "Section 3.5, Figure 3",
        "lambda = 0: the final rho depends more on the start than with lambda > 0",
        "|log ratio of rho| of two starts with lambda = 0 minus that with lambda > 0, at the end",
        ">",
        0,
        "a difference",
        ("figure3",),
        lambda tables: starts_stay_apart(tables, "figure3"),
        premise=TRAINED,
    ),
    Claim(
        "starts-stay-apart-unit",
        "Section 3.5",
        "lambda = 0, all layer norms 1: the final rho depends more on the start",
        "|log ratio of rho| of the extreme starts with lambda = 0 minus that with lambda > 0",
        ">",
        0,
        "a difference",
        ("unit",),
        lambda tables: starts_stay_apart(tables, "unit"),
        premise=TRAINED,
    ),
    Claim(
        "lazy",
        "Section 3.5",
        "lambda = 0: from a large start the weights move less",
        "||V_k - V_k(0)||, mean over k < L: largest start minus smallest",
        "<",
        0,
        "a difference",
        ("figure5",),
        laziness,
        premise=FITTED,
    ),
    Claim(
        "lemma5",
        "Lemma 5",
        "turning V_L orthogonally to the features and raising rho leaves the outputs as they are",
        "largest change of an output, V_L turned by 60 degrees and rho doubled, lambda = 0",
        "<",
        0.01,
        "a hundredth of the label",
        ("figure5",),
        rotations,
        "every",
        premise=FITTED,
    ),
]
