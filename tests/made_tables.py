"""Made-up tables that claims read: a function a kind of table, whose columns a test gives."""

from itertools import product

import numpy as np
import pandas as pd

from squareloss.tables.aggregate import AGGREGATE, TRAINED
from squareloss.theory.bounds import BOUNDS

COLUMNS = AGGREGATE.schema().names
MEASURED = [
    column.name
    for column in AGGREGATE.columns
    if column.type == "float64" and column.name not in TRAINED
]
SETTINGS = {
    "dataset": "cifar10-1v2",
    "network": "cnn6",
    "width": 1.0,
    "normalization": "wn",
    "loss": "square",
    "optimizer": "sgd",
}
POINT = {
    "recipe_name": "cnn6",
    "weight_decay": 1e-3,
    "init_scale": 0.9,
    "label_noise": 0.0,
    "n_train": 1000,
    "batch_size": 128,
    "learning_rate": 0.03,
    "classes": 2,
} | SETTINGS


def course(rho, replicates=8, epochs=(0, 1, 10), seed=0, **values):
    """An aggregated run whose columns are given by epoch, with a little noise per replicate."""
    rng = np.random.default_rng(seed)
    rows = []
    for replicate, (i, epoch) in product(range(replicates), enumerate(epochs)):
        row = dict.fromkeys(COLUMNS, 1.0) | POINT | {"replicate": replicate, "epoch": epoch}
        row |= {"rho": rho, "train_error": 0.5 if i == 0 else 0.0, "delta": 0.05}
        row |= values
        for name, value in row.items():
            if isinstance(value, tuple):
                row[name] = value[i] * (1 + 0.01 * rng.uniform())
        rows.append(row)
    return pd.DataFrame(rows)


def sweep(**columns):
    """Runs over one or two columns; each key `a, b` gives the values to `course` as a dict."""
    return pd.concat(
        [
            course(seed=i, **(dict(zip(columns["names"], key, strict=True)) | values))
            for i, (key, values) in enumerate(columns["runs"].items())
        ],
        ignore_index=True,
    )


def flat(value):
    """The same value at all epochs."""
    return (value,) * 3


WD, ZERO = 1e-3, 0.0
STARTS = ["weight_decay", "init_scale"]


def starts(meet, part):
    """Two starts with and without decay, which end nearer with it, or not."""
    near, far = ((1.0, 1.2, 1.2), (9.0, 5.0, 1.4)), ((1.0, 1.0, 1.0), (9.0, 8.0, 8.0))
    runs = {}
    for decay, meets in ((WD, meet), (ZERO, part)):
        for init, rho in zip((0.9, 1.3), near if meets else far, strict=True):
            runs[decay, init] = {"rho": rho}
    return sweep(names=STARTS, runs=runs)


def equilibrium(factor):
    """A run that ends at `factor` times Eq. 7's rho, which is 50; without lambda it were 55.6."""
    return course((20.0, 50.0 * factor, 50.0 * factor), mu=0.01, M=1.8e-4, lambda_eff=2e-5)


def beside_no_decay(table, rho):
    """The run and one without lambda, whose Eq. 7 has 50, too, which ends at this rho."""
    zero = course((20.0, rho, rho), mu=0.01, M=2e-4, lambda_eff=0.0, weight_decay=ZERO)
    return pd.concat([table, zero])


def two(column, names, low, high, **others):
    """`column` at the last epoch of two runs, named by the values of `names`."""
    ((name, (first, second)),) = names.items()
    return sweep(
        names=[name],
        runs={
            (first,): {"rho": 1.0, column: flat(low)} | others,
            (second,): {"rho": 1.0, column: flat(high)} | others,
        },
    )


def ranks(by_batch, by_rate, by_decay, control):
    """The sweep of low rank: how rank_1e-2 changes with batch, rate and lambda, and without it."""

    def run(wd, batch, rate):
        rank = 50.0 + (by_batch if wd else control) * (batch == 32) + by_rate * (rate == 0.2)
        return {"rho": 1.0, "rank_1e-2": flat(rank + by_decay * (wd > 0))}

    keys = {(wd, b, r) for wd in (0.0, 1e-3) for b in (4, 16, 32) for r in [0.1]}
    keys |= {(wd, 16, r) for wd in (0.0, 1e-3) for r in (0.05, 0.1, 0.2)} | {(5e-4, 16, 0.1)}
    names = ["weight_decay", "batch_size", "learning_rate"]
    return sweep(names=names, runs={key: run(*key) for key in sorted(keys)})


