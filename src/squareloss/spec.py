"""What one training job and one data job must do, fully resolved.

A `Recipe` is everything of a run that a sweep does not vary. A `RunSpec` is a recipe at one point
of a sweep for one block of replicates; a `DataSpec` is the prepared split such a run reads. Both
travel through the workflow as canonical JSON, so an equal spec is an equal string and reruns
nothing.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Literal, Self, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from squareloss.model import normalization
from squareloss.model.architecture import Layer, build


def _refuse_bool(value: object) -> object:
    """YAML's `yes` and `true` would pass for 1; they are never meant as numbers here."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


# Last in each type, as limits that follow a validator are no limits in the JSON Schema of editors.
NUMBER = BeforeValidator(_refuse_bool)
Integer = Annotated[int, NUMBER]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), NUMBER]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NUMBER]
Count = Annotated[int, Field(ge=1), NUMBER]
Share = Annotated[float, Field(ge=0, le=1), NUMBER]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)]


class Strict(BaseModel):
    """Base of every model: unknown keys are errors, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Strict):
    """Learning-rate schedule; the formulas are in `optimize.learning_rate`."""

    name: Literal["constant", "cosine_per_step", "cosine_per_epoch_of_total_steps", "step"] = Field(
        "constant", description="of the schedule"
    )
    milestones: tuple[Share, ...] = Field(default=(), description="share of the epochs, for `step`")
    factor: Positive = Field(
        default=0.1, description="multiplies the rate at each milestone, for `step`"
    )

    @model_validator(mode="after")
    def _milestones_only_for_step(self) -> Self:
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("`milestones` goes with `name: step`, and only with it")
        return self


class Recipe(Strict):
    """Everything of a run that the sweep does not vary."""

    dataset: Name = Field(description="a key of `datasets`")
    network: Name = Field(description="a module of squareloss.model.networks: cnn6, cnn3, mlp")
    width: Positive = Field(1.0, description="multiplies the channels and hidden units")
    downsample: Literal["stride", "maxpool"] = Field(
        "stride", description="how cnn6 halves the image, which the paper does not say"
    )
    normalization: Name = Field(
        "wn", description="weight norm (frozen g), Lagrange multiplier, batch norm or none"
    )
    layer_norms: Literal["initial", "unit"] = Field(
        "initial", description="the value at which wn and lm freeze ||W_k||"
    )
    rho_top: Positive = Field(1.0, description="initial value of the learnable top scalar")
    init: Literal["default", "const_norm"] = Field(
        "default", description="the law of the initial weights: PyTorch's, or of norm 1 a layer"
    )
    init_scale_on: Literal["weights", "rho_top"] = Field(
        "weights", description="what the initialisation scale multiplies"
    )
    images: Literal["standardized", "unit_norm", "standardized_unit_norm"] = Field(
        "standardized",
        description="per channel, or each image divided by its L2 norm (`config.yaml`'s recipes), "
        "or first the one and then the other",
    )
    targets: Literal["centred", "one_hot"] = Field(
        "centred", description="of the square loss: 1 and -1/(C-1), or 1 and 0"
    )
    loss: Literal["square", "cross_entropy"] = Field(
        "square", description="the paper's loss, or the cross-entropy to compare with"
    )
    weight_decay_on: Literal["rho", "weights"] = Field(
        "rho", description="lambda rho_top^2 (the paper's words), or SGD decay of every parameter"
    )
    optimizer: Literal["sgd", "gd"] = Field("sgd", description="gd: one full-batch step an epoch")
    momentum: Annotated[float, Field(ge=0, lt=1), NUMBER] = Field(0.9, description="of SGD")
    schedule: Schedule = Field(
        Schedule(name="constant"), description="how the learning rate falls; its keys are below"
    )
    precision: Literal["float64", "float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="of the training step's products; tf32 is float32 on a CPU. Weights and "
        "measurements are float32, or float64 with `float64`",
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000), NUMBER] = Field(
        description="passes over the training set"
    )
    snapshots: Annotated[int, Field(ge=3, le=10_000), NUMBER] = Field(
        12,
        description="how many epochs keep their weights: 0, log-spaced ones up to half of "
        "training, and the last",
    )
    evaluate_every: Count = Field(1, description="epochs between two rows of `history`")

    @model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.normalization not in normalization.names():
            return self  # `squareloss.study.checks` says which there are
        rule = normalization.named(self.normalization)
        if rule.standardizes and self.optimizer == "gd":
            raise ValueError(
                "`optimizer: gd` sums the gradients of batches, each of which `normalization: "
                f"{self.normalization}` would standardise by itself"
            )
        if self.layer_norms == "unit" and not rule.freezes_norms:
            frozen = [n for n in normalization.names() if normalization.named(n).freezes_norms]
            raise ValueError(f"`layer_norms: unit` needs `normalization`: {' or '.join(frozen)}")
        return self

    def modules(self) -> tuple[str, str]:
        """The modules below `squareloss` that its names stand for, which `code` must be told."""
        return f"model.networks.{self.network}", f"model.normalizations.{self.normalization}"

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers of this recipe's network."""
        return build(self.network, classes, self.width, self.downsample)

    def snapshot_epochs(self) -> list[int]:
        """Epochs whose weights are kept, without repeats: 0, log-spaced up to half, and the last.

        Half of training is where statements about a limit are measured a second time.
        """
        half = max(1, self.epochs // 2)
        spaced = np.geomspace(half, 1, self.snapshots - 2).round().astype(int)
        return [0, *sorted({*spaced.tolist(), self.epochs})]

    def evaluation_epochs(self) -> list[int]:
        """Epochs that get a row in `history`: each early one, then every `evaluate_every`-th."""
        early = range(min(self.evaluate_every, self.epochs) + 1)
        return sorted(
            {*early, *range(0, self.epochs, self.evaluate_every), *self.snapshot_epochs()}
        )


@dataclass(frozen=True)
class Axis:
    """What a coordinate of a run is called in paths and in figures, and its unit."""

    key: str
    symbol: str
    unit: str = "1"
    equation: str = ""  # of the paper, where it is defined


class Coordinates(Strict):
    """What a sweep may vary besides the recipe, in the order of the folders of a run's path."""

    weight_decay: Annotated[
        NonNegative,
        Axis("wd", "λ", equation="Eq. 1"),
        Field(description="lambda of the penalty on rho_top"),
    ]
    init_scale: Annotated[
        Positive,
        Axis("init", "init"),
        Field(description="what the initialisation law is multiplied by"),
    ]
    label_noise: Annotated[
        Share, Axis("noise", "r"), Field(description="share of training samples with random labels")
    ]
    n_train: Annotated[Count, Axis("n", "N", "samples"), Field(description="training samples N")]
    batch_size: Annotated[
        Count, Axis("batch", "batch", "samples"), Field(description="minibatch size")
    ]
    learning_rate: Annotated[
        Positive, Axis("lr", "rate"), Field(description="initial learning rate")
    ]


def coordinates() -> list[tuple[str, type, Axis, str]]:
    """Name, type, names elsewhere and meaning of each coordinate."""
    found = []
    for name, field in Coordinates.model_fields.items():
        [axis] = [data for data in field.metadata if isinstance(data, Axis)]
        found.append((name, cast(type, field.annotation), axis, str(field.description)))
    return found


class Point(Coordinates):
    """The coordinates of a run."""

    recipe_name: Name


class RunSpec(Strict):
    """One training job: a recipe at one point, for one block of replicates."""

    point: Point
    recipe: Recipe
    seed: Integer
    replicates: Annotated[tuple[int, ...], Field(min_length=1)]
    device: Literal["auto", "cpu", "cuda"]
    threads: Annotated[int, Field(ge=1, le=1 << 15), NUMBER]


class DataSpec(Strict):
    """One prepared split: which images of which source, with whose label noise."""

    source: Name
    root: str
    classes: Annotated[tuple[tuple[int, ...], ...], Field(min_length=1)]
    n_train: Count
    n_test: Count
    noise_kind: Literal["permute", "uniform"]
    label_noise: Share
    seed: Integer
    replicates: Annotated[tuple[int, ...], Field(min_length=1)]


def canonical_json(spec: BaseModel) -> str:
    """The one string that stands for `spec`: keys sorted, so equal specs are equal strings."""
    return json.dumps(spec.model_dump(), sort_keys=True)


def stream(seed: int, replicate: int, *names: str) -> int:
    """Seed in [0, 2^63) of one random stream, e.g. `stream(seed, 3, point, "weights")`.

    Depends on nothing but its arguments: a replicate draws the same numbers alone, in any company
    and in any order.
    """
    text = "/".join([str(seed), str(replicate), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
