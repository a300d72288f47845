"""The training job: one block of replicates of a run, from a prepared split to its snapshots.

    python -m squareloss.train --spec JSON --data SPLIT --run run.json \
        --snapshots snapshots.safetensors --history history.parquet

Each replicate draws its initial weights and batch order from streams of its own, so it takes the
same course alone or in company. A replicate whose outputs stop being finite is recorded as
diverged: its later rows are NaN, and the job succeeds.
"""

import argparse
import json
import math
import platform
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

import squareloss
from squareloss.data.split import Split, inputs, read_split
from squareloss.errors import run_stage
from squareloss.evaluate import LOSSES, error, margins, moments, targets
from squareloss.files import whole
from squareloss.layers import build, weight_shapes
from squareloss.normalize import Model, product_norm
from squareloss.optimize import initial_weight, learning_rate, rho_penalty, sgd
from squareloss.spec import RunSpec, canonical_json, stream
from squareloss.tables.history import HISTORY

EVALUATION_BATCH = 500  # bounds the memory of a forward pass; the sums are over samples alone
LOG_LINES = 20  # of a replicate, where no terminal shows a progress bar

Row = dict[str, Any]


@dataclass(frozen=True)
class TrainingData:
    """A prepared split as tensors on the device; `labels` are those one replicate trains on."""

    train_x: (
        Tensor  # (N, side, side, channels) float32: channels last is what CPUs convolve fastest
    )
    train_labels: Tensor  # (N,) int64
    train_targets: Tensor  # (N, C) float32
    test_x: Tensor
    test_labels: Tensor
    classes: int


@dataclass
class Result:
    """What a replicate leaves: rows of `history`, weights at the snapshot epochs, how it went."""

    rows: list[Row] = field(default_factory=list)
    snapshots: dict[str, Tensor] = field(default_factory=dict)
    diverged_at: int | None = None
    seconds: float = 0.0
    samples: int = 0


def load_data(spec: RunSpec, split: Split, replicate: int, device: torch.device) -> TrainingData:
    """Tensors of the split for one replicate of the block."""
    train_x, test_x = inputs(split, spec.recipe.images)
    labels = torch.from_numpy(split.noisy_labels[spec.replicates.index(replicate)]).to(device)

    def images(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).permute(0, 2, 3, 1).contiguous().to(device)

    return TrainingData(
        train_x=images(train_x),
        train_labels=labels,
        train_targets=targets(labels, split.classes),
        test_x=images(test_x),
        test_labels=torch.from_numpy(split.test_labels).to(device),
        classes=split.classes,
    )


def initial_model(spec: RunSpec, data: TrainingData, replicate: int, name: str) -> Model:
    """The untrained network of a replicate; `name` is the run's, part of the stream's name."""
    recipe = spec.recipe
    layers = build(recipe.network, data.classes, recipe.width, recipe.downsample)
    _, side, _, channels = data.train_x.shape
    generator = torch.Generator().manual_seed(stream(spec.seed, replicate, name, "weights"))
    weights = [
        initial_weight(shape, recipe.init, spec.point.init_scale, generator)
        for shape in weight_shapes(layers, channels, side)
    ]
    # Unit layer norms leave the scale no other place than the top scalar.
    rho_top = recipe.rho_top * (spec.point.init_scale if recipe.layer_norms == "unit" else 1.0)
    weights = [
        w.to(data.train_x.device, memory_format=torch.channels_last)
        if w.ndim == 4
        else w.to(data.train_x.device)
        for w in weights
    ]
    return Model(layers, weights, recipe.normalization, recipe.layer_norms, rho_top)


@torch.no_grad()
def all_outputs(model: Model, x: Tensor) -> Tensor:
    """f_W (N, C) of every image, in evaluation mode."""
    return torch.cat(
        [model.outputs(part.permute(0, 3, 1, 2)) for part in x.split(EVALUATION_BATCH)]
    )


