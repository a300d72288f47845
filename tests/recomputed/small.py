"""Sections 3 and 5 on small networks trained to their end: the table `settled`."""

import math

from recomputed import add, by_case, only_if

CRITICAL = ("gradient", 1e-6)
OF_THREE_CLASSES = ("multiclass_gradient", 1e-6)
ZERO_LOSS = ("free_loss", 1e-14)
ALWAYS = ("replicate", math.inf)

COLUMNS = {
    "eq3-homogeneity": ("eq3_error", ALWAYS),
    "eq9-weights": ("eq9_error", CRITICAL),
    "lemma3-convergence": ("free_gradient", ZERO_LOSS),
    "theorem2-connected": ("curve_loss", ZERO_LOSS),
    "control of theorem2-connected": ("line_loss", ZERO_LOSS),
    "control of rho-locally-least": ("loss_above", CRITICAL),
    "control of zero-loss-above": ("loss_below", CRITICAL),
    "rho-locally-least": ("loss_below", CRITICAL),
    "zero-loss-above": ("loss_above", CRITICAL),
    "large-start-falls": ("rho_dot_above", CRITICAL),
    "very-large-start-falls": ("rho_dot_far_above", CRITICAL),
    "inseparable-start": ("inseparable_growth", ALWAYS),
    "lemma6-margins": ("margin_spread", CRITICAL),
    "lemma7-outputs": ("off_targets", OF_THREE_CLASSES),
    "nc1-settled": ("nc1", CRITICAL),
    "nc2-norms-weights-settled": ("nc2_equinorm_weights", CRITICAL),
    "nc2-angles-weights-settled": ("nc2_angle_weights", CRITICAL),
    "nc3-settled": ("nc3", CRITICAL),
    "nc4-settled": ("nc4", CRITICAL),
}


def of_networks(settled, premise, value):
    """A value of each network, NaN where the column of the premise is not below its limit."""
    column, limit = premise
    return [only_if(row[column] < limit, value(row)) for row in settled.to_dict("records")]


def one_column(column, premise):
    """That column of the networks with the premise."""
    return lambda tables: of_networks(tables["settled"], premise, lambda row: row[column])


for name, found in COLUMNS.items():
    add([name], one_column(*found))


@by_case("eq4-multiplier")
def multiplier(settled):
    return of_networks(
        settled,
        CRITICAL,
        lambda row: abs(row["weight_decay"] * row["rho"] * row["rho"] - row["multiplier"]),
    )


@by_case("lemma6-residuals")
def spread_of_residuals(settled):
    """Where even the margin that could lie lowest, all others being equal, is positive."""

    def positive(row):
        return row["mu"] * (1 - row["margin_spread"] * math.sqrt(row["residuals"])) > 0

    return of_networks(
        settled, CRITICAL, lambda row: only_if(positive(row), row["residual_spread"])
    )


@by_case("theorem1-rank")
def missing_rank(settled):
    return of_networks(settled, ZERO_LOSS, lambda row: abs(row["residuals"] - row["hessian_rank"]))


@by_case("eq8-gap")
def gap(settled):
    """1 - rho mu over 1 - mu^2 / (M + lambda), less 1."""
    return of_networks(
        settled,
        CRITICAL,
        lambda row: abs(
            (1 - row["rho"] * row["mu"])
            * (row["M"] + row["weight_decay"])
            / (row["M"] + row["weight_decay"] - row["mu"] ** 2)
            - 1
        ),
    )


@by_case("control of lemma6-margins")
def gap_alone(settled):
    return of_networks(settled, CRITICAL, lambda row: 1 - row["rho"] * row["mu"])
