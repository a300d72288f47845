"""A page to look around in a study: every run at its snapshots, in one file that opens offline.

Above, a point is a run at one snapshot; in the middle, a curve is its course over the epochs;
below, how its margins are distributed. What is on the axes, what is coloured and which runs are
shown is chosen on the page. Charts are Vega-Lite, whose scripts are inline.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vl_convert

from squareloss.pages import explorer_page
from squareloss.source import catalog
from squareloss.spec import Point
from squareloss.tables.margins import MARGINS
from squareloss.tables.parts import read
from squareloss.tables.paths import point_path
from squareloss.tables.runs import RUN

FIRST = "figure5"  # the experiment that the page opens on
RHO = "\N{GREEK SMALL LETTER RHO}"  # which looks like the Latin letter p
MEASURES = {
    "inverse_rho": f"1/{RHO}",
    "rho": RHO,
    "test_accuracy": "test accuracy (share)",
    "test_error": "test error (share)",
    "train_error": "training error (share)",
    "train_loss": "training loss (without penalty)",
    "mean_margin": "mean margin",
    "margin_sd": "sd of the margins",
    "min_margin": "smallest margin",
    "nc1": "NC1",
    "nc2_angle_weights": "NC2, angles of classifiers",
    "nc3": "NC3",
    "nc3_least_squares": "NC3 of least squares",
    "nc3_collapsed": "NC3 of least squares, if collapsed",
    "nc4": "NC4",
    "mu": "mu",
    "stable_rank": "stable rank, mean over layers",
    "rank_1e-2": "rank at 1e-2, mean over layers",
    "update_norm": "change of V_k an epoch, mean over layers",
    "distance": "distance of V_k from its start, mean over layers",
    "eq16_eq12": "bound of Eq. 16",
    # As the authors' code counts rho and margins.
    "inverse_rho_convolutions": f"1/{RHO}, convolutions alone",
    "rho_convolutions": f"{RHO}, convolutions alone",
    "mean_difference_convolutions": "mean of f1 - f2, convolutions alone",
    "difference_sd_convolutions": "sd of f1 - f2, convolutions alone",
}
# Seaborn's "colorblind", as in the figures. Importing it for ten words takes a second.
COLOURS = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)
SETTINGS = {
    "recipe_name": "recipe",
    "weight_decay": "weight decay λ",
    "init_scale": "initialisation scale",
    "n_train": "N, training images",
}
# What the paper prints: "in the order of 500" and margins in Sections 3.5 and 5.1, Figure 10. It
# does not say which counting of rho these are of, so they are lines in both.
PAPER = {
    "rho": [500],
    "inverse_rho": [1 / 500],
    "mean_margin": [0.002, 0.005],
    "margin_sd": [1e-4],
    "rho_convolutions": [500],
    "inverse_rho_convolutions": [1 / 500],
    "mean_difference_convolutions": [0.002, 0.005],
    "difference_sd_convolutions": [1e-4],
}
LEVELS = np.linspace(0, 1, 21)  # of the quantiles of the margins
DIGITS = 4  # significant ones, which no eye tells from more


def snapshots(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a run, replicate and snapshot epoch, with the experiments that it belongs to.

    `tables` are the aggregates by the name of their experiment. `snapshot` counts a run's snapshots
    from 0, and `path` is where its files lie below `metrics/<table>/` and `runs/`.
    """
    key = [*RUN, "replicate", "epoch"]
    rows = pd.concat(
        table.loc[table["stable_rank"].notna()]
        .assign(inverse_rho=lambda rows: 1 / rows["rho"])
        .assign(inverse_rho_convolutions=lambda rows: 1 / rows["rho_convolutions"])
        .assign(test_accuracy=lambda rows: 1 - rows["test_error"])
        .assign(experiment=name)[[*key, *MEASURES, "experiment"]]
        for name, table in tables.items()
    )
    members = rows.groupby(key)["experiment"].agg(lambda names: " ".join(sorted(set(names))))
    found = rows.drop_duplicates(key).drop(columns="experiment").set_index(key)
    found = found.assign(experiments=members).reset_index()
    found["snapshot"] = found.groupby([*RUN, "replicate"])["epoch"].rank().astype(int) - 1
    paths = {
        point: point_path(Point(**dict(zip(RUN, point, strict=True))))
        for point in found[RUN].drop_duplicates().itertuples(index=False, name=None)
    }
    found["path"] = [paths[tuple(row)] for row in found[RUN].itertuples(index=False)]
    return found


def quantiles(folder: Path, runs: Iterable[str]) -> list[dict[str, Any]]:
    """Quantiles of the margins of replicate 0, by path and epoch of its snapshots.

    `folder` is that of the table `margins`, in which runs that no config asks for any more may lie:
    `runs` are the paths of those that it does. Replicate 0 is in the first block, of any size.
    """
    rows = []
    for path in runs:
        part = read([folder / path / "block=0.parquet"], MARGINS)
        part = part[part["replicate"] == 0]
        for epoch in part["epoch"].unique().tolist():
            q = rounded(np.quantile(part.loc[part["epoch"] == epoch, "margin"], LEVELS))
            rows.append({"path": path, "epoch": epoch, "q": q})
    return rows


def rounded(values: np.ndarray) -> list[float | None]:
    """Numbers with `DIGITS` significant digits; None, JSON's null, for what is not finite."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in values]


def columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """Rows for the page, by column: numbers rounded, None for what is undefined."""
    found = {}
    for name in rows:
        values = rows[name]
        is_float = pd.api.types.is_float_dtype(values)
        found[str(name)] = rounded(values.to_numpy()) if is_float else values.tolist()
    return found


def titles(rows: pd.DataFrame) -> dict[str, str]:
    """What the experiments are called: the titles of the figures of their name, in that order."""
    there = {name for names in rows["experiments"] for name in names.split(" ")}
    figures = catalog.figures()
    others = sorted(there - set(figures))
    named = {
        name: about.title.removesuffix(".") for name, about in figures.items() if name in there
    }
    return named | {name: name for name in others}


def page(tables: dict[str, pd.DataFrame], margins: Path, made_from: str) -> str:
    """The page as HTML. `tables` are the aggregates by name, `margins` the folder of that table."""
    rows = snapshots(tables)
    experiments = titles(rows)
    return explorer_page.page(
        title=made_from,
        rows=columns(rows),
        quantiles=quantiles(margins, sorted(rows["path"].unique())),
        levels=rounded(LEVELS),
        measures=MEASURES,
        settings={name: SETTINGS.get(name, name.replace("_", " ")) for name in RUN},
        experiments=experiments,
        first=FIRST if FIRST in experiments else next(iter(experiments)),
        colours=COLOURS,
        paper=PAPER,
        scripts=vl_convert.javascript_bundle(),  # type: ignore[call-arg]  # its stub lacks a default
    )
