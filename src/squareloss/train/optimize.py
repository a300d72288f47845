"""Initial weights, learning-rate schedules and the optimiser."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from squareloss.spec import Recipe, Schedule
from squareloss.train.device import CPU, Settings


def initial_weight(
    shape: tuple[int, ...], law: str, scale: float, generator: torch.Generator
) -> Tensor:
    """One layer's weight W(0) = scale * law, float32.

    `default` is PyTorch's own: uniform within 1/sqrt(fan_in). `const_norm` is a normal draw
    rescaled to Frobenius norm 1, so that `scale` is the layer's norm.
    """
    weight = torch.empty(shape)
    if law == "default":
        fan_in = math.prod(shape[1:])
        weight.uniform_(-1, 1, generator=generator).mul_(1 / math.sqrt(fan_in))
    else:
        weight.normal_(generator=generator)
        weight /= weight.norm()
    return scale * weight


def learning_rate(
    schedule: Schedule, base: float, epoch: int, epochs: int, step: int, steps_per_epoch: int
) -> float:
    """Learning rate of a step; `epoch` and `step` count from 0 and `step` over the whole run.

    `cosine_per_epoch_of_total_steps` is a cosine over all steps that is advanced once an epoch: it
    hardly moves, and ends at the 0.0299 the paper prints (Figure 3).
    """
    total = epochs * steps_per_epoch
    if schedule.name == "cosine_per_step":
        return base * (1 + math.cos(math.pi * step / total)) / 2
    if schedule.name == "cosine_per_epoch_of_total_steps":
        return base * (1 + math.cos(math.pi * epoch / total)) / 2
    # Rounded to whole epochs: 0.28 * 25 is a little more than 7, which would come an epoch late.
    passed = sum(epoch >= round(milestone * epochs) for milestone in schedule.milestones)
    return base * schedule.factor**passed


def sgd(
    parameters: Sequence[Tensor],
    recipe: Recipe,
    learning_rate: float,
    weight_decay: float,
    settings: Settings = CPU,
) -> torch.optim.SGD:
    """SGD with momentum. The penalty lambda rho_top^2 belongs to the loss (`rho_penalty`); with
    `weight_decay_on: weights` it is lambda ||.||^2 of every parameter, whose gradient is
    2 lambda times the parameter.
    """
    decay = 2 * weight_decay if recipe.weight_decay_on == "weights" else 0.0
    device = parameters[0].device
    optimizer = torch.optim.SGD(
        parameters,
        # A recorded CUDA graph reads the rate from the device.
        lr=torch.tensor(learning_rate, device=device) if settings.recorded else learning_rate,
        momentum=recipe.momentum,
        weight_decay=decay,
        fused=settings.fused,
    )
    for p in parameters:
        # PyTorch would make the buffer in the first step. Zeros from the start give the same step,
        # and a state that can be saved before it.
        optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


def set_rate(optimizer: torch.optim.SGD, learning_rate: float) -> None:
    """Set the learning rate of the steps to come."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate


def rho_penalty(rho_top: Tensor, recipe: Recipe, weight_decay: float) -> Tensor:
    """lambda rho_top^2 of Eq. 1, or 0 where the decay acts through the optimiser."""
    return (weight_decay if recipe.weight_decay_on == "rho" else 0.0) * rho_top.square()
