"""Section 3: rho, its equilibrium, its course, and small networks at their end."""

import math

import numpy as np

from recomputed import by_case, by_replicate, ends, fitted, last, learnt, only_if, run
from recomputed.study import LARGE, MOST, NONE, SMALL, STARTS


@by_case("eq5-flow")
def order(gradientflow):
    """Least squares through the logarithms of step and distance, by problem."""
    slopes = []
    for _, rows in gradientflow[gradientflow["method"] == "descent"].groupby("replicate"):
        x, y = np.log(rows["step"]), np.log(rows["distance"])
        slopes.append(((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum())
    return slopes


def courses(gradientflow):
    """Each problem's course with momentum at each norm of its layers."""
    momentum = gradientflow[gradientflow["method"] == "momentum"]
    return [rows for _, rows in momentum.groupby(["replicate", "norms"])]


@by_case("eq6-rho-dot")
def eq6(gradientflow):
    """Root mean square of the error over that of the prediction."""
    return [
        np.linalg.norm(rows["rho_dot_measured"] - rows["rho_dot_eq6"])
        / np.linalg.norm(rows["rho_dot_eq6"])
        for rows in courses(gradientflow)
    ]


@by_case("lemma4")
def lemma4(gradientflow):
    """Largest |L - (1 - rho (rho_dot / 2 + mu))|."""
    return [
        np.abs(
            rows["loss"] - 1 + rows["rho"] * rows["rho_dot_measured"] / 2 + rows["rho"] * rows["mu"]
        ).max()
        for rows in courses(gradientflow)
    ]


def furthest_from_equilibrium(rows, share=1.0, decays=(1e-3, 3e-4)):
    """rho (M + lambda_eff) / mu - 1, of the row of these lambdas in which it is furthest from 0."""
    rows = rows[rows["weight_decay"].isin(decays)]
    errors = [row.rho * (row.M + share * row.lambda_eff) / row.mu - 1 for row in rows.itertuples()]
    return only_if(not any(map(math.isnan, errors)), max(errors, key=abs))


@by_replicate("eq7-equilibrium")
def equilibrium(figure3):
    return furthest_from_equilibrium(ends(figure3))


@by_replicate("control of eq7-equilibrium")
def equilibrium_without_decay(figure3):
    return furthest_from_equilibrium(ends(figure3), decays=[NONE])


@by_replicate("eq7-equilibrium-unit")
def equilibrium_of_unit_norms(figure_unit):
    return furthest_from_equilibrium(ends(figure_unit))


@by_replicate("control of eq7-equilibrium-unit")
def formula_without_lambda(figure_unit):
    return furthest_from_equilibrium(ends(figure_unit), share=0)


def gap(row):
    """1 - (C - 1) rho mu."""
    return 1 - (row["classes"] - 1) * row["rho"] * row["mu"]


@by_replicate("lemma1-decay-costs")
def cost_of_decay(figure3):
    decay, zero = (last(figure3, weight_decay=wd, init_scale=SMALL) for wd in (MOST, NONE))
    return only_if(fitted(decay, zero), abs(gap(decay)) - abs(gap(zero)))


@by_replicate("rho-nonmonotone")
def reversal(figure8):
    """Rise from an earlier value, fall from one, or rise of the whole, whichever is the least."""
    rho = figure8["rho"].to_numpy()
    changes = [later / rho[i] - 1 for i in range(len(rho)) for later in rho[i:]]
    whole = (rho[-1] - rho[0]) / rho[0]
    return only_if(fitted(last(figure8)), min(max(changes), -min(changes), whole))


def apart(rows, decay, epoch):
    """|log ratio of rho| of the extreme starts."""
    rows = rows[(rows["weight_decay"] == decay) & (rows["epoch"] == epoch)]
    rho = rows.set_index("init_scale")["rho"]
    return abs(math.log(rho[LARGE]) - math.log(rho[SMALL]))


def approach(rows, decay):
    """The distance of the starts at the end over that at the start."""
    ratio = apart(rows, decay, rows["epoch"].max()) / apart(rows, decay, 0)
    return only_if(learnt(rows[rows["weight_decay"] == decay]), ratio)


@by_replicate("starts-meet")
def meet(figure3):
    return approach(figure3, MOST)


@by_replicate("control of starts-meet")
def meet_without_decay(figure3):
    return approach(figure3, NONE)


@by_replicate("starts-meet-unit")
def meet_with_unit_norms(figure_unit):
    return approach(figure_unit, MOST)


@by_replicate("control of starts-meet-unit")
def meet_with_unit_norms_without_decay(figure_unit):
    return approach(figure_unit, NONE)


def further_apart(rows):
    """Distance of the starts at the end without lambda less that with it."""
    end = rows["epoch"].max()
    return only_if(learnt(rows), apart(rows, NONE, end) - apart(rows, MOST, end))


@by_replicate("starts-stay-apart")
def stay_apart(figure3):
    return further_apart(figure3)


@by_replicate("starts-stay-apart-unit")
def stay_apart_with_unit_norms(figure_unit):
    return further_apart(figure_unit)


@by_replicate("lazy")
def lazy(figure_unit):
    end = last(figure_unit, weight_decay=NONE, init_scale=LARGE)
    return only_if(fitted(end), end["distance"])


@by_replicate("control of lazy")
def way_of_the_small_start(figure_unit):
    end = last(figure_unit, weight_decay=NONE, init_scale=SMALL)
    return only_if(fitted(end), end["distance"])


@by_replicate("large-start-comes-down")
def end_of_large_start(figure_unit):
    """Of starts above the rho at which the smallest start fits."""
    rows = run(figure_unit, weight_decay=NONE, init_scale=LARGE)
    small = last(figure_unit, weight_decay=NONE, init_scale=SMALL)
    start, end = rows.iloc[0]["rho"], rows.iloc[-1]
    return only_if(fitted(small, end) and start > small["rho"], end["rho"] / start)


@by_case("lemma5")
def lemma5(figure5):
    end = ends(figure5[figure5["weight_decay"] == NONE])
    aligned = (end["train_error"] == 0) & (end["lemma5_alignment"] > 0.99)
    return [*end.loc[aligned, "lemma5_change"], *[math.nan] * (~aligned).sum()]


def steps(rows):
    """Each row and the next."""
    return zip(rows.iloc[:-1].itertuples(), rows.iloc[1:].itertuples(), strict=True)


@by_case("mu-rises-as-rho-falls")
def least_rise_of_mu(gradientflow):
    """In a step of a course in which rho falls, and has risen before; NaN if it never does."""
    least = []
    for rows in courses(gradientflow):
        risen, rises = False, []
        for before, after in steps(rows.sort_values("time")):
            if risen and after.rho < before.rho and after.loss <= before.loss:
                rises.append(after.mu - before.mu)
            risen |= after.rho > before.rho
        least.append(min(rises, default=math.nan))
    return least


@by_replicate("mu-falls-under-sgd")
def mu_falls(figure8):
    """Epochs in which mu falls, of those in which rho does."""
    among = fallen = 0
    for before, after in steps(figure8):
        if after.rho < before.rho:
            among += after.epoch - before.epoch
            fallen += (after.mu < before.mu) * (after.epoch - before.epoch)
    return only_if(fitted(last(figure8)), fallen / among if among else math.nan)


@by_replicate("rho-falls-briefly")
def longest_fall(figure8):
    """From an epoch to the last of those that follow it with less rho each; of 1% and more."""
    longest = 0
    top = figure8.iloc[0]
    small = top["rho"] < 1 / last(figure8)["mu"]
    for before, after in steps(figure8):
        if after.rho >= before.rho:
            top = after._asdict()
        elif after.rho <= 0.99 * top["rho"]:
            longest = max(longest, after.epoch - top["epoch"])
    return only_if(fitted(last(figure8)) and small, longest / figure8["epoch"].max())


def since_fitted(rows, decay=MOST):
    """Of the smaller start: the first row without training error, and the last."""
    rows = run(rows, weight_decay=decay, init_scale=SMALL)
    without_error = rows[rows["train_error"] == 0]
    if not fitted(rows.iloc[-1]):
        return None
    return without_error.iloc[0], rows.iloc[-1]


def growth(rows, column, decay=MOST):
    """A column at the end over that when the data were first fitted."""
    found = since_fitted(rows, decay)
    return found[1][column] / found[0][column] if found else math.nan


@by_replicate("mu-rises")
def rise_of_mu(figure3):
    return growth(figure3, "mu")


@by_replicate("sigma-falls-without-decay")
def fall_of_sigma_without_decay(figure3):
    return growth(figure3, "margin_sd", NONE)


@by_replicate("mu-rises-without-decay")
def rise_of_mu_without_decay(figure3):
    return growth(figure3, "mu", NONE)


@by_replicate("sigma-falls")
def fall_of_sigma(figure3):
    return growth(figure3, "margin_sd")


@by_replicate("large-margins-shrink")
def largest_margin(figure3):
    return growth(figure3, "max_margin")


@by_replicate("sigma-lowers-the-loss")
def share_of_sigma(figure3):
    """Of the decrease of (1 - rho mu)^2 + rho^2 sigma^2."""
    if not (found := since_fitted(figure3)):
        return math.nan
    spread = [row["rho"] ** 2 * row["margin_sd"] ** 2 for row in found]
    mean = [(1 - row["rho"] * row["mu"]) ** 2 for row in found]
    fall = spread[0] - spread[1]
    return fall / (fall + mean[0] - mean[1])


@by_replicate("decay-matters-late")
def late_effect(figure3):
    """The data are fitted when both runs of the smaller start are."""
    decay, zero = (run(figure3, weight_decay=wd, init_scale=SMALL) for wd in (MOST, NONE))
    if not fitted(decay.iloc[-1], zero.iloc[-1]):
        return math.nan
    both = max(rows.loc[rows["train_error"] == 0, "epoch"].iloc[0] for rows in (decay, zero))

    def effect(epoch):
        rho = [rows.loc[rows["epoch"] == epoch, "rho"].item() for rows in (decay, zero)]
        return abs(math.log(rho[0] / rho[1]))

    early = [effect(epoch) for epoch in decay["epoch"] if epoch <= both]
    return effect(figure3["epoch"].max()) - max(early)


def positive_gap(rows, decay):
    end = last(rows, weight_decay=decay, init_scale=SMALL)
    return only_if(fitted(end), gap(end))


@by_replicate("rho-mu-below-one")
def gap_with_decay(figure3):
    return positive_gap(figure3, MOST)


@by_replicate("control of rho-mu-below-one")
def gap_without_decay(figure3):
    return positive_gap(figure3, NONE)


def largest_residual(row):
    """Of the samples of the smallest and the largest margin."""
    return max(abs(1 - row["rho"] * row[name]) for name in ("min_margin", "max_margin"))


@by_replicate("quasi-interpolates")
def residual(figure8):
    return only_if(fitted(last(figure8)), largest_residual(last(figure8)))


@by_replicate("control of quasi-interpolates")
def residual_before(figure8):
    return only_if(fitted(last(figure8)), largest_residual(figure8.iloc[0]))


@by_replicate("residuals-equal")
def residuals(figure8):
    """sd of rho fbar_n over the size of the mean gap."""
    end = last(figure8)
    return only_if(fitted(end), end["rho"] * end["margin_sd"] / abs(gap(end)))


def median_over_starts(rows, column):
    """With lambda > 0, of the starts that fit."""
    end = [last(rows, weight_decay=MOST, init_scale=start) for start in STARTS]
    values = [row[column] for row in end if fitted(row)]
    return np.median(values) if values else math.nan


@by_replicate("margins-gaussian-skewness")
def skewness(figure10):
    return median_over_starts(figure10, "margin_skewness")


@by_replicate("margins-gaussian-kurtosis")
def kurtosis(figure10):
    return median_over_starts(figure10, "margin_kurtosis")


@by_replicate("rank-falls-cnn")
def rank_of_the_papers_network(figure3):
    decay, zero = (last(figure3, weight_decay=wd, init_scale=SMALL) for wd in (MOST, NONE))
    return only_if(fitted(decay, zero), decay["stable_rank"] / zero["stable_rank"])


def of_starts(rows, decay, column):
    """A column at the end of each start, or nothing if one does not fit."""
    end = [last(rows, weight_decay=decay, init_scale=start) for start in STARTS]
    return np.array([row[column] for row in end]) if fitted(*end) else np.array([math.nan])


@by_replicate("figure10-single-value-of-each")
def widest_with_decay(figure10):
    return of_starts(figure10, MOST, "margin_spread").max()


@by_replicate("control of figure10-single-value-of-each")
def widest_without_decay(figure10):
    return of_starts(figure10, NONE, "margin_spread").max()


@by_replicate("figure10-single-value-of-all")
def range_with_decay(figure10):
    means = of_starts(figure10, MOST, "mean_margin")
    return math.log(means.max()) - math.log(means.min())


@by_replicate("control of figure10-single-value-of-all")
def range_without_decay(figure10):
    means = of_starts(figure10, NONE, "mean_margin")
    return math.log(means.max()) - math.log(means.min())


@by_replicate("figure10-smaller-margins")
def smaller_margins(figure10):
    zero, decay = (np.log(of_starts(figure10, wd, "mean_margin")) for wd in (NONE, MOST))
    return (zero - decay).mean()


@by_replicate("figure10-zero-variance")
def spread_without_decay(figure10):
    return of_starts(figure10, NONE, "margin_spread").max()


@by_replicate("control of figure10-zero-variance")
def spread_with_decay(figure10):
    return of_starts(figure10, MOST, "margin_spread").max()