def evaluate(model: Model, spec: RunSpec, data: TrainingData, epoch: int, lr: float) -> Row:
    """One row of `history`: everything measured on the whole training and test set."""
    loss = LOSSES[spec.recipe.loss]
    train, test = all_outputs(model, data.train_x), all_outputs(model, data.test_x)
    rho_top = model.rho_top.item()
    scale = product_norm(model.weights, model.normalization)
    rho = abs(rho_top) * scale
    f_v = train / rho  # the sign of rho_top is folded into V_L, so f_W = rho f_V with rho > 0
    margin = margins(f_v, data.train_labels).double()
    mu, m = moments(f_v, data.train_labels)
    return {
        "epoch": epoch,
        "classes": data.classes,
        "train_loss": loss(train, data.train_targets).item(),
        "train_error": error(train, data.train_labels),
        "test_loss": loss(test, targets(data.test_labels, data.classes)).item(),
        "test_error": error(test, data.test_labels),
        "current_lr": lr,
        "rho": rho,
        "rho_top": rho_top,
        "lambda_eff": spec.point.weight_decay * (1 / scale) * (1 / scale) if scale else math.nan,
        "mu": mu,
        "M": m,
        "mean_margin": margin.mean().item(),
        "margin_sd": margin.std(correction=0).item(),
        "min_margin": margin.min().item(),
    }


