"""A made-up study in which nothing coincides: the tables that all claims are recomputed from.

Every number is drawn on its own, so that a wrong run, epoch, layer or column gives another value.
Runs have three starts, three lambdas and three classes, and several N, batch sizes and rates. In
each, one replicate diverges, one never learns, one fits on the way only, and a few others do not
fit at the end, or do not learn. Rows are in no order.
"""

from itertools import product

import numpy as np
import pandas as pd

RUN = [
    "recipe_name",
    "weight_decay",
    "init_scale",
    "label_noise",
    "n_train",
    "batch_size",
    "learning_rate",
]
REPLICATES = 16
EPOCHS = np.array([0, 3, 5, 10, 18, 24, 40])
SNAPSHOTS = (0, 5, 10, 24, 40)
HALF = 10  # the last snapshot in the first half of training
LONGER = 4  # times as many epochs of gradient descent
LAYERS = 5
NONE, SOME, MOST = LAMBDAS = (0.0, 3e-4, 1e-3)
SMALL, MEDIUM, LARGE = STARTS = (0.8, 1.0, 1.5)
NOISES = (0.0, 0.3, 0.6, 1.0)
SIZES = (100, 200, 10_000)  # the last is the paper's
BATCHES = (16, 32, 128)
RATES = (0.01, 0.02, 0.05)
NORMALIZATIONS = ("wn", "lm", "bn", "none")
BOUNDS = (
    "eq16_printed",
    "eq16_eq12",
    "eq19",
    "eq24",
    "eq25_printed",
    "eq25_counted",
    "theorem7",
    "sparse",
    "golowich",
    "neyshabur",
    "bartlett",
    "parameters",
)
HISTORY = ("rho", "mu", "M", "lambda_eff", "mean_margin", "margin_sd", "min_margin", "max_margin")
SIGNED = ("margin_skewness", "margin_kurtosis")
OF_SNAPSHOTS = (
    *("nc1", "nc2_equinorm_means", "nc2_equinorm_weights", "nc2_angle_means", "nc2_angle_weights"),
    *("nc3", "nc4", "lemma5_change", "stable_rank", "effective_rank", "rank_1e-3", "rank_1e-2"),
    *("rank_4e-2", "update_norm", "distance", *BOUNDS),
)
POINT = {
    **dict(zip(RUN, ("sgd", MOST, SMALL, 0.0, 100, 32, 0.02), strict=True)),
    **{"dataset": "d", "network": "n", "width": 1.0, "normalization": "wn", "loss": "square"},
    **{"optimizer": "sgd", "classes": 3},
}


def training_errors(rng, epochs):
    """Courses of a share of errors: 0 at the end for most, and 0 at times before."""
    errors = rng.choice([0.0, 0.01, 0.2], (REPLICATES, len(epochs)), p=[0.5, 0.3, 0.2])
    errors[:, 0] = 0.6
    errors[:, -1] = rng.choice([0.0, 0.01, 0.1], REPLICATES, p=[0.9, 0.07, 0.03])
    errors[-2, 1:] = 0.01, 0, 0.01, 0, 0, 0.01  # one that fits on the way and not at the end
    errors[-1, 1:] = 0.06  # one that never learns
    return errors


