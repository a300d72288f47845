"""What may be asked for: the models of `config.yaml`, and errors that name the key.

`load` is the only entry: it turns the dictionary Snakemake merged into a `Study`, or raises a
`UserError` of one line. A recipe may name another with `like`, whose keys it takes over; this is
resolved after overlays have been merged, so an overlay of the one reaches the other.
`python -m squareloss.config` prints the JSON schema of the file.
"""

import difflib
import importlib
import itertools
import json
import math
import os
import pkgutil
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    create_model,
    model_validator,
)

import squareloss.data.sources
import squareloss.networks
from squareloss import catalog
from squareloss.architecture import build, weight_shapes
from squareloss.data.images import CHANNELS, SIDE
from squareloss.errors import UserError
from squareloss.spec import (
    NUMBER,
    Coordinates,
    Count,
    Integer,
    Name,
    Positive,
    Recipe,
    Schedule,
    Strict,
)

MOST_PARAMETERS = 1e11  # several times what the memory of one GPU holds


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _as_groups(value: object) -> object:
    return [_as_list(group) for group in value] if isinstance(value, list | tuple) else value


def _as_path(value: str) -> str:
    """One spelling of a path, so that what is there is not looked for under another name."""
    path = os.path.normpath(os.path.expanduser(value)) if value else ""
    if path.startswith("~"):
        raise ValueError("there is no such user's home; give the whole path")
    if "{" in path or "}" in path:
        raise ValueError("a path must have no braces, which Snakemake takes for wildcards")
    return path


def _names_a_folder(path: str) -> str:
    if path in ("", "."):
        raise ValueError("must name a folder, e.g. results")
    return path


FilePath = Annotated[str, AfterValidator(_as_path)]

T = TypeVar("T")
# A list of values; a single one may stand without brackets.
Values = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]


class Dataset(Strict):
    """Which images of which source; `source` is a module of squareloss.data.sources."""

    source: Name = Field(description="a module of squareloss.data.sources")
    title: str = Field(description="how figures name the data")
    root: FilePath = Field("", description="folder of the source's files, where it has any")
    classes: Annotated[
        tuple[tuple[Annotated[int, Field(ge=0), NUMBER], ...], ...], BeforeValidator(_as_groups)
    ] = Field(description="one entry a class: a label, or a list of labels merged into one class")
    n_test: Count = Field(description="test images, balanced over the classes")
    noise_kind: Literal["permute", "uniform"] = Field(
        "permute", description="random labels: permuted among the chosen, or drawn uniformly"
    )

    @model_validator(mode="after")
    def _classes_are_disjoint(self) -> Self:
        labels = [label for group in self.classes for label in group]
        if len(self.classes) < 2 or len(set(labels)) < len(labels) or not all(self.classes):
            raise ValueError("`classes` must name at least two classes and no label twice")
        return self


class Baseline(Coordinates):
    """The point that every sweep varies."""

    recipe: Name


_lists: Any = {"recipe": (Values[Name], ())} | {
    name: (Values[Annotated[field.annotation, *field.metadata]], ())  # type: ignore[name-defined]
    for name, field in Coordinates.model_fields.items()
}
_Values = create_model("_Values", __base__=Strict, **_lists)


class Sweep(_Values):  # type: ignore[misc, valid-type]
    """A grid: every combination of the values listed; what is not listed is the baseline's."""

    def grid(self, baseline: Baseline) -> dict[str, tuple]:
        """Values of every coordinate, the baseline's where the sweep has none."""
        return {
            name: getattr(self, name) or (getattr(baseline, name),)
            for name in type(self).model_fields
        }


class Experiment(Strict):
    """The runs of the figure of the same name: the points of one or more grids."""

    sweeps: tuple[Sweep, ...] = Field(min_length=1)


