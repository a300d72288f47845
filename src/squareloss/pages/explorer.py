"""A page to look around in a study: every run at its snapshots, in one file that opens offline.

Above, a point is a replicate of a run at one snapshot; in the middle, a curve is its course over
the epochs; below, how its margins are distributed. What is on the axes, what is coloured and which
runs are shown is chosen on the page. Charts are Vega-Lite, made by Altair; its scripts are inline.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from squareloss.pages import explorer_page
from squareloss.spec import Point
from squareloss.study.paths import point_path
from squareloss.tables.margins import MARGINS
from squareloss.tables.parts import read
from squareloss.tables.runs import RUN

MEASURES = {
    "train_loss": "training loss",
    "train_error": "training error",
    "test_error": "test error",
    "rho": "rho",
    "mu": "mu",
    "mean_margin": "mean margin",
    "margin_sd": "sd of the margins",
    "min_margin": "smallest margin",
    "nc1": "NC1",
    "nc2_angle_weights": "NC2, angles of classifiers",
    "nc3": "NC3",
    "nc3_least_squares": "NC3 of least squares",
    "nc3_collapsed": "NC3 of least squares, if collapsed",
    "nc4": "NC4",
    "stable_rank": "stable rank, mean over layers",
    "rank_1e-2": "rank at 1e-2, mean over layers",
    "update_norm": "change of V_k an epoch, mean over layers",
    "distance": "distance of V_k from its start, mean over layers",
    "eq16_eq12": "bound of Eq. 16",
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
        table.loc[table["stable_rank"].notna(), [*key, *MEASURES]].assign(experiment=name)
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


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for the page: numbers rounded, what is undefined left out."""
    short = rows.copy()
    for name in rows.select_dtypes("float"):
        short[name] = rounded(rows[name].to_numpy())
    return [
        {str(name): value for name, value in row.items() if not pd.isna(value)}
        for row in short.astype(object).to_dict("records")
    ]


def charts() -> dict[str, dict[str, Any]]:
    """Vega-Lite specifications of the three charts. The page gives them data and parameters.

    A field that the page chooses is calculated, as `datum[name]`, since an encoding names its own.
    So is a logarithm, since a scale cannot change its type.
    """
    fields = {"xfield": "rho", "yfield": "test_error", "colour": "weight_decay", "log": False}
    params = [alt.param(name=name, value=value) for name, value in fields.items()]
    labels = " : ".join(
        f"{case}format({v}, abs({v}) >= 1e5 || ({v} && abs({v}) < 1e-3) ? '.2~e' : '.3~r')"
        for case, v in (("log ? ", "pow(10, datum.value)"), ("", "datum.value"))
    )
    axis = alt.Axis(title=None, labelExpr=labels, tickCount=7)
    flexible = alt.Scale(zero=False, nice=True)
    colour = alt.Color(
        "c:N",
        title=None,
        legend=alt.Legend(orient="bottom", columns=3),
        sort=alt.EncodingSortField("order", op="min"),  # numbers in their order, not their texts'
    )
    tooltip = [
        *(alt.Tooltip(field=name) for name in ("path", "replicate", "epoch")),
        alt.Tooltip("v:Q", format=".4g", title="y"),
    ]
    base = (
        alt.Chart(alt.NamedData(name="rows"))
        .transform_calculate(c="'' + datum[colour]", order="datum[colour]", v="datum[yfield]")
        .transform_calculate(y="log ? log(datum.v) / LN10 : datum.v")
        .transform_filter("isValid(datum.v) && isFinite(datum.y)")
        .add_params(*params)
        .properties(width="container", height=300)
    )
    y = alt.Y("y:Q", axis=axis, scale=flexible)
    points = (
        base.transform_calculate(u="datum[xfield]")
        .transform_calculate(x="log ? log(datum.u) / LN10 : datum.u")
        .transform_filter("isValid(datum.u) && isFinite(datum.x)")
        .mark_point(filled=True, opacity=0.7, size=45)
        .encode(
            alt.X("x:Q", axis=axis, scale=flexible),
            y,
            colour,
            tooltip=[*tooltip, alt.Tooltip("u:Q", format=".4g", title="x")],
        )
    )
    courses = (
        base.transform_calculate(run="datum.path + ' ' + datum.replicate")
        .mark_line(point=alt.OverlayMarkDef(size=18), opacity=0.6)
        .encode(
            alt.X(
                "epoch:Q",
                axis=alt.Axis(title=None, tickCount=7),
                scale=alt.Scale(type="symlog"),
            ),
            y,
            colour,
            alt.Detail("run:N"),
            tooltip=tooltip,
        )
    )
    margins = (
        alt.Chart(alt.NamedData(name="rows"))
        .transform_calculate(c="'' + datum[colour]", order="datum[colour]")
        .add_params(*params)
        .properties(width="container", height=260)
        .mark_line(opacity=0.8)
        .encode(
            alt.X("margin:Q", axis=alt.Axis(title=None, tickCount=7), scale=flexible),
            alt.Y("level:Q", title=None),
            colour,
            alt.Detail("path:N"),
            tooltip=[alt.Tooltip("path:N"), alt.Tooltip("margin:Q", format=".4g")],
        )
    )
    found = {"points": points, "courses": courses, "margins": margins}
    specifications = {name: chart.to_dict() for name, chart in found.items()}
    for specification in specifications.values():
        del specification["$schema"]  # an address, and the page opens offline
    return specifications


def page(tables: dict[str, pd.DataFrame], margins: Path, made_from: str) -> str:
    """The page as HTML. `tables` are the aggregates by name, `margins` the folder of that table."""
    rows = snapshots(tables)
    return explorer_page.page(
        title=made_from,
        rows=records(rows),
        quantiles=quantiles(margins, sorted(rows["path"].unique())),
        levels=rounded(LEVELS),
        measures=MEASURES,
        identity=RUN,
        charts=charts(),
        scripts=vl_convert.javascript_bundle(),  # type: ignore[call-arg]  # its stub lacks a default
    )
