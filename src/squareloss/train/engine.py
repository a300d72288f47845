"""The training engine: one replicate, its steps, and what it records.

The whole data set lies on the device and batches are index lists. A step is the forward pass, the
gradients, the step of SGD and the parametrisation's own part; it never waits for the device. On a
GPU the step is recorded once as a CUDA graph and replayed, every replicate on a stream of its own:
replicates overlap, and each runs the same kernels alone or in company. `squareloss.train.device`
does without any of that where it fails.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from squareloss.model.architecture import weight_shapes
from squareloss.spec import RunSpec, stream
from squareloss.train import snapshots
from squareloss.train.device import RecordedStep, Settings, own_stream
from squareloss.train.evaluate import LOSSES, loss_targets
from squareloss.train.history import Row, history_row
from squareloss.train.normalize import Model
from squareloss.train.optimize import initial_weight, learning_rate, rho_penalty, set_rate, sgd
from squareloss.train.training_data import TrainingData

# The precision of the matrix products in a training step. The weights that are kept and whatever is
# measured have float32, or float64.
PRODUCTS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
}


def initial_model(spec: RunSpec, data: TrainingData, replicate: int) -> Model:
    """The untrained network of a replicate.

    Its weights are drawn from a random stream of the replicate and of the shapes of the weights
    alone. Runs that differ in lambda, scale, normalisation or rate therefore start from the same
    draw, and comparing them replicate by replicate leaves out what the draw itself does.
    """
    recipe = spec.recipe
    layers = recipe.layers(data.classes)
    _, side, _, channels = data.train_x.shape
    shapes = weight_shapes(layers, channels, side)
    generator = torch.Generator().manual_seed(
        stream(spec.seed, replicate, "weights", json.dumps(shapes))
    )
    # Unit layer norms leave the scale no other place than the top scalar.
    scales_top = recipe.init_scale_on == "rho_top" or recipe.layer_norms == "unit"
    scale = spec.point.init_scale
    weights = [
        initial_weight(shape, recipe.init, 1.0 if scales_top else scale, generator).to(
            data.train_x.device,
            data.train_x.dtype,
            memory_format=torch.channels_last if len(shape) == 4 else torch.contiguous_format,
        )
        for shape in shapes
    ]
    rho_top = recipe.rho_top * (scale if scales_top else 1.0)
    products = PRODUCTS[recipe.precision]
    return Model(layers, weights, recipe.normalization, recipe.layer_norms, rho_top, products)


@contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Let a GPU's float32 products round their factors to 10 bits, or not, within the block."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = wanted
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


class Replicate:
    """One replicate of a run: its state in training, and the rows and snapshots kept so far."""

    def __init__(
        self, spec: RunSpec, data: TrainingData, replicate: int, settings: Settings
    ) -> None:
        recipe, point = spec.recipe, spec.point
        self.spec, self.data, self.replicate = spec, data, replicate
        self.model = initial_model(spec, data, replicate)
        self.optimizer = sgd(
            self.model.parameters(), recipe, point.learning_rate, point.weight_decay, settings
        )
        # The stream depends on N and the batch size alone, so that runs which differ in anything
        # else see the same batches.
        size = f"N={point.n_train} batch={point.batch_size}"
        self.order = torch.Generator().manual_seed(stream(spec.seed, replicate, "batches", size))
        self.labels = data.labels[replicate]
        self.targets = loss_targets(self.labels, data.classes, recipe.targets, data.train_x)
        self.evaluated = frozenset(recipe.evaluation_epochs())
        self.kept = frozenset(recipe.snapshot_epochs())
        self.before: list[Tensor] = []  # V_k one epoch before a snapshot
        self.way: list[Tensor] = []  # one entry a step since then: distances that V_k moved, (L,)
        self.rate = point.learning_rate
        self.stream = own_stream(settings)
        self.take_step: Callable[[Tensor], None] = self.step
        if settings.recorded and self.stream is not None:
            self.take_step = RecordedStep(
                self.step,
                state=lambda: list(self._tensors().values()),
                restored=self.model.parameters_to_weights,
                stream=self.stream,
            )

        self.epoch = -1  # the last one measured; 0 is before the first step
        self.rows: list[Row] = []
        self.snapshots: dict[str, Tensor] = {}
        self.diverged_at: int | None = None

    def gradients(self, batch: Tensor, share: float = 1.0) -> list[Tensor]:
        """Gradients of `share` times the loss on the samples of `batch` (B,), penalty included."""
        model, recipe = self.model, self.spec.recipe
        f = model.outputs(self.data.train_x[batch].permute(0, 3, 1, 2))
        loss = LOSSES[recipe.loss](f, self.targets[batch])
        penalty = rho_penalty(model.rho_top, recipe, self.spec.point.weight_decay)
        return list(torch.autograd.grad(share * (loss + penalty), model.differentiated()))

    def update(self, gradients: list[Tensor]) -> None:
        """The optimiser's step for these gradients."""
        self.model.gradients_to_parameters(gradients)
        self.optimizer.step()
        self.model.retract()
        self.model.parameters_to_weights()

    def step(self, batch: Tensor) -> None:
        """One step of SGD on the samples of `batch`."""
        self.update(self.gradients(batch))

    def train_epoch(self, epoch: int) -> None:
        """One pass over the training set; `epoch` counts from 1. A GPU is left working on it."""
        recipe, point = self.spec.recipe, self.spec.point
        n = len(self.labels)
        full_batch = recipe.optimizer == "gd"
        if self.stream is not None:
            # The data and the weights from a checkpoint were written on the stream that this is
            # called from; this replicate's stream must not read them before.
            self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), tf32(recipe.precision == "tf32"):
            order = torch.randperm(n, generator=self.order)
            if self.labels.is_cuda:  # copied without waiting for the steps before
                order = order.pin_memory().to(self.labels.device, non_blocking=True)
            batches = order.split(point.batch_size)
            steps = 1 if full_batch else len(batches)
            kept = epoch in self.kept
            if kept:
                self.before, self.way = self.model.directions(), []
            if full_batch:
                # The gradient of the whole set is the sum of the batches' gradients, each weighted
                # by its share of the samples.
                self._set_rate(epoch, 0, steps)
                parts = (self.gradients(batch, len(batch) / n) for batch in batches)
                gradients = [torch.stack(part).sum(0) for part in zip(*parts, strict=True)]
                self.update(gradients)
                if kept:
                    self.way.append(self._moved(self.before))
                return
            for i, batch in enumerate(batches):
                self._set_rate(epoch, i, steps)
                here = self.model.directions() if kept else []
                self.take_step(batch)
                if kept:
                    self.way.append(self._moved(here))

    @torch.no_grad()
    def _moved(self, start: list[Tensor]) -> Tensor:
        """||V_k - start_k|| of every layer, (L,), on the device of the weights."""
        pairs = zip(self.model.directions(), start, strict=True)
        return torch.stack([(now - old).norm() for now, old in pairs])

    def _set_rate(self, epoch: int, i: int, steps: int) -> None:
        recipe = self.spec.recipe
        rate = learning_rate(
            recipe.schedule,
            self.spec.point.learning_rate,
            epoch - 1,
            recipe.epochs,
            (epoch - 1) * steps + i,
            steps,
        )
        if rate != self.rate:
            set_rate(self.optimizer, rate)
            self.rate = rate

    def measure(self, epoch: int) -> None:
        """Record the row of `history` and the snapshot of `epoch`, if it has them.

        A replicate whose loss or rho is not finite has diverged and is not trained further.
        """
        if epoch in self.evaluated:
            row = self._row(epoch)
            if math.isfinite(row["train_loss"]) and math.isfinite(row["rho"]):
                self.rows.append(row)
                if epoch in self.kept:
                    self._keep(epoch)
            else:
                self.diverged_at = epoch
        self.epoch = epoch

    def _row(self, epoch: int) -> Row:
        """One row of `history`."""
        identity = {"replicate": self.replicate, "epoch": epoch, "current_lr": self.rate}
        return identity | history_row(self.model.network(), self.spec, self.data, self.labels)

    @torch.no_grad()
    def _keep(self, epoch: int) -> None:
        """Keep the network, and how far each V_k came in the last epoch."""
        undefined = torch.full((len(self.model.layers),), math.nan)
        tensors = snapshots.tensors_of(
            self.model.network(),
            update_norm=self._moved(self.before) if self.before else undefined,
            step_norm=torch.stack(self.way).mean(0) if self.way else undefined,
        )
        for name, tensor in tensors.items():
            self.snapshots[snapshots.key(self.replicate, epoch, name)] = tensor

    def _tensors(self) -> dict[str, Tensor]:
        """The tensors that a step changes, by name; `weights` and `radii` follow from them."""
        model = self.model
        tensors = {"rho_top": model.rho_top}
        tensors |= {f"master{k}": v for k, v in enumerate(model.masters, start=1)}
        for k, (mean, var) in enumerate(model.running, start=1):
            tensors |= {f"running_mean{k}": mean, f"running_var{k}": var}
        for k, p in enumerate(model.parameters(), start=1):
            tensors[f"momentum{k}"] = self.optimizer.state[p]["momentum_buffer"]
        return tensors

    def state(self) -> dict[str, Tensor]:
        """All that the epochs to come depend on, as tensors on the CPU."""
        if self.stream is not None:
            self.stream.synchronize()
        tensors = {k: t.detach().cpu().contiguous() for k, t in self._tensors().items()}
        return tensors | {"order": self.order.get_state()}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to what `state` returned."""
        self.order.set_state(state["order"])
        for name, tensor in self._tensors().items():
            tensor.copy_(state[name])
        self.model.parameters_to_weights()


@dataclass
class Block:
    """The replicates of one job, and how long they have trained."""

    replicates: dict[int, Replicate]
    on_gpu: bool = False
    seconds: float = 0.0  # in training steps, of all replicates
    samples: int = 0
