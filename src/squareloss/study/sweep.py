"""Experiments -> table of runs -> paths. Imports neither torch nor Snakemake.

A *run* is a point of a sweep under a recipe; its replicates are trained in blocks. Points asked for
by several experiments are one run. The paths are Hive style (`wd=0.001`), so that pandas, pyarrow
and Snakemake read the same names.
"""

import itertools
import json
from collections.abc import Iterable

import pandas as pd

from squareloss.spec import DataSpec, Point, RunSpec
from squareloss.study.config import Study
from squareloss.tables.paths import POINT_KEYS, path_value


def points_of(study: Study, experiment: str) -> list[Point]:
    """Every point of an experiment's grids, in their order, each once."""
    points = []
    for sweep in study.experiments[experiment].sweeps:
        grid = sweep.grid(study.baseline)
        grid["recipe_name"] = grid.pop("recipe")
        for values in itertools.product(*(grid[name] for name in POINT_KEYS.values())):
            points.append(Point(**dict(zip(POINT_KEYS.values(), values, strict=True))))
    return list(dict.fromkeys(points))


def runs_table(study: Study) -> pd.DataFrame:
    """One row a run that a wanted figure needs: path keys as text, `point`, `experiments`."""
    experiments: dict[Point, list[str]] = {}
    for name in study.experiments:
        if name in study.figures:
            for point in points_of(study, name):
                experiments.setdefault(point, []).append(name)
    rows = []
    for point, names in experiments.items():
        fields = point.model_dump()
        keys = {key: path_value(fields[field]) for key, field in POINT_KEYS.items()}
        rows.append(keys | {"point": point, "experiments": names})
    return pd.DataFrame(rows, columns=[*POINT_KEYS, "point", "experiments"])


def blocks(study: Study) -> list[int]:
    """Numbers of the blocks that hold the study's replicates."""
    return list(range(study.replicates // study.block_size))


def replicates_of(study: Study, block: int) -> tuple[int, ...]:
    """Replicates of a block, e.g. block 1 of size 5 holds 5, 6, 7, 8, 9."""
    return tuple(range(block * study.block_size, (block + 1) * study.block_size))


def run_spec(study: Study, point: Point, block: int) -> RunSpec:
    """The training job of `point` for one block."""
    return RunSpec(
        point=point,
        recipe=study.recipes[point.recipe_name],
        seed=study.seed,
        replicates=replicates_of(study, block),
        device=study.device,
        threads=study.threads,
    )


def split_path(study: Study, point: Point, block: int) -> str:
    """Path of the prepared split that `point` reads, below `<results>/<study>/data/`."""
    dataset = study.recipes[point.recipe_name].dataset
    noise, n = path_value(point.label_noise), path_value(point.n_train)
    return f"dataset={dataset}/noise={noise}/n={n}/block={block}.safetensors"


def data_specs(study: Study) -> dict[str, DataSpec]:
    """Path of every prepared split the study needs -> how to prepare it."""
    specs = {}
    for point, block in itertools.product(runs_table(study)["point"], blocks(study)):
        dataset = study.datasets[study.recipes[point.recipe_name].dataset]
        specs[split_path(study, point, block)] = DataSpec(
            source=dataset.source,
            root=dataset.root,
            classes=dataset.classes,
            n_train=point.n_train,
            n_test=dataset.n_test,
            noise_kind=dataset.noise_kind,
            label_noise=point.label_noise,
            seed=study.seed,
            replicates=replicates_of(study, block),
        )
    return specs


def recipes_json(study: Study, experiment: str) -> str:
    """The recipes of an experiment by name, as canonical JSON."""
    names = {point.recipe_name for point in points_of(study, experiment)}
    return json.dumps({name: study.recipes[name].model_dump() for name in names}, sort_keys=True)


def made_from(study: Study, experiment: str) -> str:
    """What an experiment was made from, in a line for the foot of its figures."""
    points = points_of(study, experiment)
    recipes = [study.recipes[name] for name in dict.fromkeys(p.recipe_name for p in points)]
    data = [study.datasets[name].title for name in _datasets(study, points)]
    networks = dict.fromkeys(
        recipe.network + (f" at {recipe.width:g} x width" if recipe.width != 1 else "")
        for recipe in recipes
    )
    sizes = _span(sorted({point.n_train for point in points}))
    epochs = _span(sorted({recipe.epochs for recipe in recipes}))
    return (
        f"{'; '.join(data)}. {', '.join(networks)}, N = {sizes}, {epochs} epochs, "
        f"{_replicates(study)}."
    )


def size(study: Study) -> str:
    """How large a study is, in a line."""
    runs = runs_table(study)
    data = [study.datasets[name].title for name in _datasets(study, runs["point"])]
    return f"{'; '.join(data)}. {len(runs)} runs of {_replicates(study)}."


def _replicates(study: Study) -> str:
    return f"{study.replicates} replicate{'s' if study.replicates > 1 else ''}"


def _datasets(study: Study, points: Iterable[Point]) -> list[str]:
    """Names of the data sets that points are trained on, each once."""
    return list(dict.fromkeys(study.recipes[point.recipe_name].dataset for point in points))


def _span(values: list[int]) -> str:
    ends = f"{values[0]:,}", f"{values[-1]:,}"
    return ends[0] if len(values) == 1 else f"{ends[0]} to {ends[1]}"
