"""Section 4: rho, test errors and bounds."""

import math

import numpy as np

from recomputed import add, by_case, by_replicate, correlation, ends, fitted, last, of_each, only_if
from recomputed import rank_correlation as ranked
from recomputed.study import LARGE, MOST, NONE, SMALL


@by_replicate("noise-rho")
def rho_over_noise(figure4):
    return ranked(ends(figure4), "label_noise", "rho")


@by_replicate("noise-test-error")
def error_over_noise(figure4):
    return ranked(ends(figure4), "label_noise", "test_error")


def accuracy(figure5, decay):
    """1 / rho and test accuracy of the starts of a replicate that fit."""
    rows = ends(figure5[figure5["weight_decay"] == decay])
    rows = rows[rows["train_error"] == 0]
    return 1 / rows["rho"], 1 - rows["test_error"]


@by_replicate("margin-accuracy-slope")
def slope(figure5):
    x, y = accuracy(figure5, MOST)
    if len(x) < 3:
        return math.nan
    return ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()


@by_replicate("margin-accuracy-r2")
def r_squared_difference(figure5):
    """The squared correlation is R^2 of a line."""
    decay, zero = (accuracy(figure5, wd) for wd in (MOST, NONE))
    if min(len(decay[0]), len(zero[0])) < 3:
        return math.nan
    return correlation(*decay) ** 2 - correlation(*zero) ** 2


@by_replicate("margin-and-rank-explain")
def explained(figure5):
    """R^2 of two regressors from the three correlations; five networks at the least."""
    rows = ends(figure5)
    rows = rows[rows["train_error"] == 0]
    error, rho, rank = rows["test_error"], np.log(rows["rho"]), rows["stable_rank"]
    if len(rows) < 5:
        return math.nan
    a, b, c = correlation(error, rho), correlation(error, rank), correlation(rho, rank)
    return (a**2 + b**2 - 2 * a * b * c) / (1 - c**2)


@by_replicate("error-over-rho")
def error_over_rho(figure5):
    return ranked(ends(figure5), "rho", "test_error")


@by_replicate("smaller-rho-smaller-bound")
def bound_over_rho(figure5):
    """Without the ramp loss, which the statement takes to be equal."""
    end = ends(figure5)
    return ranked(end.assign(bound=end["eq16_eq12"] - end["ramp_loss"]), "rho", "bound")


@by_replicate("control of margin-and-rank-explain")
def chance(figure5):
    """Two columns of noise explain 2 of the n - 1 degrees of freedom of n test errors."""
    n = int((ends(figure5)["train_error"] == 0).sum())
    return 2 / (n - 1) if n >= 5 else math.nan


def slack(bound):
    """Bound less test error of networks that fit: the bound below 1, the error above 0."""

    def values(tables):
        large = of_each([tables["figure6"], tables["figure7"]])
        small = tables["ample"][tables["ample"]["bound"] == bound]
        fits = [*zip(large[bound], large["test_error"], large["train_error"], strict=True)]
        fits += zip(small["value"], small["test_error"], small["train_error"], strict=True)
        return [only_if(v < 1 and train == 0 and test > 0, v - test) for v, test, train in fits]

    return values


for name in (
    *("eq16_printed", "eq24", "theorem7", "eq19", "eq25_printed", "eq25_counted", "sparse"),
    *("golowich", "neyshabur"),
):
    add([f"{name.replace('_', '-')}-holds"], slack(name))


@by_case("images-for-one")
def enough_images(figure6, figure7):
    """The bound is a / sqrt(N) and the ramp loss, so 1 at N (a / (1 - ramp loss))^2."""
    rows = of_each([figure6, figure7])
    a = (rows["eq16_printed"] - rows["ramp_loss"]) * np.sqrt(rows["n_train"])
    return [np.nanmin((a / (1 - rows["ramp_loss"])) ** 2)]


def gap_trend(rows):
    """Of the largest start: test less training error against rho / sqrt(N)."""
    rows = ends(rows[rows["init_scale"] == LARGE])
    size = rows["rho"] / np.sqrt(rows["n_train"])
    return ranked(rows.assign(x=size, y=rows["test_error"] - rows["train_error"]), "x", "y")


@by_replicate("gap-over-n-cnn6")
def gap_of_cnn6(figure6):
    return gap_trend(figure6)


@by_replicate("gap-over-n-cnn3")
def gap_of_cnn3(figure7):
    return gap_trend(figure7)


def gap_over_n(rows):
    """The same against 1 / sqrt(N)."""
    rows = ends(rows[rows["init_scale"] == LARGE])
    gap = rows["test_error"] - rows["train_error"]
    return ranked(rows.assign(x=1 / np.sqrt(rows["n_train"]), y=gap), "x", "y")


@by_replicate("control of gap-over-n-cnn6")
def gap_of_cnn6_over_n(figure6):
    return gap_over_n(figure6)


@by_replicate("control of gap-over-n-cnn3")
def gap_of_cnn3_over_n(figure7):
    return gap_over_n(figure7)


@by_replicate("vacuous-by-an-order")
def bound_at_size(figure6):
    end = last(figure6, n_train=10_000, init_scale=SMALL)
    return only_if(fitted(end) and end["max_norm"] < 1.000001, math.log10(end["eq16_printed"] / 10))


@by_case("kernels-once-printed")
def printed(figure6, figure7):
    rows = of_each([figure6, figure7])
    return rows["eq25_printed"] / rows["eq19"]


@by_case("kernels-once-counted")
def counted(figure6, figure7):
    rows = of_each([figure6, figure7])
    return rows["eq25_counted"] / rows["eq19"]


@by_replicate("closer-than-classical")
def classical(figure6):
    """Golowich, Neyshabur and Bartlett over Eq. 16, of the largest N and start."""
    end = last(figure6, n_train=10_000, init_scale=LARGE)
    least = min(end[name] for name in ("golowich", "neyshabur", "bartlett"))
    return only_if(fitted(end), least / end["eq16_eq12"])


def parameters(rows, decay):
    """Of images of norm 1, but for rounding."""
    end = last(rows, weight_decay=decay, init_scale=SMALL)
    return only_if(fitted(end) and end["max_norm"] < 1.000001, end["parameters"] / end["eq16_eq12"])


@by_replicate("closer-than-parameters")
def parameters_with_decay(figure3):
    return parameters(figure3, MOST)


@by_replicate("control of closer-than-parameters")
def parameters_without_decay(figure3):
    return parameters(figure3, NONE)


@by_case("theorem4")
def trees(tree):
    """Twice the complexity, with what a finer grid could add."""
    return [2 * (row.complexity + row.coarse) / row.bound for row in tree.itertuples()]
