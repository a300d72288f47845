"""What a study costs and what its jobs ask a cluster for, from the config alone.

    python -m squareloss.study.cost config.yaml [overlay.yaml ...] [--figures figure5 ...]
        [--samples-per-second N]

Samples times operations a sample, over the rate that training is taken to reach: `training_rate` of
the config, or what `make bench` measured for cnn6 at full width. Imports no torch.
"""

import importlib
import math
from dataclasses import dataclass
from functools import cache
from math import prod

import pandas as pd

from squareloss import arguments
from squareloss.data.images import CHANNELS, SIDE
from squareloss.errors import run_stage
from squareloss.model.architecture import BATCH, Conv, Layer, build, flops_per_sample, weight_shapes
from squareloss.spec import Point, Recipe
from squareloss.study import sweep
from squareloss.study.checks import check_choice, check_needs_runs
from squareloss.study.config import Dataset, Study
from squareloss.study.files import read

CORE_RATE = 3e10  # FLOP/s of one CPU core: less than half of what cnn6 reaches in float32
STEP_SECONDS = 2e-4  # the least that a step takes on a GPU, however small the network
START_SECONDS = 60  # of a job: imports, data, recording of the step
# Bytes of main memory that a job takes whatever its run, as measured in docs/performance.md. On a
# cluster two Snakemakes start the stage, three in a job array, of 0.18 GB each. The stage itself
# takes 0.8 to 1.1 GB to train and 0.7 to 1 GB to read: what libraries load differs by processor.
# With CUDA a job took half of what is asked.
TRAINING_BYTES = 1.7e9
CUDA_TRAINING_BYTES = 4e9
READING_BYTES = 1.6e9


@dataclass(frozen=True)
class Job:
    """A job on a block of replicates of one run."""

    samples: int  # passed through training steps
    seconds: float
    disk: int  # bytes of snapshots
    memory: float  # bytes of main memory, all in all


def network(study: Study, point: Point) -> tuple[Layer, ...]:
    """Layers of a run's network."""
    recipe = study.recipes[point.recipe_name]
    return recipe.layers(len(study.datasets[recipe.dataset].classes))


def image_channels(dataset: Dataset) -> int:
    """Channels of a data set's images: what its source says, or the most there can be."""
    source = importlib.import_module(f"squareloss.data.sources.{dataset.source}")
    channels: int = getattr(source, "CHANNELS", CHANNELS)
    return channels


def passed_on(layers: tuple[Layer, ...]) -> int:
    """How many numbers the layers of a network make of one image, before pooling."""
    side, total = SIDE, 0
    for layer in layers:
        if isinstance(layer, Conv):
            total += layer.channels * layer.positions(side) ** 2
            side = layer.side(side)
        else:
            total += layer.units
    return total


def widest_dense(layers: tuple[Layer, ...], channels: int) -> int:
    """Inputs of the dense layer that has the most."""
    shapes = weight_shapes(layers, channels, SIDE)
    return max(shape[1] for shape in shapes if len(shape) == 2)


@cache
def snapshots(recipe: Recipe) -> int:
    """How many epochs of a recipe keep their weights."""
    return len(recipe.snapshot_epochs())


@cache
def evaluations(recipe: Recipe) -> int:
    """How many epochs of a recipe are evaluated."""
    return len(recipe.evaluation_epochs())


def training_job(study: Study, point: Point) -> Job:
    """Cost of one block of a run at `study.training_rate` FLOP/s."""
    recipe = study.recipes[point.recipe_name]
    dataset = study.datasets[recipe.dataset]
    layers, channels = network(study, point), image_channels(dataset)
    shapes = weight_shapes(layers, channels, SIDE)
    weights = 4 * sum(prod(shape) for shape in shapes) * study.block_size  # bytes of all replicates
    flops = flops_per_sample(layers, channels, SIDE)
    samples = study.block_size * recipe.epochs * point.n_train
    # An evaluation is a forward pass, a third of a step, over training and test set.
    images = point.n_train + dataset.n_test
    evaluated = study.block_size * evaluations(recipe) * images / 3
    steps = study.block_size * recipe.epochs * math.ceil(point.n_train / point.batch_size)
    work = (samples + evaluated) * flops / study.training_rate
    disk = weights * snapshots(recipe)
    libraries = TRAINING_BYTES if study.device == "cpu" else CUDA_TRAINING_BYTES
    # The floats that an evaluation passes on, and as many that were freed and are kept.
    passed = 2 * 4 * BATCH * passed_on(layers) if study.device == "cpu" else 0
    return Job(
        samples=samples,
        seconds=START_SECONDS + max(work, steps * STEP_SECONDS),
        disk=disk,
        # Snapshots are kept to the end and written from a copy. Of the weights there are four
        # copies: weights, momentum, gradient, and the state to be written. An image is 1 + 2 x 4
        # bytes, rounded up.
        memory=libraries + passed + 2 * disk + 4 * weights + 10 * images * channels * SIDE**2,
    )


