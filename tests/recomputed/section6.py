"""Sections 6 and 7: rank, SGD's noise, and comparisons of starts, normalisations and losses."""

import math

import numpy as np

from recomputed import by_case, by_replicate, correlation, ends, fitted, last, only_if, run
from recomputed.study import BATCHES, LARGE, LAYERS, MOST, NONE, RATES, RUN, SMALL

MIDDLE = {"weight_decay": MOST, "batch_size": BATCHES[1], "learning_rate": RATES[1]}


def change(rows, name, high, low, **others):
    """Rank of one run less that of another, which differ in one setting, to nine digits."""
    settings = MIDDLE | others
    a, b = (last(rows, **(settings | {name: value})) for value in (high, low))
    learnt = a["train_error"] < 0.05 and b["train_error"] < 0.05
    return only_if(learnt, round(a["rank_1e-2"] - b["rank_1e-2"], 9))


@by_replicate("rank-batch")
def over_batches(figure_lowrank):
    return change(figure_lowrank, "batch_size", BATCHES[-1], BATCHES[0])


@by_replicate("control of rank-batch")
def over_batches_without_decay(figure_lowrank):
    return change(figure_lowrank, "batch_size", BATCHES[-1], BATCHES[0], weight_decay=NONE)


@by_replicate("rank-learning-rate")
def over_rates(figure_lowrank):
    return change(figure_lowrank, "learning_rate", RATES[-1], RATES[0])


@by_replicate("rank-weight-decay")
def over_lambdas(figure_lowrank):
    return change(figure_lowrank, "weight_decay", MOST, NONE)


@by_replicate("rank-control")
def control(figure_lowrank):
    """Change over batches with lambda less that without."""
    decay, zero = (
        change(figure_lowrank, "batch_size", BATCHES[-1], BATCHES[0], weight_decay=wd)
        for wd in (MOST, NONE)
    )
    return round(decay - zero, 9)


@by_case("lemma8-rank-one")
def second_value(minibatch):
    return minibatch["second_singular_value"]


@by_case("lemma8-no-equilibrium")
def no_equilibrium(minibatch):
    """Least difference over the layers of rank 3 and more with lambda."""
    found = []
    for _, rows in minibatch.groupby("replicate"):
        decay, zero = (rows[rows["weight_decay"] == wd].set_index("layer") for wd in (0.01, 0.0))
        layers = [layer for layer in decay.index if decay.loc[layer, "rank"] >= 3]
        speeds = [
            decay.loc[layer, "max_sample_speed"] - zero.loc[layer, "max_sample_speed"]
            for layer in layers
        ]
        found.append(min(speeds) if speeds else math.nan)
    return found


@by_case("eq53-bound")
def speeds(minibatch):
    return [row.full_speed / row.mean_sample_speed for row in minibatch.itertuples()]


@by_replicate("eq53-rank")
def updates_and_rank(figure_lowrank, figure_lowrank_layers):
    """Mean over the runs with lambda that have learnt, of the layers before the last."""
    found = []
    at_end = ends(figure_lowrank).set_index(RUN)
    for point, rows in figure_lowrank_layers.groupby(RUN):
        end = at_end.loc[point]
        if point[RUN.index("weight_decay")] > 0 and end["train_error"] < 0.05:
            layers = rows[(rows["epoch"] == end["epoch"]) & (rows["layer"] < LAYERS)]
            found.append(correlation(layers["step_norm"].rank(), layers["stable_rank"].rank()))
    return round(np.mean(found), 12) if found else math.nan


def at_ends(rows, column, optimizer="sgd"):
    """A column at the end with lambda less that without, of replicates that fit in both."""
    decay, zero = (last(rows, optimizer=optimizer, weight_decay=wd) for wd in (MOST, NONE))
    return only_if(fitted(decay, zero), decay[column] - zero[column])


@by_replicate("noise-of-decay")
def noise_of_weights(figure_sgdnoise):
    return at_ends(figure_sgdnoise, "update_norm")


@by_replicate("control of noise-of-decay")
def drift_of_descent(figure_sgdnoise):
    """Four steps make an epoch of 100 images in batches of 32."""
    return 4 * at_ends(figure_sgdnoise, "update_norm", "gd")


@by_replicate("control of noise-margins")
def margins_of_descent(figure_sgdnoise):
    return at_ends(figure_sgdnoise, "margin_spread", "gd")