def noise(sgd_decay, sgd_zero, descent):
    """Last changes of the weights: the first are 1. Spreads of the margins follow them.

    An epoch of SGD has 1000 / 128 = 8 steps. Descent without decay is at rest.
    """
    runs = {}
    for recipe, decay, last in (
        ("cnn6", WD, sgd_decay),
        ("cnn6", ZERO, sgd_zero),
        ("gd", WD, descent),
        ("gd", ZERO, 0.0),
    ):
        runs[recipe, decay] = {
            "rho": 1.0,
            "update_norm": (1.0, last, last),
            "margin_spread": (1.0, last, last),
            "optimizer": "gd" if recipe == "gd" else "sgd",
        }
    return sweep(names=["recipe_name", "weight_decay"], runs=runs)


def collapse(nc1, rest, classes=2, **values):
    columns = [
        "nc2_equinorm_weights",
        "nc2_angle_weights",
        "nc2_equinorm_means",
        "nc2_angle_means",
        "nc3",
        "nc4",
    ]
    return course(
        1.0,
        nc1=(1.0, nc1, nc1),
        nc1_trace=(1.0, nc1, nc1),
        classes=classes,
        train_loss=1e-6,
        **{name: (1.0, rest, rest) for name in columns},
        **values,
    )


def noisy_labels(rising):
    factor = 1 if rising else -1
    return sweep(
        names=["label_noise"],
        runs={
            (r,): {"rho": flat(100 + factor * 50 * r), "test_error": flat(0.3 + factor * 0.2 * r)}
            for r in (0.0, 0.4, 0.8)
        },
    )


def figure5(slope, tight):
    """Test accuracy over 1/rho: a line of this slope with decay, scatter without, or so."""
    runs = {}
    for decay in (WD, ZERO):
        for i, init in enumerate((0.8, 0.9, 1.2, 1.5)):
            inverse = 0.002 + 0.001 * i
            scatter = 0.02 * (-1) ** i * ((decay == ZERO) == tight)
            error = 0.1 - slope * (inverse - 0.003) + scatter
            runs[decay, init] = {"rho": 1 / inverse, "test_error": error}
    table = sweep(names=STARTS, runs=runs)
    rng = np.random.default_rng(3)
    table["test_error"] += rng.normal(0, 1e-4, len(table))
    return table


def with_bounds(value, gap):
    """Networks of N = 1000, 2000, 4000 with a bound, whose gap follows rho / sqrt(N) or not."""
    runs = {
        (n,): {
            "rho": 100.0,
            "test_error": flat(0.1 + gap * 0.01 * i),
            "ramp_loss": 0.0,
            **{name: flat(value) for name in BOUNDS},
        }
        for i, n in enumerate((4000, 2000, 1000))
    }
    return sweep(names=["n_train"], runs=runs)


def ample(value):
    """Small networks, two of each bound, with this value and an error of 0.02."""
    return pd.DataFrame(
        [
            {"bound": name, "value": value, "test_error": 0.02, "train_error": 0.0, "replicate": r}
            for name in BOUNDS
            for r in range(2)
        ]
    )


def dynamics(order, error, lemma):
    """The table of the gradient flow: an order of descent, an error of Eq. 6, one of Lemma 4."""
    rows = []
    for replicate in range(3):
        for step in (0.1, 0.05, 0.025):
            rows.append(
                {
                    "replicate": replicate,
                    "method": "descent",
                    "time": 2.0,
                    "step": step,
                    "distance": step**order,
                }
            )
        for time, norms in product((0.1, 0.2), (1.0, 1.5)):
            rows.append(
                {
                    "replicate": replicate,
                    "method": "momentum",
                    "time": time,
                    "norms": norms,
                    "step": 0.1,
                    "rho": 2.0,
                    "mu": 0.1,
                    "rho_dot_eq6": 1.0,
                    "rho_dot_measured": 1 + error,
                    "loss": 1 - 2 * ((1 + error) / 2 + 0.1) + lemma,
                }
            )
    return pd.DataFrame(rows)


def problems(**values):
    """The tables of the small problems, three of them with two layers, for lambda > 0."""
    row = {
        "weight_decay": 1e-3,
        "rank": 5,
        "second_singular_value": 1e-16,
        "full_speed": 1.0,
        "mean_sample_speed": 2.0,
        "max_sample_speed": 3.0,
        "complexity": 1.0,
        "coarse": 0.1,
        "bound": 5.0,
    }
    return pd.DataFrame(
        [row | values | {"replicate": r, "layer": k} for r in range(3) for k in (1, 2)]
    )


