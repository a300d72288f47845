"""Training steps that compete with today's on a GPU, for `squareloss.machine.benchmark_step`.

A candidate takes the step of all replicates of a run. What it has to choose on a device it looks up
in `choices`, and measures only what is not there: so another process can be told to choose the
same.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from squareloss.data.split import Split
from squareloss.model.architecture import Conv
from squareloss.spec import RunSpec
from squareloss.train.engine import Replicate, tf32
from squareloss.train.job import prepare
from squareloss.train.normalize import Model

Choices = dict[str, Any]  # by name: what was chosen, as JSON has it
State = list[list[Tensor]]  # of every replicate: its masters, as models have them, and rho_top

COSTLY = 2  # convolutions whose weight gradients are taken as products of patches
CALLS = 10  # of what is timed alone, in one recording


@dataclass(frozen=True)
class Candidate:
    """A run's replicates, and how they take a step."""

    step: Callable[[Tensor], None]  # on the samples (R, B) int64
    state: Callable[[], State]
    parts: Callable[[], dict[str, float]]  # seconds that each part of a step takes; the last call


def today(spec: RunSpec, split: Split, precision: str, choices: Choices) -> Candidate:
    """The engine's step: a recording for each replicate, on a stream of its own."""
    replicates = list(prepare(spec, split).replicates.values())
    return _of_replicates(replicates)


def _of_replicates(replicates: Sequence[Replicate]) -> Candidate:
    def step(batch: Tensor) -> None:
        for replicate, samples in zip(replicates, batch, strict=True):
            wanted = replicate.spec.recipe.precision == "tf32"
            with torch.cuda.stream(replicate.stream), tf32(wanted):
                replicate.take_step(samples)

    def state() -> State:
        wait()
        return [[*r.model.masters, r.model.rho_top.detach()] for r in replicates]

    return Candidate(step, state, partial(_parts, replicates))


def autotuned(spec: RunSpec, split: Split, precision: str, choices: Choices) -> Candidate:
    """Today's step with the algorithms that cuDNN finds fastest among its deterministic ones.

    PyTorch cannot be told which to take: what it chose can be seen in the names of the kernels that
    ran, and the next process may choose otherwise. It keeps a choice for the whole process, so this
    needs one that has taken no other step.
    """
    torch.backends.cudnn.benchmark = True
    return today(spec, split, precision, choices)


class _GatheredConv(torch.autograd.Function):
    """A convolution whose weight gradient is one product of gathered patches."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        dx = None
        if ctx.needs_input_grad[0]:
            dx = cudnn_gradients(x, weight, gradients[0], ctx.stride, (True, False))[0]
        return dx, gathered_weight_gradient(x, weight, gradients[0], ctx.stride), None


def _convolved(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return F.conv2d(x, weight, stride=stride)


def gathered_weight_gradient(x: Tensor, weight: Tensor, dz: Tensor, stride: int) -> Tensor:
    """The gradient by `weight` (O, I, k, k) as (O, B o o) times (B o o, k k I), channels last.

    `x` (B, I, side, side), `dz` (B, O, o, o), both channels last in memory.
    """
    outputs, inputs, k, _ = weight.shape
    windows = x.permute(0, 2, 3, 1).unfold(1, k, stride).unfold(2, k, stride)  # (B, o, o, I, k, k)
    patches = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, k * k * inputs)
    found = dz.permute(0, 2, 3, 1).reshape(-1, outputs).T @ patches
    return found.view(outputs, k, k, inputs).permute(0, 3, 1, 2)


def cudnn_gradients(
    x: Tensor, weight: Tensor, dz: Tensor, stride: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """The gradients by input and by weight that PyTorch takes, those that are wanted."""
    two, none = [stride, stride], [0, 0]
    found = torch.ops.aten.convolution_backward(
        dz, x, weight, None, two, none, [1, 1], False, none, 1, [*wanted, False]
    )
    return found[0], found[1]


def gathered(spec: RunSpec, split: Split, precision: str, choices: Choices) -> Candidate:
    """Today's step with the costliest weight gradients as products of gathered patches."""
    replicates = list(prepare(spec, split).replicates.values())
    key = f"gathered {precision}"
    if key not in choices:
        with tf32(precision == "tf32"):
            choices[key] = costliest(replicates[0])
    for replicate in replicates:
        # Before the first step, which is what is recorded.
        replicate.model.outputs = partial(_outputs, replicate.model, choices[key])  # type: ignore[method-assign]
    return _of_replicates(replicates)


