"""Section 5: neural collapse."""

import math

from recomputed import by_replicate, fitted, last, only_if, run


def collapse(rows):
    """NC1 at the end over NC1 at the start."""
    return only_if(fitted(rows.iloc[-1]), rows["nc1"].iloc[-1] / rows["nc1"].iloc[0])


def random_labels(rows):
    """The run whose labels are all random."""
    return run(rows, label_noise=1)


@by_replicate("nc1-binary")
def nc1(figure9):
    return collapse(run(figure9))


@by_replicate("nc1-multiclass")
def nc1_of_ten_classes(figure_multiclass):
    return collapse(run(figure_multiclass))


@by_replicate("nc1-random-labels")
def nc1_of_random_labels(figure_randomlabels):
    return collapse(random_labels(figure_randomlabels))


MEASURES = {
    "nc2-norms-weights": "nc2_equinorm_weights",
    "nc2-angles-weights": "nc2_angle_weights",
    "nc3": "nc3",
    "nc4": "nc4",
}
OF_MEANS = {"nc2-norms-means": "nc2_equinorm_means", "nc2-angles-means": "nc2_angle_means"}


def final(row, column):
    """A column at the end, of a replicate that fits."""
    return only_if(fitted(row), row[column])


def register(name, column):
    """The claims of one measure of the three runs; of means for many classes only."""

    @by_replicate(f"{name}-multiclass")
    def of_ten_classes(figure_multiclass):
        return final(last(figure_multiclass), column)

    if name in OF_MEANS:
        return

    @by_replicate(f"{name}-binary")
    def of_two(figure9):
        return final(last(figure9), column)

    @by_replicate(f"{name}-random-labels")
    def of_random_labels(figure_randomlabels):
        return final(random_labels(figure_randomlabels).iloc[-1], column)


for name, column in {**MEASURES, **OF_MEANS}.items():
    register(name, column)


@by_replicate("nc-without-generalisation")
def error_over_guessing(figure_randomlabels):
    """Guessing errs on (C - 1) / C; of networks that collapsed tenfold."""
    rows = random_labels(figure_randomlabels)
    classes = rows["classes"].iloc[0]
    error = rows["test_error"].iloc[-1] * classes / (classes - 1)
    return only_if(collapse(rows) < 0.1, error)


@by_replicate("collapse-after-fit")
def collapse_when_fitted(figure9):
    """At the first snapshot without training error."""
    rows = figure9[figure9["nc1"].notna()]
    first = rows[rows["train_error"] == 0]
    if first.empty or not fitted(last(figure9)):
        return math.nan
    return first["nc1"].iloc[0] / rows["nc1"].iloc[0]


@by_replicate("random-labels-fail")
def error_of_random_labels(figure_randomlabels):
    return random_labels(figure_randomlabels)["train_error"].iloc[-1]


@by_replicate("margins-narrow")
def spread_ratio(figure8):
    """At the end over that when the data were first fitted."""
    fits = figure8[figure8["train_error"] == 0]
    if not fitted(last(figure8)):
        return math.nan
    return last(figure8)["margin_spread"] / fits["margin_spread"].iloc[0]
