"""Section 6.1: low rank."""

import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import (
    LEARNT,
    TRAINED,
    ends,
    fits,
    learnt,
    ratio_to_start,
    where,
)
from squareloss.tables.runs import RUN, last_epoch

RANK = "rank_1e-2"


def rank_change(table: pd.DataFrame, varied: str, **run: object) -> pd.Series:
    """Mean rank at the largest value of what is varied less that at the smallest."""
    end = last_epoch(where(table, **run))
    if end.empty:
        raise UnsuitableError(f"runs with {run}")
    # The experiment has several sweeps; the one that varies this alone has the most values of it.
    others = [name for name in ("batch_size", "learning_rate", "weight_decay") if name != varied]
    sizes = end.groupby(others)[varied].nunique()
    end = end.set_index(others).loc[[sizes.idxmax()]].reset_index()
    low, high = (where(end, **{varied: value}) for value in ends(end, varied))
    change = high.set_index("replicate")[RANK] - low.set_index("replicate")[RANK]
    # Of means of counts: two equal changes may differ by 1e-14, which the sign test would count.
    return learnt(pd.concat([low, high]), change.round(9))


def with_decay(figure_lowrank: pd.DataFrame) -> pd.DataFrame:
    """The runs with weight decay."""
    return figure_lowrank[figure_lowrank["weight_decay"] > 0]


@claim(
    "rank-batch",
    "Section 6.1",
    "lambda > 0: smaller batches give lower rank",
    above=0,
    because="a difference",
    premise=TRAINED,
)
def rank_over_batches(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L, with lambda > 0: largest batch minus smallest."""
    return rank_change(with_decay(figure_lowrank), "batch_size")


@claim(
    "rank-learning-rate",
    "Galanti et al. 2022, for Section 6.1",
    "lambda > 0: larger learning rates give lower rank",
    below=0,
    because="a difference",
    premise=TRAINED,
)
def rank_over_rates(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L, with lambda > 0: largest rate minus smallest."""
    return rank_change(with_decay(figure_lowrank), "learning_rate")


@claim(
    "rank-weight-decay",
    "Section 6.1",
    "larger lambda gives lower rank",
    below=0,
    because="a difference",
    premise=TRAINED,
)
def rank_over_decay(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L: largest lambda minus 0."""
    return rank_change(figure_lowrank, "weight_decay")


@claim(
    "rank-control",
    "Section 6.1",
    "smaller batches lower the rank more with lambda than without",
    above=0,
    because="a difference",
    premise=TRAINED,
)
def control(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Change of rank over the batch sizes with lambda > 0 minus that with lambda = 0."""
    without = rank_change(figure_lowrank, "batch_size", weight_decay=0)
    return rank_over_batches(figure_lowrank) - without


@claim(
    "rank-falls-cnn",
    "Section 6.1",
    "lambda > 0: the layers' stable rank falls in the paper's own setting",
    below=1,
    because="a ratio",
    premise=FITTED,
)
def rank_of_the_papers_network(figure3: pd.DataFrame) -> pd.Series:
    """Mean stable rank of the layers k < L at the end over that at the start, smaller start."""
    run = where(
        figure3,
        weight_decay=ends(figure3, "weight_decay")[1],
        init_scale=figure3["init_scale"].min(),
    )
    return fits(run, ratio_to_start(run, "stable_rank"))


@claim(
    "lemma8-rank-one",
    "Lemma 8, Eq. 47",
    "d fbar_n / d V_k of a dense layer has rank at most 1 (that of a convolution has not)",
    below=1e-10,
    because="rounding in float64",
    test="check",
)
def second_singular_value(minibatch: pd.DataFrame) -> pd.Series:
    """Largest second singular value over the first, over all samples of small problems."""
    return minibatch["second_singular_value"]


@claim(
    "lemma8-no-equilibrium",
    "Lemma 8",
    "lambda > 0: no equilibrium of all batches of 1 where V_k has rank above 2",
    above=0,
    because="a difference",
    test="check",
    premise="layers of rank above 2",
)
def no_equilibrium(minibatch: pd.DataFrame) -> pd.Series:
    """Largest ||V_k dot|| of a sample after SGD with batches of 1, lambda > 0 minus lambda = 0.

    The least over the layers that have a rank above 2 with lambda > 0, by problem.
    """
    table = minibatch.set_index(["replicate", "layer"])
    decay = table[(table["weight_decay"] > 0) & (table["rank"] > 2)]["max_sample_speed"]
    zero = where(table, weight_decay=0)["max_sample_speed"]
    return (decay - zero).groupby("replicate").min()


@claim(
    "eq53-bound",
    "Eq. 53",
    "||V_k dot|| <= (2 rho / N) sum_n l_n ||d fbar_n / d V_k - fbar_n V_k||",
    below=1 + 1e-9,
    because="read as an upper bound; equality would need all samples to pull in one direction",
    test="check",
)
def speed_ratio(minibatch: pd.DataFrame) -> pd.Series:
    """Left side over right side, each layer of the small problems."""
    return minibatch["full_speed"] / minibatch["mean_sample_speed"]


@claim(
    "eq53-rank",
    "Section 6.1, after Eq. 53",
    "the norm of a layer's SGD updates reflects its rank (as we read it: grows with it)",
    above=0,
    because="no relation is 0",
    premise=TRAINED,
)
def updates_and_rank(
    figure_lowrank: pd.DataFrame, figure_lowrank_layers: pd.DataFrame
) -> pd.Series:
    """Rank correlation of a step's norm and stable rank over the layers k < L, lambda > 0."""
    runs = last_epoch(figure_lowrank)
    trained = runs.loc[
        (runs["train_error"] < LEARNT) & (runs["weight_decay"] > 0), [*RUN, "replicate"]
    ]
    layers = last_epoch(figure_lowrank_layers)
    hidden = layers[layers["layer"] < layers.groupby(RUN)["layer"].transform("max")]
    correlations = {
        key: rows["step_norm"].corr(rows["stable_rank"], "spearman")
        for key, rows in hidden.merge(trained, on=[*RUN, "replicate"]).groupby([*RUN, "replicate"])
    }
    by_replicate = pd.Series(correlations, dtype=float).groupby(level=-1).mean()
    # A mean of 0 may come out as 1e-17, which the sign test would count.
    return by_replicate.round(12).reindex(runs["replicate"].unique())