def _outputs(model: Model, chosen: Sequence[int], x: Tensor) -> Tensor:
    """`Model.outputs` without batch norm, with the convolutions `chosen` gathered."""
    x = x.to(model.weights[0].dtype)
    last = len(model.layers) - 1
    for k, (layer, weight) in enumerate(zip(model.layers, model.weights, strict=True)):
        if not isinstance(layer, Conv):
            x = F.linear(x.flatten(1), weight)
        elif k in chosen:
            x = _GatheredConv.apply(x, weight, layer.stride)
        else:
            x = F.conv2d(x, weight, stride=layer.stride)
        x = x if k == last else torch.relu(x)
        if isinstance(layer, Conv) and layer.pool > 1:
            x = F.max_pool2d(x, layer.pool)
    return model.rho_top * x.to(model.rho_top.dtype)


def costliest(replicate: Replicate) -> list[int]:
    """The convolutions whose weight gradients take longest by cuDNN, measured one by one."""
    calls, layers = _calls(replicate), replicate.model.layers
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, Conv)]
    taken = {k: seconds(calls[f"weight gradient {k}"]) for k in convolutions}
    return sorted(sorted(taken, key=lambda k: -taken[k])[:COSTLY])


def _parts(replicates: Sequence[Replicate]) -> dict[str, float]:
    """Seconds of each product and of the optimiser, replicate after replicate, on one stream.

    Leaves weights that mean nothing.
    """
    model, found = replicates[0].model, {}
    with tf32(replicates[0].spec.recipe.precision == "tf32"):
        for name, call in _calls(replicates[0]).items():
            found[name] = seconds(call) * len(replicates)
    gradients = [torch.ones_like(w) for w in model.differentiated()]
    found["optimiser"] = seconds(partial(replicates[0].update, gradients)) * len(replicates)
    return found


def _calls(replicate: Replicate) -> dict[str, Callable[[], object]]:
    """Every product of a replicate's step, as PyTorch takes it, on numbers that it could have."""
    model = replicate.model
    x = replicate.data.train_x[: replicate.spec.point.batch_size].permute(0, 3, 1, 2)
    x = x.to(model.weights[0].dtype)
    found: dict[str, Callable[[], object]] = {}
    for k, layer in enumerate(model.layers):
        weight = model.weights[k].detach()
        forward: Callable[[], Tensor]
        by_x: Callable[[], object]
        by_weight: Callable[[], object]
        if isinstance(layer, Conv):
            forward = partial(_convolved, x, weight, layer.stride)
            z = forward()
            gradients = partial(cudnn_gradients, x, weight, z, layer.stride)
            by_x, by_weight = partial(gradients, (True, False)), partial(gradients, (False, True))
        else:
            x = x.flatten(1)
            forward = partial(F.linear, x, weight)
            z = forward()
            by_x, by_weight = partial(z.mm, weight), partial(z.T.mm, x)
        found |= {f"forward {k}": forward, f"weight gradient {k}": by_weight}
        if k:
            found[f"input gradient {k}"] = by_x
        x = torch.relu(z)
        if isinstance(layer, Conv) and layer.pool > 1:
            x = F.max_pool2d(x, layer.pool)
    return found


def seconds(call: Callable[[], object]) -> float:
    """What a call takes, after one that is not counted; on a GPU of CALLS in a recording."""
    call()
    wait()
    if not torch.cuda.is_available():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    graph.replay()
    begun.record()
    graph.replay()
    ended.record()
    wait()
    return begun.elapsed_time(ended) / 1000 / CALLS


def wait() -> None:
    """Until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
