"""Section 5: neural collapse."""

import math

from recomputed import by_replicate, fitted, last, only_if, run


def random_labels(rows):
    """The run whose labels are all random."""
    return run(rows, label_noise=1)


MEASURES = {
    "nc1": "nc1",
    "nc2-norms-weights": "nc2_equinorm_weights",
    "nc2-angles-weights": "nc2_angle_weights",
    "nc3": "nc3",
    "nc4": "nc4",
}
OF_MEANS = {"nc2-norms-means": "nc2_equinorm_means", "nc2-angles-means": "nc2_angle_means"}


def final(row, column):
    """A column at the end, of a replicate that fits."""
    return only_if(fitted(row), row[column])


def at_start(rows, column):
    """A column before training, of a replicate that fits in the end."""
    return only_if(fitted(rows.iloc[-1]), rows[column].iloc[0])


def all_directions(rows):
    """NC1 as the larger of its two measures; outside Figure 9."""
    larger = [max(pair) for pair in zip(rows["nc1"], rows["nc1_trace"], strict=True)]
    missing = rows["nc1"].isna() | rows["nc1_trace"].isna()
    return rows.assign(nc1=larger).assign(nc1=lambda table: table["nc1"].mask(missing))


def quasi(rows, value):
    """The value if all residuals are a twentieth at most in the end, and whole outputs are near.

    A target's square is 1 + (C - 1) / (C - 1)^2, and the mean square of an output's distance from
    it is C times the loss.
    """
    end = rows.iloc[-1]
    scaled = [end["rho"] * end[name] for name in ("min_margin", "max_margin")]
    classes = end["classes"]
    relative = end["train_loss"] * classes / (1 + 1 / (classes - 1))
    near = all(0.95 <= margin <= 1.05 for margin in scaled) and relative <= 0.05**2
    return only_if(near, value)


def register(name, column):
    """The claims of one measure of the three runs; of means for many classes only.

    Where it is no identity, networks quasi-interpolate.
    """

    @by_replicate(f"{name}-multiclass")
    def of_ten_classes(figure_multiclass):
        rows = run(all_directions(figure_multiclass))
        return quasi(rows, final(rows.iloc[-1], column))

    @by_replicate(f"control of {name}-multiclass")
    def ten_classes_before(figure_multiclass):
        rows = run(all_directions(figure_multiclass))
        return quasi(rows, at_start(rows, column))

    if name in OF_MEANS:
        return

    @by_replicate(f"{name}-binary")
    def of_two(figure9):
        value = final(last(figure9), column)
        return value if "weights" in name else quasi(figure9, value)

    @by_replicate(f"control of {name}-binary")
    def two_before(figure9):
        value = at_start(run(figure9), column)
        return value if "weights" in name else quasi(figure9, value)

    @by_replicate(f"{name}-random-labels")
    def of_random_labels(figure_randomlabels):
        rows = all_directions(random_labels(figure_randomlabels))
        value = final(rows.iloc[-1], column)
        return value if "weights" in name else quasi(rows, value)

    @by_replicate(f"control of {name}-random-labels")
    def random_labels_before(figure_randomlabels):
        rows = all_directions(random_labels(figure_randomlabels))
        value = at_start(rows, column)
        return value if "weights" in name else quasi(rows, value)


for name, column in {**MEASURES, **OF_MEANS}.items():
    register(name, column)


@by_replicate("nc-without-generalisation")
def error_over_guessing(figure_randomlabels):
    """Guessing errs on (C - 1) / C; of networks that collapsed."""
    end = random_labels(figure_randomlabels).iloc[-1]
    error = end["test_error"] * end["classes"] / (end["classes"] - 1)
    return only_if(fitted(end) and end["nc1"] < 0.1 and end["nc1_trace"] < 0.1, error)


@by_replicate("collapse-after-fit")
def collapse_when_fitted(figure9):
    """At the first snapshot without training error, of networks that collapse in the end."""
    figure9 = all_directions(figure9)
    rows = figure9[figure9["nc1"].notna()]
    first = rows[rows["train_error"] == 0]
    end = last(figure9)
    return first["nc1"].iloc[0] if fitted(end) and end["nc1"] < 0.1 else math.nan


@by_replicate("random-labels-fail")
def error_of_random_labels(figure_randomlabels):
    """Of images of norm 1, but for rounding; N and width are the paper's here."""
    end = random_labels(figure_randomlabels).iloc[-1]
    return only_if(end["max_norm"] < 1.000001, end["train_error"])


@by_replicate("control of random-labels-fail")
def error_of_true_labels(figure_randomlabels):
    return last(figure_randomlabels, label_noise=0)["train_error"]


@by_replicate("margins-narrow")
def spread_ratio(figure8):
    """At the end over that when the data were first fitted."""
    fits = figure8[figure8["train_error"] == 0]
    if not fitted(last(figure8)):
        return math.nan
    return last(figure8)["margin_spread"] / fits["margin_spread"].iloc[0]


@by_replicate("margins-narrowest-last")
def narrowest(figure8):
    """sd at the end over the least from the first fit to half of training."""
    end = last(figure8)
    first = figure8.loc[figure8["train_error"] == 0, "epoch"].min()
    between = figure8[(figure8["epoch"] >= first) & (figure8["epoch"] <= end["epoch"] / 2)]
    return only_if(fitted(end) and len(between), end["margin_sd"] / between["margin_sd"].min())
