"""Sections 6 and 7: low rank, SGD noise, normalisations and losses."""

import pandas as pd

from squareloss.claims.claim import Claim, Tables
from squareloss.claims.select import RUN, at_end, ends, last, where


def rank_change(table: pd.DataFrame, varied: str, **run: object) -> pd.Series:
    """Mean rank at the largest value of what is varied less that at the smallest."""
    end = last(where(table, **run))
    # The sweep that varies this alone is the one with the most values of it.
    others = [name for name in ("batch_size", "learning_rate", "weight_decay") if name != varied]
    sizes = end.groupby(others)[varied].nunique()
    end = end.set_index(others).loc[[sizes.idxmax()]].reset_index()
    low, high = ends(end, varied)
    ranks = [where(end, **{varied: v}).set_index("replicate")[RANK] for v in (low, high)]
    return ranks[1] - ranks[0]


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


def noise_ratio(tables: Tables, **run: object) -> pd.Series:
    """Change of the weights in the last epoch over the largest of a snapshot's epoch."""
    table = where(tables["sgdnoise"], **run)
    return at_end(table, "update_norm") / table.groupby("replicate")["update_norm"].max()


def sgd(tables: Tables) -> str:
    """The recipe of the experiment that is not full-batch gradient descent."""
    return other_recipe(tables["sgdnoise"], "gd")


def noise_of_decay(tables: Tables, column: str) -> pd.Series:
    """SGD: a noise at the end with weight decay over that without."""
    table = where(tables["sgdnoise"], recipe_name=sgd(tables))
    table = table.assign(spread=table["margin_sd"] / table["mean_margin"].abs())
    zero, decay = ends(table, "weight_decay")
    return at_end(table, column, weight_decay=decay) / at_end(table, column, weight_decay=zero)


def noise_of_descent(tables: Tables) -> pd.Series:
    """With weight decay: last change of the weights of gradient descent over that of SGD."""
    table = where(tables["sgdnoise"], weight_decay=tables["sgdnoise"]["weight_decay"].max())
    return at_end(table, "update_norm", recipe_name="gd") / at_end(
        table, "update_norm", recipe_name=sgd(tables)
    )


def other_recipe(table: pd.DataFrame, *named: str) -> str:
    """The one recipe of an experiment that is none of these: the paper's own."""
    (name,) = set(table["recipe_name"]) - set(named)
    return str(name)


def normalization_difference(tables: Tables, other: str) -> pd.Series:
    """Test error of a normalisation less that of batch norm; "wn" is the paper's own recipe."""
    table = tables["normalization"]
    recipe = other_recipe(table, "lm", "bn", "none") if other == "wn" else other
    errors = [at_end(table, "test_error", recipe_name=name) for name in (recipe, "bn")]
    return errors[0] - errors[1]


def loss_difference(tables: Tables) -> pd.Series:
    """Test error of cross-entropy less that of the square loss."""
    table = tables["loss"]
    names = "cross-entropy", other_recipe(table, "cross-entropy")
    errors = [at_end(table, "test_error", recipe_name=name) for name in names]
    return errors[0] - errors[1]


def above_rank_two(tables: Tables) -> pd.Series:
    """Fastest turn that one sample asks of a layer of rank above 2, lambda > 0, by problem."""
    table = tables["minibatch"]
    rows = table[(table["weight_decay"] > 0) & (table["rank"] > 2)]
    return rows.groupby("replicate")["max_sample_speed"].max()


def speed_ratio(tables: Tables) -> pd.Series:
    """Norm of the full gradient in a layer over the right side of Eq. (53)."""
    return tables["minibatch"]["full_speed"] / tables["minibatch"]["mean_sample_speed"]


def updates_and_rank(tables: Tables) -> pd.Series:
    """Rank correlation over the layers before the last of update and rank, by run, then mean."""
    layers = tables["layers of lowrank"]
    end = layers[layers["epoch"] == layers["epoch"].max()]
    end = end[(end["layer"] < end["layer"].max()) & (end["weight_decay"] > 0)]
    runs = end.groupby([*RUN, "replicate"])[["update_norm", "stable_rank"]]
    correlation = runs.apply(lambda rows: rows["update_norm"].corr(rows["stable_rank"], "spearman"))
    return correlation.groupby("replicate").mean()


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
        "largest ||V_k dot|| of a single sample at the end of training, layers of rank above 2",
        ">",
        0.01,
        "0 is an equilibrium; descent itself leaves speeds of some hundredths",
        ("minibatch",),
        above_rank_two,
        "every",
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
        ("layers of lowrank",),
        updates_and_rank,
    ),
    Claim(
        "noise-levels-off",
        "Section 6.2",
        "lambda > 0: SGD's noise in the weights stays above that of lambda = 0",
        "||V_k - V_k one epoch before|| at the end, lambda > 0 over lambda = 0",
        ">",
        1,
        "a ratio",
        ("sgdnoise",),
        lambda tables: noise_of_decay(tables, "update_norm"),
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
        lambda tables: noise_ratio(tables, recipe_name=sgd(tables), weight_decay=0),
    ),
    Claim(
        "noise-margins",
        "Section 6.2, Figure 10",
        "lambda > 0: SGD's noise in the margins stays above that of lambda = 0",
        "sd / mean of the margins at the end, lambda > 0 over lambda = 0",
        ">",
        1,
        "a ratio",
        ("sgdnoise",),
        lambda tables: noise_of_decay(tables, "spread"),
    ),
    Claim(
        "noise-absent-in-gd",
        "Section 6.2",
        "lambda > 0: full-batch gradient descent has no such noise",
        "||V_k - V_k one epoch before|| at the end, gradient descent over SGD",
        "<",
        0.01,
        "two orders of magnitude",
        ("sgdnoise",),
        noise_of_descent,
    ),
    Claim(
        "bn-better-than-wn",
        "Section 7, remarks",
        "batch normalisation generalises better than weight normalisation",
        "test error of weight norm minus that of batch norm",
        ">",
        0,
        "a difference",
        ("normalization",),
        lambda tables: normalization_difference(tables, "wn"),
    ),
    Claim(
        "bn-better-than-lm",
        "Section 7, remarks",
        "batch normalisation generalises better than the Lagrange multiplier",
        "test error of the Lagrange multiplier minus that of batch norm",
        ">",
        0,
        "a difference",
        ("normalization",),
        lambda tables: normalization_difference(tables, "lm"),
    ),
    Claim(
        "square-loss-as-good",
        "Section 1",
        "the square loss is as good as cross-entropy, if not better",
        "test error of cross-entropy minus that of the square loss",
        ">",
        -0.01,
        "a difference of one in a hundred images counts as equal",
        ("loss",),
        loss_difference,
    ),
]
