"""Section 6: low rank and the noise of SGD."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import RUN, Claim, Tables, UnsuitableError
from squareloss.claims.select import (
    LEARNT,
    ends,
    fits,
    fitted_at_end,
    last,
    learnt,
    other_recipe,
    where,
)


def rank_change(table: pd.DataFrame, varied: str, **run: object) -> pd.Series:
    """Mean rank at the largest value of what is varied less that at the smallest."""
    end = last(where(table, **run))
    if end.empty:
        raise UnsuitableError(f"runs with {run}")
    # The sweep that varies this alone is the one with the most values of it.
    others = [name for name in ("batch_size", "learning_rate", "weight_decay") if name != varied]
    sizes = end.groupby(others)[varied].nunique()
    end = end.set_index(others).loc[[sizes.idxmax()]].reset_index()
    low, high = (where(end, **{varied: value}) for value in ends(end, varied))
    change = high.set_index("replicate")[RANK] - low.set_index("replicate")[RANK]
    return learnt(pd.concat([low, high]), change)


def rank_over(tables: Tables, varied: str) -> pd.Series:
    """`rank_change` with weight decay."""
    table = tables["lowrank"]
    return rank_change(table[table["weight_decay"] > 0], varied)


def rank_over_decay(tables: Tables) -> pd.Series:
    """`rank_change` over lambda, 0 included."""
    return rank_change(tables["lowrank"], "weight_decay")


def control(tables: Tables) -> pd.Series:
    """How much more the batch size changes the rank with weight decay than without."""
    table = tables["lowrank"]
    without = rank_change(table, "batch_size", weight_decay=0)
    return rank_over(tables, "batch_size") - without


def sgd(tables: Tables) -> str:
    """The recipe of the experiment that is not full-batch gradient descent."""
    return other_recipe(tables["sgdnoise"], "gd")


def sgd_runs(tables: Tables) -> pd.DataFrame:
    """The runs of SGD, with the `spread` of their margins: sd / mean."""
    table = where(tables["sgdnoise"], recipe_name=sgd(tables))
    return table.assign(spread=table["margin_sd"] / table["mean_margin"].abs())


def noise_ratio(tables: Tables) -> pd.Series:
    """SGD, lambda = 0: change of the weights in the last epoch over the largest of an epoch."""
    table = where(sgd_runs(tables), weight_decay=0)
    return fitted_at_end(table, "update_norm") / table.groupby("replicate")["update_norm"].max()


def noise_decay(tables: Tables) -> pd.Series:
    """SGD, lambda > 0: slope of log noise in the weights over log epoch, last two snapshots."""
    table = sgd_runs(tables)
    table = where(table, weight_decay=ends(table, "weight_decay")[1])

    def slope(rows: pd.DataFrame) -> float:
        late = rows[rows["update_norm"] > 0].sort_values("epoch").tail(2)
        if len(late) < 2:
            return np.nan
        return float(np.diff(np.log(late["update_norm"]))[0] / np.diff(np.log(late["epoch"]))[0])

    slopes = {replicate: slope(rows) for replicate, rows in table.groupby("replicate")}
    return fits(table, pd.Series(slopes, dtype=float))


def margin_spread(tables: Tables) -> pd.Series:
    """SGD, lambda = 0: sd / mean of the margins at the end."""
    return fitted_at_end(sgd_runs(tables), "spread", weight_decay=0)


def noise_of_decay(tables: Tables, column: str) -> pd.Series:
    """SGD: a noise at the end with weight decay less that without."""
    table = sgd_runs(tables)
    zero, decay = ends(table, "weight_decay")
    with_decay, without = (fitted_at_end(table, column, weight_decay=wd) for wd in (decay, zero))
    return with_decay - without


def noise_of_descent(tables: Tables) -> pd.Series:
    """With weight decay: last change of the weights of gradient descent over that of SGD.

    In as many steps: an epoch of gradient descent is one step, and its change is taken times the
    steps in an epoch of SGD.
    """
    table = tables["sgdnoise"]
    table = where(table, weight_decay=ends(table, "weight_decay")[1])
    steps = np.ceil(table["n_train"].iloc[0] / table["batch_size"].iloc[0])
    descent, noisy = (
        fitted_at_end(table, "update_norm", recipe_name=name) for name in ("gd", sgd(tables))
    )
    return steps * descent / noisy


def no_equilibrium(tables: Tables) -> pd.Series:
    """Fastest turn that one sample asks of a layer, with lambda > 0 less that with lambda = 0.

    The least over the layers that have a rank above 2 with lambda > 0, by problem.
    """
    table = tables["minibatch"].set_index(["replicate", "layer"])
    decay = table[(table["weight_decay"] > 0) & (table["rank"] > 2)]["max_sample_speed"]
    zero = where(table, weight_decay=0)["max_sample_speed"]
    return (decay - zero).dropna().groupby("replicate").min()


def speed_ratio(tables: Tables) -> pd.Series:
    """Norm of the full gradient in a layer over the right side of Eq. (53)."""
    return tables["minibatch"]["full_speed"] / tables["minibatch"]["mean_sample_speed"]


def updates_and_rank(tables: Tables) -> pd.Series:
    """Rank correlation over the layers before the last of update and rank, by run, then mean."""
    runs = last(tables["lowrank"])
    trained = runs.loc[
        (runs["train_error"] < LEARNT) & (runs["weight_decay"] > 0), [*RUN, "replicate"]
    ]
    layers = last(tables["layers of lowrank"])
    layers = layers[layers["layer"] < layers["layer"].max()].merge(trained, on=[*RUN, "replicate"])
    correlations = {
        key: rows["update_norm"].corr(rows["stable_rank"], "spearman")
        for key, rows in layers.groupby([*RUN, "replicate"])
    }
    by_replicate = pd.Series(correlations, dtype=float).groupby(level=-1).mean()
    return by_replicate.reindex(runs["replicate"].unique())


FITTED = "zero training error"
TRAINED = f"training error below {LEARNT:g}"
RANK = "rank_1e-2"
ABOUT = "rank at tolerance 1e-2, mean over k < L, with lambda > 0:"
CLAIMS = [
    Claim(
        "rank-batch",
        "Section 6.1",
        "smaller batches give lower rank",
        f"{ABOUT} largest batch minus smallest",
        ">",
        0,
        "a difference",
        ("lowrank",),
        lambda tables: rank_over(tables, "batch_size"),
        premise=TRAINED,
    ),
    Claim(
        "rank-learning-rate",
        "Section 6.1",
        "larger learning rates give lower rank",
        f"{ABOUT} largest rate minus smallest",
        "<",
        0,
        "a difference",
        ("lowrank",),
        lambda tables: rank_over(tables, "learning_rate"),
        premise=TRAINED,
    ),
    Claim(
        "rank-weight-decay",
        "Section 6.1",
        "larger lambda gives lower rank",
        "rank at tolerance 1e-2, mean over k < L: largest lambda minus 0",
        "<",
        0,
        "a difference",
        ("lowrank",),
        rank_over_decay,
        premise=TRAINED,
    ),
    Claim(
        "rank-control",
        "Section 6.1",
        "without lambda there is no such bias",
        "change of rank over the batch sizes with lambda > 0 minus that with lambda = 0",
        ">",
        0,
        "a difference",
        ("lowrank",),
        control,
        premise=TRAINED,
    ),
    Claim(
        "lemma8-rank-one",
        "Lemma 8, Eq. 47",
        "d fbar_n / d V_k has rank at most 1",
        "largest second singular value over the first, over all samples of small problems",
        "<",
        1e-10,
        "rounding in float64",
        ("minibatch",),
        lambda tables: tables["minibatch"]["second_singular_value"],
        "every",
    ),
    Claim(
        "lemma8-no-equilibrium",
        "Lemma 8",
        "lambda > 0: no equilibrium of all batches of 1 where V_k has rank above 2",
        "largest ||V_k dot|| of a sample after SGD with batches of 1, lambda > 0 minus lambda = 0",
        ">",
        0,
        "a difference",
        ("minibatch",),
        no_equilibrium,
        "every",
        premise="layers of rank above 2",
    ),
    Claim(
        "eq53-bound",
        "Eq. 53",
        "||V_k dot|| <= (2 rho / N) sum_n l_n ||d fbar_n / d V_k - fbar_n V_k||",
        "left side over right side, each layer of the small problems",
        "<",
        1 + 1e-9,
        "read as an upper bound; equality would need all samples to pull in one direction",
        ("minibatch",),
        speed_ratio,
        "every",
    ),
    Claim(
        "eq53-rank",
        "Section 6.1, after Eq. 53",
        "the norm of the SGD updates of a layer reflects its rank",
        "rank correlation of update norm and stable rank over the layers k < L, lambda > 0",
        ">",
        0,
        "no relation is 0",
        ("lowrank", "layers of lowrank"),
        updates_and_rank,
        premise=TRAINED,
    ),
    Claim(
        "noise-of-decay",
        "Section 6.2",
        "lambda > 0: SGD's noise in the weights stays above that of lambda = 0",
        "||V_k - V_k one epoch before|| at the end, lambda > 0 minus lambda = 0",
        ">",
        0,
        "a difference",
        ("sgdnoise",),
        lambda tables: noise_of_decay(tables, "update_norm"),
        premise=FITTED,
    ),
    Claim(
        "noise-levels-off",
        "Section 6.2",
        "lambda > 0: SGD's noise in the weights levels off",
        "slope of log ||V_k - V_k one epoch before|| over log epoch, last two snapshots",
        ">",
        -0.5,
        "0 is level and -1 falls as 1/epoch; this is the middle",
        ("sgdnoise",),
        noise_decay,
        premise=FITTED,
    ),
    Claim(
        "noise-vanishes",
        "Section 6.2",
        "lambda = 0: SGD's noise in the weights vanishes",
        "||V_k - V_k one epoch before|| at the end over its largest value, lambda = 0",
        "<",
        0.01,
        "two orders of magnitude",
        ("sgdnoise",),
        noise_ratio,
        premise=FITTED,
        limit=True,
    ),
    Claim(
        "noise-margins",
        "Section 6.2, Figure 10",
        "lambda > 0: SGD's noise in the margins stays above that of lambda = 0",
        "sd / mean of the margins at the end, lambda > 0 minus lambda = 0",
        ">",
        0,
        "a difference",
        ("sgdnoise",),
        lambda tables: noise_of_decay(tables, "spread"),
        premise=FITTED,
    ),
    Claim(
        "noise-margins-vanish",
        "Section 6.2, Figure 10",
        "lambda = 0: SGD's noise in the margins vanishes",
        "sd / mean of the margins at the end, lambda = 0",
        "<",
        0.01,
        "two orders of magnitude below the margins",
        ("sgdnoise",),
        margin_spread,
        premise=FITTED,
        limit=True,
    ),
    Claim(
        "noise-absent-in-gd",
        "Section 6.2",
        "lambda > 0: full-batch gradient descent has no such noise",
        "change of V_k at the end in as many steps as an epoch of SGD has, descent over SGD",
        "<",
        0.01,
        "two orders of magnitude",
        ("sgdnoise",),
        noise_of_descent,
        premise=FITTED,
        limit=True,
    ),
]
