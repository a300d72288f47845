"""What may be asked for: the models of `config.yaml`. `squareloss.study.load` makes them."""

import os
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    create_model,
    model_validator,
)

from squareloss.spec import (
    NUMBER,
    Coordinates,
    Count,
    Integer,
    Name,
    Positive,
    Recipe,
    Strict,
)


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
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.split("/")):
        raise ValueError(f"a folder's name must not be longer than {LONGEST_NAME} bytes")
    return _printable(path)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be letters that can be printed, in one line")
    return text


def _not_taken(study: str) -> str:
    if study in TAKEN:
        raise ValueError(f"is a folder of results for something else; so are {', '.join(TAKEN)}")
    return study


def _names_a_folder(path: str) -> str:
    if path in ("", ".", "/", "//"):
        raise ValueError("must name a folder, e.g. results")
    first, *others = path.split("/")
    if first in SOURCES or {first, *others} & PROGRAMS:
        raise ValueError("must not be a folder of the code or of a program, e.g. results")
    return path


LONGEST_NAME = 200  # bytes, of the 255 that file systems take: prefixes and suffixes are added
TAKEN = ("archive", "docs", "reference")  # below results, by `make archive`, `docs` and `reference`
SOURCES = {"config", "docs", "envs", "profiles", "slurm", "src", "tests", "workflow"}
PROGRAMS = {".git", ".snakemake", ".venv"}
MOST_REPLICATES = 10_000
LONGEST_CHAIN = 100  # of recipes, each like the next
FilePath = Annotated[str, AfterValidator(_as_path)]

T = TypeVar("T")
# A list of values; a single one may stand without brackets.
Values = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]


class Dataset(Strict):
    """Which images of which source; `source` is a module of squareloss.data.sources."""

    source: Name = Field(description="a module of squareloss.data.sources")
    title: Annotated[str, AfterValidator(_printable)] = Field(
        description="how figures name the data"
    )
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

    recipe: Name = Field(description="a key of `recipes`")


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

    sweeps: tuple[Sweep, ...] = Field(min_length=1, description="grids, whose points are joined")


Replicates = Annotated[int, Field(ge=1, le=MOST_REPLICATES), NUMBER]


class Study(Strict):
    """All of `config.yaml`."""

    study: Annotated[Name, AfterValidator(_not_taken)] = Field(
        description="results go to <results>/<study>/"
    )
    results: Annotated[FilePath, AfterValidator(_names_a_folder)] = Field(
        "results", description="folder of all studies' results"
    )
    seed: Integer = Field(0, description="all random numbers follow from it")
    replicates: Replicates = Field(description="independent seeds of every run")
    block_size: Replicates = Field(description="replicates trained by one job")
    delta: Annotated[float, Field(gt=0, lt=1), NUMBER] = Field(
        0.05, description="probability with which a generalisation bound may fail"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="of training and extraction; auto is a GPU where one can be used"
    )
    threads: Annotated[int, Field(ge=1, le=4096), NUMBER] = Field(
        1, description="CPU threads of a job that trains or extracts"
    )
    checkpoint_minutes: Positive = Field(
        5, description="how often a training job saves where it stands"
    )
    training_rate: Annotated[float, Field(ge=1, allow_inf_nan=False), NUMBER] = Field(
        1e13, description="FLOP/s a training job is taken to reach: sets time limits on clusters"
    )
    figures: Annotated[tuple[Name, ...], BeforeValidator(_as_list)] = Field(
        min_length=1, description="modules of squareloss.figures to draw"
    )
    datasets: dict[Name, Dataset] = Field(min_length=1, description="by name")
    recipes: dict[Name, Recipe] = Field(min_length=1, description="by name")
    baseline: Baseline = Field(description="the point that every sweep varies")
    experiments: dict[Name, Experiment] = Field(
        min_length=1, description="the runs of each figure, by the figure's name"
    )