def reading_job(study: Study, point: Point) -> Job:
    """Cost of reading one block's snapshots on a CPU: extraction, or the arc of Figure 2."""
    recipe = study.recipes[point.recipe_name]
    # Four passes over the training images: outputs, twice every layer, and what a dense layer uses
    # of its inputs. Two passes over the test images.
    dataset = study.datasets[recipe.dataset]
    images = (4 * point.n_train + 2 * dataset.n_test) * snapshots(recipe) * study.block_size
    layers, channels = network(study, point), image_channels(dataset)
    work = images * flops_per_sample(layers, channels, SIDE) / 3
    # All the time: images as floats and, for the bounds, as doubles. For a while also the features
    # of a pass (floats, and doubles twice; and as much that was freed and is kept), or for what a
    # dense layer uses of its inputs a square matrix of doubles, its eigenvectors and LAPACK's
    # workspace. The larger of the two counts.
    held = 16 * (point.n_train + dataset.n_test) * channels * SIDE**2
    features = 2 * 20 * BATCH * passed_on(layers)
    squares = 4 * 8 * widest_dense(layers, channels) ** 2
    memory = READING_BYTES + held + max(features, squares)
    seconds = START_SECONDS + work / (CORE_RATE * study.threads)
    return Job(samples=0, seconds=seconds, disk=0, memory=memory)


def runtime_minutes(job: Job, attempt: int) -> int:
    """Time limit: three times the estimate and ten minutes, as often as the job was tried."""
    return math.ceil(attempt * (10 + 3 * job.seconds / 60))


def memory_mb(job: Job, attempt: int) -> int:
    """Memory limit: half as much again with every retry."""
    return math.ceil(job.memory / 1e6 * (1 + 0.5 * (attempt - 1)))


def estimate(study: Study) -> pd.DataFrame:
    """One row a recipe: runs, jobs, samples, hours of a GPU and of a core, GB of snapshots."""
    blocks = len(sweep.blocks(study))
    points = list(sweep.runs_table(study)["point"])
    jobs = pd.DataFrame([training_job(study, point) for point in points])
    jobs["extraction"] = [reading_job(study, point).seconds for point in points]
    jobs["recipe"] = [point.recipe_name for point in points]
    table = jobs.groupby("recipe", sort=False).agg(
        runs=("samples", "size"), samples=("samples", "sum"), seconds=("seconds", "sum"),
        extraction=("extraction", "sum"), disk=("disk", "sum"),
    )  # fmt: skip
    table[["samples", "seconds", "extraction", "disk"]] *= blocks
    table.insert(1, "jobs", table["runs"] * blocks)
    table.loc["in all"] = table.sum()
    return pd.DataFrame(
        {
            "runs": table["runs"].astype(int),
            "jobs": table["jobs"].astype(int),
            "samples": table["samples"].map("{:.2g}".format),
            "GPU hours": (table["seconds"] / 3600).round(2),
            "core hours": (table["extraction"] / 3600).round(1),
            "snapshots, GB": (table["disk"] / 1e9).round(1),
        }
    )


def main() -> None:
    """Command line of the estimate."""
    parser = arguments.parser(__doc__)
    parser.add_argument("configs", nargs="+", help="config.yaml and its overlays")
    parser.add_argument(
        "--samples-per-second",
        type=arguments.positive,
        help="of cnn6 at full width, by `make bench`",
    )
    parser.add_argument("--figures", nargs="+", help="what these of the study's cost alone")
    args = parser.parse_args()
    study = read(args.configs)
    for figure in args.figures or ():
        check_choice("figures", figure, list(study.figures))
    figures = tuple(args.figures or study.figures)
    check_needs_runs("--figures", figures)
    study = study.model_copy(update={"figures": figures})
    source = "assumed by training_rate"
    if args.samples_per_second:
        flops = flops_per_sample(build("cnn6", 2, 1, "stride"), CHANNELS, SIDE)
        rate = args.samples_per_second * flops
        study = study.model_copy(update={"training_rate": rate})
        source = f"from {args.samples_per_second:,.0f} samples/s of cnn6"
    print(estimate(study).to_string())
    print(f"\nGPU hours train, at {study.training_rate:.2g} FLOP/s ({source}).")
    print(f"Core hours extract metrics on a CPU, at {CORE_RATE:.2g} FLOP/s a core.")


if __name__ == "__main__":
    run_stage(main)