def trained(rng, **point):
    """One run: a row a replicate and epoch."""
    epochs = EPOCHS * (LONGER if point.get("optimizer") == "gd" else 1)
    shape = (REPLICATES, len(epochs))
    columns = {name: rng.lognormal(0, 0.5, shape) for name in (*HISTORY, *OF_SNAPSHOTS)}
    columns |= {name: rng.normal(0, 1, shape) for name in SIGNED}
    columns["margin_spread"] = rng.lognormal(0, 0.5, shape)
    columns["mu"] *= 0.4  # so that 1 - (C - 1) rho mu has both signs
    columns["lambda_eff"] *= point.get("weight_decay", POINT["weight_decay"]) / MOST
    columns["nc1"] *= np.where(epochs == epochs[-1], 0.1, 1)  # near a tenth of the start
    columns["nc1_trace"] = 1.1 * np.roll(columns["nc1"], 1, axis=0)  # of another replicate
    columns["rank_1e-2"] = rng.integers(100, 140, shape) / 9
    columns["max_norm"] = np.repeat(
        rng.choice([1.0, 1 + 5e-7, 3.0], (REPLICATES, 1)), len(epochs), 1
    )
    columns["lemma5_alignment"] = rng.uniform(0.98, 1, shape)
    columns["ramp_loss"] = rng.uniform(0, 0.3, shape)
    columns["test_error"] = rng.uniform(0.05, 0.6, shape)
    columns["train_error"] = training_errors(rng, epochs)
    for name in ("max_norm", "lemma5_alignment", "ramp_loss", "nc1_trace", *OF_SNAPSHOTS):
        columns[name][:, ~np.isin(EPOCHS, SNAPSHOTS)] = np.nan
    columns["update_norm"][:, 0] = np.nan
    diverged = rng.integers(REPLICATES - 2)
    for values in columns.values():
        values[diverged, 2:] = np.nan
    replicates, courses = np.meshgrid(range(REPLICATES), epochs, indexing="ij")
    columns |= {"replicate": replicates, "epoch": courses}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}).assign(
        **(POINT | point)
    )


def quasi_interpolate(table):
    """Put the outputs of most rows nearly on their targets, within a twentieth or hardly not."""
    rng = np.random.default_rng(108)
    for name, side in (("min_margin", -1), ("max_margin", 1)):
        off = rng.choice([0.01, 0.049, 0.051], len(table), p=[0.6, 0.3, 0.1])
        table[name] = (1 + side * off) / table["rho"]
    # Of three classes 0.00125 is the limit.
    table["train_loss"] = rng.choice([1e-4, 0.0012, 0.0013], len(table), p=[0.6, 0.3, 0.1])


def experiment(seed, *points):
    """The runs at these points in one table, its rows in no order."""
    rng = np.random.default_rng(seed)
    table = pd.concat([trained(rng, **point) for point in points], ignore_index=True)
    return table.sample(frac=1, random_state=seed)


def over(**values):
    """All combinations of values of settings."""
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


def layers(table, seed):
    """A row a layer of each snapshot of a table of runs."""
    rng = np.random.default_rng(seed)
    keys = table.loc[table["stable_rank"].notna(), [*RUN, "replicate", "epoch"]]
    rows = keys.merge(pd.DataFrame({"layer": range(1, LAYERS + 1)}), how="cross")
    for name in ("stable_rank", "effective_rank", "step_norm", "update_norm"):
        rows[name] = rng.lognormal(0, 0.5, len(rows))
    return rows.sample(frac=1, random_state=seed)


def flow(seed):
    """Gradient flow: the ends of descent at four steps, and courses with momentum."""
    rng = np.random.default_rng(seed)
    points = over(replicate=range(3), method=("flow", "descent"), step=(0.2, 0.1, 0.05, 0.02))
    points += over(replicate=range(3), method=["momentum"], norms=(1.0, 1.5), time=range(6))
    rows = pd.DataFrame(points)
    for name in ("distance", "rho", "mu"):
        rows[name] = rng.lognormal(0, 0.5, len(rows))
    for name in ("rho_dot_measured", "rho_dot_eq6", "loss"):
        rows[name] = 3 * rng.normal(size=len(rows))
    return rows.sample(frac=1, random_state=seed)