class Study(Strict):
    """All of `config.yaml`."""

    study: Name = Field(description="results go to <results>/<study>/")
    results: Annotated[FilePath, AfterValidator(_names_a_folder)] = "results"
    seed: Integer = 0
    replicates: Count = Field(description="independent seeds of every run")
    block_size: Count = Field(description="replicates trained by one job")
    delta: Annotated[float, Field(gt=0, lt=1), NUMBER] = Field(
        0.05, description="probability with which a generalisation bound may fail"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count = Field(1, description="CPU threads of a training job")
    checkpoint_minutes: Positive = Field(
        5, description="how often a training job saves where it stands"
    )
    training_rate: Positive = Field(
        1e13, description="FLOP/s a training job is taken to reach: sets time limits on clusters"
    )
    figures: tuple[Name, ...] = Field(
        min_length=1, description="modules of squareloss.figures to draw"
    )
    datasets: dict[Name, Dataset] = Field(min_length=1)
    recipes: dict[Name, Recipe] = Field(min_length=1)
    baseline: Baseline
    experiments: dict[Name, Experiment] = Field(
        min_length=1, description="the runs of each figure, by the figure's name"
    )


def modules_of(package: Any) -> list[str]:
    """Names of the modules in a package, which are what a config may choose from."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def load(raw: dict[str, Any]) -> Study:
    """Validate the merged config.

    Raises `UserError`, one line that names the key and what is allowed, for whatever is wrong.
    """
    try:
        study = Study.model_validate(_with_whole_recipes(raw))
    except ValidationError as error:
        raise UserError(_one_line(error)) from None
    _check_blocks(study)
    _check_recipes(study)
    _check_experiments(study)
    return study


def _with_whole_recipes(raw: dict[str, Any]) -> dict[str, Any]:
    """The config with `like` of every recipe replaced by what it stands for."""
    recipes = raw.get("recipes")
    if not isinstance(recipes, dict):
        return raw
    return raw | {"recipes": {name: _whole_recipe(recipes, [name]) for name in recipes}}


def _whole_recipe(recipes: dict[str, Any], chain: list[str]) -> Any:
    """The last recipe of `chain`: all keys of the one that it is like, then its own over them.

    `chain` is the way there, each recipe like the next. What is no mapping stays for the
    validation to refuse.
    """
    recipe = recipes[chain[-1]]
    if not isinstance(recipe, dict) or "like" not in recipe:
        return recipe
    key, other = f"recipes.{chain[-1]}.like", recipe["like"]
    _check_choice(key, other, [name for name in recipes if isinstance(name, str)])
    if other in chain:
        raise UserError(f"config: {key}: a circle: {', '.join([*chain, other])}; let one end it")
    base = _whole_recipe(recipes, [*chain, other])
    own = {name: value for name, value in recipe.items() if name != "like"}
    return base | own if isinstance(base, dict) else own


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
    if any(recipe.normalization == "bn" for recipe in recipes):
        raise UserError(f"config: {place}: {figure} takes no recipe with `normalization: bn`")
    if any(len(study.datasets[recipe.dataset].classes) != 2 for recipe in recipes):
        raise UserError(f"config: {place}: {figure} takes data sets of two classes only")
    if any(grid["label_noise"]):
        raise UserError(f"config: {place}: {figure} takes no label noise; allowed: 0")


def _check_recipes(study: Study) -> None:
    sources = modules_of(squareloss.data.sources)
    networks = modules_of(squareloss.networks)
    for name, dataset in study.datasets.items():
        _check_choice(f"datasets.{name}.source", dataset.source, sources)
    for name, recipe in study.recipes.items():
        _check_choice(f"recipes.{name}.dataset", recipe.dataset, list(study.datasets))
        _check_choice(f"recipes.{name}.network", recipe.network, networks)
        layers = build(recipe.network, 2, recipe.width, recipe.downsample)
        parameters = sum(math.prod(shape) for shape in weight_shapes(layers, CHANNELS, SIDE))
        if parameters > MOST_PARAMETERS:
            raise UserError(
                f"config: recipes.{name}.width: {recipe.width:g} makes {parameters:.2g} "
                f"parameters, {4e-9 * parameters:,.0f} GB for each copy of them"
            )


def _check_experiments(study: Study) -> None:
    known = catalog.figures()
    for figure in study.figures:
        _check_choice("figures", figure, list(known))
        if known[figure].needs_runs and figure not in study.experiments:
            raise UserError(
                f"config: figures: {figure} has no experiment; say what it is to run in "
                f"experiments.{figure}.sweeps"
            )
    drawn = [name for name, about in known.items() if about.needs_runs]
    for name, experiment in study.experiments.items():
        _check_choice("experiments", name, drawn)
        for i, sweep in enumerate(experiment.sweeps):
            _check_sweep(f"experiments.{name}.sweeps[{i}]", sweep, name, study)


def _check_sweep(place: str, sweep: Sweep, figure: str, study: Study) -> None:
    def key(field: str) -> str:
        return f"{place}.{field}" if getattr(sweep, field) else f"baseline.{field}"

    grid = sweep.grid(study.baseline)
    for recipe in grid["recipe"]:
        _check_choice(key("recipe"), recipe, list(study.recipes))
        for n, batch in itertools.product(grid["n_train"], grid["batch_size"]):
            if study.recipes[recipe].normalization == "bn" and (batch == 1 or n % batch == 1):
                raise UserError(
                    f"config: {key('batch_size')}: {batch} leaves one image in the last batch of "
                    f"N = {n}, which `normalization: bn` cannot standardise"
                )
        # The experiment of a figure that is not wanted is not run: its data may be absent.
        if figure in study.figures:
            dataset = study.recipes[recipe].dataset
            _check_sizes(key("n_train"), grid["n_train"], dataset, study)
    if figure in study.figures and _reads_landscape(figure):
        _check_landscape(figure, place, grid, study)


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


def _check_choice(key: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        raise UserError(f"config: {key}: {value!r} does not exist; allowed: {', '.join(allowed)}")


def _one_line(error: ValidationError) -> str:
    """The first problem of a validation error as one line: key, what is wrong, what is allowed."""
    problem, *others = error.errors()
    key = _key(problem["loc"])
    if problem["type"] == "extra_forbidden":
        model = _model_at(problem["loc"][:-1])
        allowed = sorted([*model.model_fields, *(["like"] if model is Recipe else [])])
        close = difflib.get_close_matches(str(problem["loc"][-1]), allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = f"unknown key; {hint}allowed: {', '.join(allowed)}"
    elif problem["type"] == "missing":
        message = "is required and missing"
    elif problem["type"] == "string_type" and problem["input"] is not None:
        # YAML reads 2024 and 1e3 as numbers and yes as true, not as text.
        message = (
            f"must be text, got {problem['input']!r}; quote it in a file, "
            "or choose a name that is no number"
        )
    else:
        value = problem["input"]
        shown = f", got {value!r}" if isinstance(value, str | int | float | None) else ""
        message = problem["msg"].removeprefix("Value error, ") + shown
    more = f" (and {len(others)} more)" if others else ""
    return f"config: {key or 'the file'}: {message}{more}"


def _key(location: tuple[str | int, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".").removesuffix(".[key]")


def _model_at(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that validates the mapping at `location`: what keys it allows."""
    models: dict[str, type[BaseModel]] = {
        "datasets": Dataset,
        "recipes": Recipe,
        "experiments": Experiment,
    }
    if not location:
        return Study
    if "sweeps" in location:
        return Sweep
    if location[0] == "baseline":
        return Baseline
    if location[-1] == "schedule":
        return Schedule
    return models[str(location[0])]


def main() -> None:
    """Print the JSON schema of `config.yaml`, for editors that complete and check YAML."""
    schema = Study.model_json_schema()
    recipe = schema["$defs"]["Recipe"]
    recipe["properties"]["like"] = {
        "type": "string",
        "description": "another recipe, whose keys this one takes over where it has none itself",
    }
    del recipe["required"]  # since they may be those of another recipe
    print(json.dumps(schema, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
