"""What a config must be beyond its models: what it names must exist, fit together and be runnable.

Every check raises `UserError`, one line that names the key and what is allowed.
"""

import difflib
import importlib
import itertools
import math
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import squareloss.data.sources
import squareloss.model.networks
from squareloss.data.images import CHANNELS, SIDE
from squareloss.errors import UserError
from squareloss.model import normalization
from squareloss.model.architecture import weight_shapes
from squareloss.source import catalog
from squareloss.study.config import Experiment, Study, Sweep
from squareloss.tables.aggregate import TRAINED

MOST_PARAMETERS = 1e11  # several times what the memory of one GPU holds
MOST_WIDTH = 1e6
MOST_JOBS = 1_000_000  # points of all sweeps times blocks; planning takes milliseconds a job


def modules_of(package: Any) -> list[str]:
    """Names of the modules in a package, which are what a config may choose from."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def check(study: Study) -> None:
    """All checks of a config whose keys and types are right."""
    _check_size(study)
    _check_blocks(study)
    _check_recipes(study)
    _check_experiments(study)


def _check_size(study: Study) -> None:
    blocks = -(-study.replicates // study.block_size)
    jobs = 0
    for name, experiment in study.experiments.items():
        for i, sweep in enumerate(experiment.sweeps):
            points = math.prod(len(values) for values in sweep.grid(study.baseline).values())
            jobs += points * blocks
            if jobs > MOST_JOBS:
                raise UserError(
                    f"config: experiments.{name}.sweeps[{i}]: {points:,} points in {blocks:,} "
                    f"blocks, with those of the sweeps before {jobs:,} training jobs; allowed: up "
                    f"to {MOST_JOBS:,}"
                )


def _check_blocks(study: Study) -> None:
    if study.replicates % study.block_size:
        raise UserError(
            f"config: replicates: {study.replicates} is not a multiple of "
            f"block_size = {study.block_size}; replicates are trained by whole blocks"
        )
    for figure in study.figures:
        if _reads_landscape(figure) and study.block_size < 2:
            raise UserError(
                f"config: block_size: {figure} compares two replicates of one block; "
                "allowed: 2 or more"
            )


def _reads_landscape(figure: str) -> bool:
    return figure in catalog.figures() and "landscape" in catalog.figures()[figure].reads


def _check_landscape(figure: str, place: str, grid: dict[str, tuple], study: Study) -> None:
    """The loss is measured between networks of two classes and one labelling, without batch norm,
    whose running statistics mean nothing in between.
    """
    recipes = [study.recipes[name] for name in grid["recipe"]]
    for recipe in recipes:
        if normalization.named(recipe.normalization).standardizes:
            raise UserError(
                f"config: {place}: {figure} takes no recipe with "
                f"`normalization: {recipe.normalization}`"
            )
    if any(len(study.datasets[recipe.dataset].classes) != 2 for recipe in recipes):
        raise UserError(f"config: {place}: {figure} takes data sets of two classes only")
    if any(grid["label_noise"]):
        raise UserError(f"config: {place}: {figure} takes no label noise; allowed: 0")


def _check_recipes(study: Study) -> None:
    sources = modules_of(squareloss.data.sources)
    networks = modules_of(squareloss.model.networks)
    for name, dataset in study.datasets.items():
        check_choice(f"datasets.{name}.source", dataset.source, sources)
    for name, recipe in study.recipes.items():
        check_choice(f"recipes.{name}.dataset", recipe.dataset, list(study.datasets))
        check_choice(f"recipes.{name}.network", recipe.network, networks)
        check_choice(f"recipes.{name}.normalization", recipe.normalization, normalization.names())
        if recipe.width > MOST_WIDTH:
            raise UserError(
                f"config: recipes.{name}.width: {recipe.width:g}; allowed: up to {MOST_WIDTH:g}"
            )
        shapes = weight_shapes(recipe.layers(2), CHANNELS, SIDE)
        parameters = sum(math.prod(shape) for shape in shapes)
        if parameters > MOST_PARAMETERS:
            raise UserError(
                f"config: recipes.{name}.width: {recipe.width:g} makes {parameters:.2g} "
                f"parameters, {4e-9 * parameters:,.0f} GB for each copy of them"
            )


def check_needs_runs(place: str, figures: Iterable[str]) -> None:
    """Refuse figures that train nothing, of which there is nothing to plan and to add up."""
    if not any(catalog.figures()[figure].needs_runs for figure in figures):
        raise UserError(f"{place}: none of them is drawn from runs; add one that is")


def _check_experiments(study: Study) -> None:
    known = catalog.figures()
    for figure in study.figures:
        check_choice("figures", figure, list(known))
        if known[figure].needs_runs and figure not in study.experiments:
            raise UserError(
                f"config: figures: {figure} has no experiment; say what it is to run in "
                f"experiments.{figure}.sweeps"
            )
    check_needs_runs("config: figures", study.figures)
    drawn = [name for name, about in known.items() if about.needs_runs]
    for name, experiment in study.experiments.items():
        check_choice("experiments", name, drawn)
        for i, sweep in enumerate(experiment.sweeps):
            _check_sweep(f"experiments.{name}.sweeps[{i}]", sweep, name, study)
        if name in study.figures:
            _check_compared(name, experiment, study)


def _check_sweep(place: str, sweep: Sweep, figure: str, study: Study) -> None:
    def key(field: str) -> str:
        return f"{place}.{field}" if getattr(sweep, field) else f"baseline.{field}"

    grid = sweep.grid(study.baseline)
    for recipe in grid["recipe"]:
        check_choice(key("recipe"), recipe, list(study.recipes))
        rule = study.recipes[recipe].normalization
        for n, batch in itertools.product(grid["n_train"], grid["batch_size"]):
            alone = batch == 1 or n % batch == 1
            if alone and normalization.named(rule).standardizes:
                raise UserError(
                    f"config: {key('batch_size')}: {batch} leaves one image in the last batch of "
                    f"N = {n}, which `normalization: {rule}` cannot standardise"
                )
        # The experiment of a figure that is not wanted is not run: its data may be absent.
        if figure in study.figures:
            dataset = study.recipes[recipe].dataset
            _check_sizes(key("n_train"), grid["n_train"], dataset, study)
    if figure in study.figures and _reads_landscape(figure):
        _check_landscape(figure, place, grid, study)


def _check_compared(figure: str, experiment: Experiment, study: Study) -> None:
    """Check that a figure takes all runs of its experiment into one picture.

    The figure itself would say so too, but after hours of training.
    """
    about, grids = catalog.figures()[figure], [s.grid(study.baseline) for s in experiment.sweeps]
    values: dict[str, list[Any]] = {
        name: list(dict.fromkeys(value for grid in grids for value in grid[name]))
        for name in grids[0]
    }
    recipes = {
        name: {key: getattr(study.recipes[name], key) for key in TRAINED}
        for name in values.pop("recipe")
    }
    if about.varies is not None and (found := catalog.misfit(values, recipes, about.varies)):
        name, several = found
        shown = ", ".join(map(str, several))
        raise UserError(
            f"config: experiments.{figure}.sweeps: {figure} takes one "
            f"{name.removesuffix('_name')}, but its runs have {shown}"
        )
    if about.most_runs is not None:
        runs = len({point for grid in grids for point in itertools.product(*grid.values())})
        if runs > about.most_runs:
            raise UserError(
                f"config: experiments.{figure}.sweeps: {runs} runs; {figure} takes up to "
                f"{about.most_runs} into one picture"
            )


def _check_sizes(key: str, sizes: tuple[int, ...], dataset_name: str, study: Study) -> None:
    """Check that the data set has the classes, and enough images for every N of a sweep."""
    dataset = study.datasets[dataset_name]
    source = importlib.import_module(f"squareloss.data.sources.{dataset.source}")
    train_counts, test_counts = source.class_counts(dataset.root)
    groups = len(dataset.classes)
    for label in (label for group in dataset.classes for label in group):
        if label not in train_counts:
            allowed = f"{min(train_counts)} to {max(train_counts)}"
            raise UserError(
                f"config: datasets.{dataset_name}.classes: class {label} does not exist in "
                f"{dataset.source}; allowed: {allowed}"
            )
    for name, size in [(f"datasets.{dataset_name}.n_test", dataset.n_test)] + [
        (key, size) for size in sizes
    ]:
        if size % groups:
            raise UserError(f"config: {name}: {size} is not a multiple of the {groups} classes")
    # Where a source has no test set of its own, test images are taken from the training images.
    shared = test_counts is None
    test_room = groups * min(
        sum((train_counts if test_counts is None else test_counts)[label] for label in group)
        for group in dataset.classes
    )
    if dataset.n_test > test_room:
        raise UserError(
            f"config: datasets.{dataset_name}.n_test: {dataset.n_test} is larger than the "
            f"data set; allowed: up to {test_room}"
        )
    train_room = groups * min(sum(train_counts[label] for label in g) for g in dataset.classes)
    train_room -= dataset.n_test if shared else 0
    for size in sizes:
        if size > train_room:
            raise UserError(
                f"config: {key}: {size} is larger than data set {dataset_name}; "
                f"allowed: up to {train_room}"
            )


def check_choice(key: str, value: str, allowed: list[str]) -> None:
    """Raise `UserError` unless a key's value is among those allowed."""
    if value not in allowed:
        close = difflib.get_close_matches(str(value), allowed, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise UserError(
            f"config: {key}: {value!r} does not exist; {hint}allowed: {', '.join(allowed)}"
        )


def check_folder(folder: str) -> None:
    """Raise `UserError` where a file lies in the place of a folder to write into, or around it."""
    for path in (Path(folder), *Path(folder).parents):
        try:
            a_file = path.exists() and not path.is_dir()
        except OSError as error:
            raise UserError(f"config: results: {path}: {error.strerror}") from None
        if a_file:
            raise UserError(
                f"config: results: {path} is a file, and results are to lie in {folder}; move it"
            )