def _kept(tensor: Tensor) -> Tensor:
    """A copy on the CPU that later steps do not change."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def snapshot(model: Model, before: list[Tensor] | None) -> dict[str, Tensor]:
    """Weights W_k and rho_top now, and how far each V_k is from `before` (NaN without one)."""
    with torch.no_grad():
        weights = [_kept(w) for w in model.weights]
        update = [
            math.nan if before is None else (w / w.norm() - old).norm().item()
            for w, old in zip(weights, before or weights, strict=True)
        ]
    tensors = {f"weight{k}": w for k, w in enumerate(weights, start=1)}
    for k, (mean, var) in enumerate(
        zip(model.running_mean, model.running_var, strict=True), start=1
    ):
        tensors |= {f"running_mean{k}": _kept(mean), f"running_var{k}": _kept(var)}
    return tensors | {
        "rho_top": _kept(model.rho_top).reshape(1),
        "update_norm": torch.tensor(update),
    }


def directions(model: Model) -> list[Tensor]:
    """V_k of every layer, on the CPU."""
    return [(w / w.norm()).detach().cpu() for w in model.weights]


def train_epoch(
    model: Model,
    optimizer: torch.optim.SGD,
    spec: RunSpec,
    data: TrainingData,
    epoch: int,
    order: torch.Generator,
) -> None:
    """One pass over the training set; `epoch` counts from 0."""
    recipe, point = spec.recipe, spec.point
    loss = LOSSES[recipe.loss]
    n = len(data.train_x)
    batches = torch.randperm(n, generator=order).to(data.train_x.device).split(point.batch_size)
    full_batch = recipe.optimizer == "gd"
    steps = 1 if full_batch else len(batches)
    for i, batch in enumerate(batches):
        f = model.outputs(data.train_x[batch].permute(0, 3, 1, 2), training=True)
        # Full-batch GD sums the batches' gradients, each weighted by its share of the samples.
        share = len(batch) / n if full_batch else 1.0
        penalty = rho_penalty(model.rho_top, recipe, point.weight_decay)
        (share * (loss(f, data.train_targets[batch]) + penalty)).backward()
        if full_batch and i < len(batches) - 1:
            continue
        step = epoch * steps + (0 if full_batch else i)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                recipe.schedule, point.learning_rate, epoch, recipe.epochs, step, steps
            )
        model.gradients_to_parameters()
        optimizer.step()
        model.parameters_to_weights()
        optimizer.zero_grad()


def train_replicate(spec: RunSpec, data: TrainingData, replicate: int) -> Result:
    """Train one replicate from its initial weights to the last epoch, or until it diverges."""
    name = canonical_json(spec.point)
    recipe = spec.recipe
    model = initial_model(spec, data, replicate, name)
    optimizer = sgd(model.parameters(), recipe, spec.point.learning_rate, spec.point.weight_decay)
    order = torch.Generator().manual_seed(stream(spec.seed, replicate, name, "batches"))
    evaluated, kept = recipe.evaluation_epochs(), set(recipe.snapshot_epochs())
    result = Result()
    terminal = sys.stderr.isatty()
    bar = tqdm(
        total=recipe.epochs, desc=f"replicate {replicate}", unit="epoch", disable=not terminal
    )
    before = None
    for epoch in range(recipe.epochs + 1):
        if epoch > 0:
            before = directions(model) if epoch in kept else None
            start = time.perf_counter()
            train_epoch(model, optimizer, spec, data, epoch - 1, order)
            result.seconds += time.perf_counter() - start
            result.samples += len(data.train_x)
            bar.update()
        if epoch not in evaluated:
            continue
        row = evaluate(model, spec, data, epoch, optimizer.param_groups[0]["lr"])
        # The square loss overflows before the weights do; an infinite loss is divergence too.
        if not math.isfinite(row["train_loss"]):
            result.diverged_at = epoch
            print(f"replicate {replicate}: diverged at epoch {epoch}", file=sys.stderr)
            break
        result.rows.append(row | {"replicate": replicate})
        if epoch in kept:
            tensors = snapshot(model, before)
            result.snapshots |= {f"{replicate}/{epoch}/{key}": t for key, t in tensors.items()}
        bar.set_postfix_str(_summary(row))
        if not terminal and (epoch * LOG_LINES // recipe.epochs) > (
            (epoch - recipe.evaluate_every) * LOG_LINES // recipe.epochs
        ):
            print(f"replicate {replicate} epoch {epoch}: {_summary(row)}", file=sys.stderr)
    bar.close()
    _fill_after_divergence(result, spec, replicate, data.classes)
    return result


def _summary(row: Row) -> str:
    return (
        f"loss {row['train_loss']:.3g} rho {row['rho']:.4g} "
        f"train error {row['train_error']:.3f} test error {row['test_error']:.3f}"
    )


def _fill_after_divergence(result: Result, spec: RunSpec, replicate: int, classes: int) -> None:
    """NaN rows for the epochs a diverged replicate did not reach."""
    done = {row["epoch"] for row in result.rows}
    missing = {column.name: math.nan for column in HISTORY.columns if column.type == "float64"}
    for epoch in spec.recipe.evaluation_epochs():
        if epoch not in done:
            known = {"replicate": replicate, "epoch": epoch, "classes": classes}
            result.rows.append(known | missing)


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def record(spec: RunSpec, results: dict[int, Result], device: torch.device, wall: float) -> Row:
    """What run.json says: the spec, how each replicate went, and on what."""
    seconds = sum(result.seconds for result in results.values())
    samples = sum(result.samples for result in results.values())
    return {
        "spec": spec.model_dump(),
        "diverged_at": {str(r): result.diverged_at for r, result in results.items()},
        "diverged": any(result.diverged_at is not None for result in results.values()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": spec.threads,
        "wall_seconds": round(wall, 3),
        "samples_per_second": round(samples / seconds, 1) if samples else None,
        "squareloss": squareloss.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def train_block(spec: RunSpec, split: Split) -> tuple[dict[int, Result], Row]:
    """Train every replicate of the block; results by replicate, and the record of the run."""
    start = time.perf_counter()
    torch.set_num_threads(spec.threads)
    # On a GPU, convolutions would use tf32 by default and disagree with the metrics' float32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    device = choose_device(spec.device)
    results = {}
    for replicate in spec.replicates:
        data = load_data(spec, split, replicate, device)
        results[replicate] = train_replicate(spec, data, replicate)
    return results, record(spec, results, device, time.perf_counter() - start)


def main() -> None:
    """Command line of the training job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("spec", "data", "run", "snapshots", "history"):
        parser.add_argument(f"--{option}", required=True)
    args = parser.parse_args()
    spec = RunSpec.model_validate_json(args.spec)
    results, run = train_block(spec, read_split(args.data))
    snapshots = {key: t for result in results.values() for key, t in result.snapshots.items()}
    rows = [row for result in results.values() for row in result.rows]
    with whole(args.snapshots) as temporary:
        safetensors.torch.save_file(snapshots, temporary)
    HISTORY.write(args.history, spec.point, rows)
    with whole(args.run) as temporary:
        temporary.write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    run_stage(main)