def small(seed, columns, points):
    """A table of small problems with numbers of their own in all columns."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(points)
    return rows.assign(**{name: rng.lognormal(0, 0.5, len(rows)) for name in columns})


def settled(seed):
    """Small networks at their end, of which half or so meet each premise."""
    rng = np.random.default_rng(seed)
    columns = (
        *("eq3_error", "multiplier", "eq9_error", "mu", "rho", "free_gradient", "curve_loss"),
        *("line_loss", "loss_below", "loss_above", "inseparable_growth", "margin_spread"),
        *("residual_spread", "off_targets", "nc1", "nc2_equinorm_weights", "nc2_angle_weights"),
        *("nc3", "nc4"),
    )
    table = small(seed, columns, over(replicate=range(12)))
    for name, limit in (("gradient", 1e-6), ("multiclass_gradient", 1e-6), ("free_loss", 1e-14)):
        table[name] = limit * rng.choice([0.1, 0.9, 1.1, 100.0], len(table))
    for name in ("rho_dot_above", "rho_dot_far_above"):
        table[name] = rng.normal(size=len(table))
    for name in ("hessian_rank", "residuals"):
        table[name] = rng.integers(8, 12, len(table))
    table["M"] = table["mu"] ** 2 * rng.uniform(1, 2, len(table))
    table["margin_spread"] *= np.resize([0.1, 0.1, 1], len(table))
    table.loc[:5, "gradient"] = 1e-7  # three that fit, and two that need not
    table.loc[0, "mu"] *= -1  # and one that cannot
    return table.assign(weight_decay=rng.choice([0.01, 0.02], len(table)))


def ample(seed):
    """Small networks with ample data, some of which do not fit."""
    rng = np.random.default_rng(seed)
    table = small(seed, ("value",), over(bound=BOUNDS, replicate=range(6)))
    table["test_error"] = rng.uniform(0.01, 0.2, len(table))
    return table.assign(train_error=rng.choice([0.0, 0.01], len(table)))


def made_up():
    """All tables that the claims read, by name."""
    starts = over(weight_decay=LAMBDAS, init_scale=STARTS)
    alone = [{"weight_decay": NONE, "init_scale": 0.5}, {"weight_decay": MOST, "init_scale": 2.0}]
    noisy = over(label_noise=NOISES)
    largest = over(label_noise=NOISES, n_train=[SIZES[-1]])
    sizes = over(n_train=SIZES, init_scale=STARTS)
    ranked = over(weight_decay=(NONE, MOST), batch_size=BATCHES)
    ranked += over(weight_decay=(NONE, MOST), learning_rate=(RATES[0], RATES[2]))
    ranked += over(weight_decay=[SOME])
    optimizers = [
        {"recipe_name": name, "optimizer": name, "weight_decay": decay}
        for name, decay in product(("sgd", "gd"), LAMBDAS)
    ]
    normalized = [{"recipe_name": name, "normalization": name} for name in NORMALIZATIONS]
    losses = [{"recipe_name": name, "loss": name} for name in ("square", "cross_entropy")]
    points = {
        **{"figure3": starts, "figure_unit": starts, "figure10": starts},
        **{"figure5": starts + alone, "figure4": noisy, "figure_randomlabels": largest},
        **dict.fromkeys(("figure6", "figure7"), sizes),
        **{name: [{}] for name in ("figure8", "figure9", "figure_multiclass")},
        **{"figure_lowrank": ranked, "figure_sgdnoise": optimizers},
        **{"figure_normalization": normalized, "figure_loss": losses},
    }
    tables = {name: experiment(seed, *runs) for seed, (name, runs) in enumerate(points.items())}
    for name in ("figure9", "figure_multiclass", "figure_randomlabels"):
        quasi_interpolate(tables[name])
    started = tables["figure5"]["epoch"] == 0
    tables["figure5"].loc[started, "rho"] *= 0.1  # near 0, of some replicates
    tables["figure_lowrank_layers"] = layers(tables["figure_lowrank"], 101)
    tables |= {"gradientflow": flow(102), "settled": settled(103), "ample": ample(104)}
    speeds = ("second_singular_value", "full_speed", "mean_sample_speed", "max_sample_speed")
    problems = over(replicate=range(3), weight_decay=(0.0, 0.01), layer=range(1, 6))
    tables["minibatch"] = small(105, speeds, problems)
    ranks = np.random.default_rng(106).integers(1, 5, len(problems))
    lower = tables["minibatch"]["replicate"] == 2  # a problem that lacks the premise of Lemma 8
    tables["minibatch"]["rank"] = np.where(lower, ranks.clip(max=2), ranks)
    trees = over(replicate=range(3), layers=(1, 2, 3))
    tables["tree"] = small(107, ("complexity", "coarse", "bound"), trees)
    return tables