def singles(decay, zero, rank=5):
    """Speeds that single samples ask for, with lambda and without."""
    return pd.concat(
        [
            problems(max_sample_speed=decay, rank=rank),
            problems(max_sample_speed=zero, weight_decay=0.0),
        ]
    )


def layers_of_lowrank(sign, depth=4, **point):
    """Update norms that rise with the rank of the layer, or fall."""
    rows = [
        POINT
        | {
            "replicate": r,
            "epoch": 10,
            "layer": k,
            "stable_rank": 10.0 * k + r,
            "step_norm": sign * k + 5.0,
        }
        for r in range(8)
        for k in range(1, depth + 1)
    ]
    return pd.DataFrame(rows).assign(**point)


def settled(**values):
    """The table of small networks at the end of training, four of them at a critical point."""
    row = {
        "weight_decay": 0.01,
        "rho": 0.6,
        "gradient": 1e-9,
        "multiclass_gradient": 1e-9,
        "multiplier": 0.01 * 0.6**2,
        "mu": 1.6,
        "M": 2.57,
        "margin_spread": 0.001,
        "free_loss": 1e-20,
        "free_gradient": 1e-10,
        "hessian_rank": 12,
        "residuals": 12,
        "line_loss": 0.1,
        "loss_below": 0.01,
        "loss_above": 1e-20,
    }
    return pd.DataFrame([row | values | {"replicate": r} for r in range(4)])


def after_fit(decay=None, zero=None):
    """Runs from one start with and without decay; the data are fitted from the second epoch on."""
    return sweep(
        names=["weight_decay"],
        runs={(wd,): {"rho": 1.0} | (v or {}) for wd, v in ((WD, decay), (ZERO, zero))},
    )


def starts10(decay, zero, spread=1e-4):
    """Mean margins of two starts with decay and without, where their spread is this."""
    runs = {}
    for wd, means in ((WD, decay), (ZERO, zero)):
        for init, mean in zip((0.9, 1.3), means, strict=True):
            runs[wd, init] = {"rho": 1.0, "mean_margin": flat(mean), "margin_spread": 0.05}
            runs[wd, init] |= {} if wd else {"margin_spread": flat(spread)}
    return sweep(names=STARTS, runs=runs)


def at_papers_size(**values):
    """A run with the paper's width, N and norm of images."""
    return course(1.0, n_train=10_000, width=1.0, max_norm=1.0, **values)


def slopes(sgd, descent, zero=-3.0):
    """Changes of the weights that fall with these powers of the epoch; three snapshots late."""
    table = noise(0.5, 0.1, 0)
    table = pd.concat([table, table.query("epoch == 1").assign(epoch=4)])
    power = np.where(table["optimizer"] == "gd", descent, sgd)
    power = np.where(table["weight_decay"] > 0, power, zero)
    return table.assign(update_norm=table["epoch"].clip(lower=0.5).to_numpy() ** power)


def explained(noise):
    """Test errors that follow log rho and the stable rank, but for a share of noise."""
    rng = np.random.default_rng(5)
    runs = {}
    for decay, init in product((WD, ZERO), (0.8, 0.9, 1.2, 1.5)):
        rho, rank = rng.uniform(50, 500), rng.uniform(2, 20)
        error = 0.02 * np.log(rho) + 0.005 * rank
        error = noise * rng.uniform(0.05, 0.2) + (1 - noise) * error
        runs[decay, init] = {"rho": rho, "stable_rank": rank, "test_error": error}
    return sweep(names=STARTS, runs=runs)


def falling(mu):
    """Three courses in which rho falls in the two middle steps, and then mu is this."""
    times = (0.0, 0.1, 0.2, 0.3, 0.4)
    rows = [
        {"replicate": r, "method": "momentum", "norms": 1.0, "time": t, "rho": rho, "mu": m}
        | {"loss": 1 - t}
        for r in range(3)
        for t, rho, m in zip(times, (1.0, 3.0, 2.0, 1.0, 2.0), (0.5, *mu), strict=True)
    ]
    return pd.DataFrame(rows[::-1])


def ordered(sign):
    """Test errors in the order of rho, or in the opposite one."""
    runs = {
        (decay, init): {"rho": rho, "test_error": 0.15 + sign * rho / 1e4}
        for rho, (decay, init) in enumerate(product((WD, ZERO), (0.8, 0.9, 1.2)), start=100)
    }
    return sweep(names=STARTS, runs=runs)