@by_replicate("noise-margins")
def noise_of_margins(figure_sgdnoise):
    return at_ends(figure_sgdnoise, "margin_spread")


def slope(rows, optimizer, decay):
    """Between the last two snapshots of a run."""
    rows = run(rows, optimizer=optimizer, weight_decay=decay)
    if not fitted(rows.iloc[-1]):
        return math.nan
    a, b = rows[rows["update_norm"].notna()].tail(2).to_dict("records")
    return math.log(b["update_norm"] / a["update_norm"]) / math.log(b["epoch"] / a["epoch"])


@by_replicate("noise-levels-off", "control of noise-absent-in-gd")
def slope_of_noise(figure_sgdnoise):
    return slope(figure_sgdnoise, "sgd", MOST)


@by_replicate("control of noise-levels-off")
def slope_without_decay(figure_sgdnoise):
    return slope(figure_sgdnoise, "sgd", NONE)


@by_replicate("noise-absent-in-gd")
def slope_of_descent(figure_sgdnoise):
    return slope(figure_sgdnoise, "gd", MOST)


def ratio_to_largest(rows, decay):
    rows = run(rows, optimizer="sgd", weight_decay=decay)
    norms = rows["update_norm"].to_numpy()
    return norms[-1] / np.nanmax(norms) if fitted(rows.iloc[-1]) else math.nan


@by_replicate("noise-vanishes")
def vanishing(figure_sgdnoise):
    return ratio_to_largest(figure_sgdnoise, NONE)


@by_replicate("control of noise-vanishes")
def vanishing_with_decay(figure_sgdnoise):
    return ratio_to_largest(figure_sgdnoise, MOST)


def spread_of_sgd(rows, decay):
    end = last(rows, optimizer="sgd", weight_decay=decay)
    return only_if(fitted(end), end["margin_spread"])


@by_replicate("noise-margins-vanish")
def spread_without_decay(figure_sgdnoise):
    return spread_of_sgd(figure_sgdnoise, NONE)


@by_replicate("control of noise-margins-vanish")
def spread_with_decay(figure_sgdnoise):
    return spread_of_sgd(figure_sgdnoise, MOST)


def start_against_decay(figure5, start):
    """From a start near 0: a tenth of the rho at the end with lambda."""
    small = run(figure5, weight_decay=NONE, init_scale=SMALL)
    zero = last(figure5, weight_decay=NONE, init_scale=start)
    decay = last(figure5, weight_decay=MOST, init_scale=SMALL)
    near = small["rho"].iloc[0] < 0.1 * decay["rho"]
    return only_if(fitted(zero, decay) and near, math.log(zero["rho"]) - math.log(decay["rho"]))


@by_replicate("start-replaces-decay")
def smallest_start(figure5):
    """The smallest start that both lambdas have."""
    return start_against_decay(figure5, SMALL)


@by_replicate("control of start-replaces-decay")
def largest_start(figure5):
    return start_against_decay(figure5, LARGE)


def harm(rows, smallest):
    """Of the largest start without lambda, where its rho ends as the larger."""
    large, small = (last(rows, weight_decay=NONE, init_scale=s) for s in (LARGE, smallest))
    premise = fitted(large, small) and large["rho"] > small["rho"]
    return only_if(premise, large["test_error"] - small["test_error"])


@by_replicate("least-norm-errs-least")
def harm_of_large_norm(figure5):
    """Without lambda the smallest start is 0.5 there."""
    return harm(figure5, 0.5)


@by_replicate("least-norm-errs-least-unit")
def harm_of_large_norm_with_unit_norms(figure_unit):
    return harm(figure_unit, SMALL)


def less(rows, setting, one, other):
    """Test error with one value of a setting less that with another."""
    a, b = (last(rows, **{setting: value}) for value in (one, other))
    return only_if(fitted(a, b), a["test_error"] - b["test_error"])


@by_replicate("bn-better-than-wn")
def weight_norm(figure_normalization):
    return less(figure_normalization, "normalization", "wn", "bn")


@by_replicate("bn-better-than-lm")
def lagrange(figure_normalization):
    return less(figure_normalization, "normalization", "lm", "bn")


@by_replicate("square-loss-as-good")
def cross_entropy(figure_loss):
    return less(figure_loss, "loss", "cross_entropy", "square")
