"""Made-up rows of the tables that figures read: random numbers of runs with a name."""

import numpy as np
import pandas as pd
from made_tables import SETTINGS

from squareloss.tables.aggregate import BOUND_COLUMNS, LAYER_COLUMNS, SPREAD
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.history import HISTORY

EPOCHS = 20
SNAPSHOTS = [0, 1, 4, 20]
HISTORY_COLUMNS = [column.name for column in HISTORY.columns if column.type == "float64"]
AT_SNAPSHOTS = [column.name for column in (*COLLAPSE.columns, *LAYER_COLUMNS, *BOUND_COLUMNS)]
DELTA = 0.02
MEASURED = [*HISTORY_COLUMNS, SPREAD.name, *AT_SNAPSHOTS]


def identity(decay=0.001, init=0.9, noise=0.0, n=1000, recipe="cnn6"):
    return {
        "recipe_name": recipe,
        "weight_decay": decay,
        "init_scale": init,
        "label_noise": noise,
        "n_train": n,
        "batch_size": 128,
        "learning_rate": 0.03,
    }


def run(seed, replicates=3, diverged=(), classes=2, **point):
    """Aggregate rows of one run: random positive numbers, no training error at the end.

    `point` may hold settings of the recipe, too, which then is named after them.
    """
    rng = np.random.default_rng(seed)
    parts, settings = [], {name: point.pop(name) for name in SETTINGS if name in point}
    point = ({"recipe": "-".join(map(str, settings.values()))} if settings else {}) | point
    trained = SETTINGS | settings
    for replicate in range(replicates):
        part = pd.DataFrame({"epoch": range(EPOCHS + 1)}).assign(replicate=replicate)
        part = part.assign(**identity(**point), classes=classes, **trained)
        for name in MEASURED:
            part[name] = rng.uniform(0.1, 1, EPOCHS + 1)
        part["rho"] = part["rho"] * 1000 * part["init_scale"]
        part["delta"] = DELTA
        part.loc[part["epoch"] > 10, "train_error"] = 0.0
        part.loc[~part["epoch"].isin(SNAPSHOTS), AT_SNAPSHOTS] = np.nan
        if replicate in diverged:
            part.loc[part["epoch"] > 2, MEASURED] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def runs(**lists):
    """Runs over one or two lists of coordinates."""
    grid = pd.MultiIndex.from_product(lists.values()).to_frame().to_numpy()
    points = [dict(zip(lists, values, strict=True)) for values in grid]
    return pd.concat([run(i, **point) for i, point in enumerate(points)], ignore_index=True)


def margins_of(seed, replicates=3, diverged=(), samples=200, **point):
    rng = np.random.default_rng(seed)
    parts = []
    for replicate in range(replicates):
        for epoch in SNAPSHOTS:
            sd = 1e-4 if epoch < EPOCHS else 1e-6
            values = rng.normal(1e-3, sd, samples).astype("float32")
            if replicate in diverged and epoch > 2:
                values[:] = np.nan
            part = pd.DataFrame({"sample": range(samples), "margin": values})
            parts.append(part.assign(**identity(**point), replicate=replicate, epoch=epoch))
    return pd.concat(parts, ignore_index=True)


def arc(decay=0.001, init=0.9):
    angle = np.linspace(0, 60, 7)
    mu = np.array([2, 1, 0.2, -0.1, 0.2, 1, 2.5]) * 1e-3
    rho = np.array([480.0, *[np.nan] * 5, 390.0])
    frame = pd.DataFrame({"angle": angle, "mu": mu, "M": 1.1 * mu**2 + 1e-9, "rho_trained": rho})
    point = identity(decay, init)
    return frame.assign(**point, replicate=0, other=1, epoch=EPOCHS, lambda_eff=decay * 1e-6)


def layer_rows(decay=0.001, depth=3):
    """Collapse that gets tighter with the layer, the epoch and on training images."""
    rows = [
        identity(decay)
        | {
            "replicate": r,
            "epoch": epoch,
            "layer": layer,
            "nc1_trace": 10.0 / layer / (1 + epoch) + r,
            "test_nc1_trace": 20.0 / layer / (1 + epoch) + r,
            "nearest_mean_error": 0.1 / layer,
            "test_nearest_mean_error": 0.2 / layer,
        }
        for r in range(2)
        for epoch in SNAPSHOTS
        for layer in range(1, depth + 1)
    ]
    return pd.DataFrame(rows)
