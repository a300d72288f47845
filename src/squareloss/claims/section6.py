"""Section 6.1: low rank."""

import pandas as pd

from squareloss.claims.claim import FITTED, UnsuitableError, claim
from squareloss.claims.select import (
    LEARNT,
    LEARNT_WELL,
    ends,
    fitted_at_end,
    learnt,
    where,
)
from squareloss.tables.runs import RUN, last_epoch

RANK = "rank_1e-2"


def rank_change(table: pd.DataFrame, varied: str, **run: object) -> pd.Series:
    """Mean rank at the largest value of what is varied less that at the smallest."""
    end = last_epoch(where(table, **run))
    if end.empty:
        named = ", ".join(f"{name} = {value}" for name, value in run.items())
        raise UnsuitableError(f"runs with {named or 'weight decay'}")
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


SMALLER = (
    "A rank constraint depends on the size of the minibatches, and implies a bias of SGD towards"
    " solutions of small rank, in the presence of regularisation."
)
WHICH_WAY = (
    "which way the rank goes with the size of the batches is not said: Lemma 8 has 2 at most for"
    " any size below N. That smaller batches lower it more is inferred here"
)


def without_decay(figure_lowrank: pd.DataFrame) -> pd.Series:
    """The change over the batch sizes with lambda = 0."""
    return rank_change(figure_lowrank, "batch_size", weight_decay=0)


@claim(
    "rank-batch",
    "Section 1, paragraph 7; Section 6.1",
    "lambda > 0: by how much the rank rises from the smallest batch to the largest",
    says=SMALLER,
    control="the same with lambda = 0",
    controlled=without_decay,
    test="number",
    because=WHICH_WAY,
    premise=LEARNT_WELL,
)
def rank_over_batches(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L, with lambda > 0: largest batch minus smallest."""
    return rank_change(with_decay(figure_lowrank), "batch_size")


@claim(
    "rank-control",
    "Section 1, paragraph 7; Section 6.1",
    "by how much more smaller batches lower the rank with lambda than without",
    says=SMALLER,
    control="lambda = 0, which is subtracted",
    test="number",
    because=WHICH_WAY,
    premise=LEARNT_WELL,
)
def control(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Change of rank over the batch sizes with lambda > 0 minus that with lambda = 0."""
    return (rank_over_batches(figure_lowrank) - without_decay(figure_lowrank)).round(9)


@claim(
    "rank-learning-rate",
    "nowhere in the paper: [55], which Section 6.2 cites",
    "lambda > 0: by how much the rank changes from the smallest learning rate to the largest",
    says="Nothing. The authors' later work, Galanti et al. 2022, has larger rates lower the rank.",
    test="number",
    because="no statement of the paper",
    premise=LEARNT_WELL,
)
def rank_over_rates(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L, with lambda > 0: largest rate minus smallest."""
    return rank_change(with_decay(figure_lowrank), "learning_rate")


BIAS = "Training with SGD and weight decay induces a bias towards low-rank weight matrices."


@claim(
    "rank-weight-decay",
    "Abstract; Section 1, contributions; Section 7, on Neural Collapse",
    "lambda > 0 gives a lower rank than lambda = 0",
    says=BIAS,
    control="lambda = 0, which is subtracted. What larger batches do `rank-batch` reports",
    below=0,
    because="a difference",
    premise=LEARNT_WELL,
)
def rank_over_decay(figure_lowrank: pd.DataFrame) -> pd.Series:
    """Rank at tolerance 1e-2, mean over k < L: largest lambda minus 0."""
    return rank_change(figure_lowrank, "weight_decay")


@claim(
    "rank-falls-cnn",
    "Abstract; Section 1, contributions; Section 7, on Neural Collapse",
    "lambda > 0 lowers the layers' stable rank with the paper's recipe",
    says=BIAS + " (Lemma 8 does not cover these convolutions: errata.md.)",
    control="the same network with lambda = 0, which is divided by: its stable rank falls to about"
    " a tenth too",
    below=1,
    given=True,
    because="a ratio: 1 is no difference",
    premise=FITTED,
)
def rank_of_the_papers_network(figure3: pd.DataFrame) -> pd.Series:
    """Mean stable rank of the layers k < L at the end, with lambda over without, smaller start."""
    scale = figure3["init_scale"].min()
    without, with_lambda = (
        fitted_at_end(figure3, "stable_rank", weight_decay=decay, init_scale=scale)
        for decay in ends(figure3, "weight_decay")
    )
    return with_lambda / without


@claim(
    "lemma8-rank-one",
    "Section 6.1, Lemma 8 and Eq. 47",
    "d fbar_n / d V_k of a dense layer has rank at most 1 (that of a convolution has not)",
    says="The gradient of a sample's output in V_k is a matrix of rank at most 1.",
    below=1e-10,
    because="rounding in float64",
    test="check",
)
def second_singular_value(minibatch: pd.DataFrame) -> pd.Series:
    """Largest second singular value over the first, over all samples of small problems."""
    return minibatch["second_singular_value"]


@claim(
    "lemma8-no-equilibrium",
    "Section 6.1, Lemma 8",
    "lambda > 0: no equilibrium of all batches of 1 where V_k has rank above 2",
    says="If SGD with weight decay converges to zero gradient for all minibatches, each V_k has"
    " rank 2 at most.",
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
    "Section 6.1, Eq. 53",
    "||V_k dot|| <= (2 rho / N) sum_n |l_n| ||d fbar_n / d V_k - fbar_n V_k||, printed with =",
    says="||V_k_dot|| is (2 rho / N) sum_n l_n ||d fbar_n / d V_k - fbar_n V_k||, printed as an"
    " equality.",
    below=1 + 1e-9,
    given=True,
    because="read as an upper bound: the equality is false, as a ratio below 1 shows (errata.md);"
    " it would need all samples to pull in one direction",
    test="check",
)
def speed_ratio(minibatch: pd.DataFrame) -> pd.Series:
    """Left side over right side, each layer of the small problems."""
    return minibatch["full_speed"] / minibatch["mean_sample_speed"]


@claim(
    "eq53-rank",
    "Section 6.1, after Eq. 53",
    "how the norm of a layer's SGD updates goes with its rank",
    says="Eq. 53 predicts that the norm of the SGD updates at layer k should reflect,"
    " asymptotically, the rank of V_k.",
    test="number",
    because="which relation is not said: a stable one of either sign reflects the rank",
    premise=LEARNT_WELL,
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
    return by_replicate.reindex(runs["replicate"].unique())
