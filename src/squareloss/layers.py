"""Homogeneous ReLU networks f_W(x) = W_L relu(W_{L-1} ... relu(W_1 x)), without biases.

A network is a tuple of layers and the weights are passed in, so that training, the metrics and the
tests run the same function on whatever weights they hold.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Conv:
    """Convolution without padding; `pool` > 1 adds max-pooling after the ReLU."""

    channels: int
    kernel: int = 3
    stride: int = 1
    pool: int = 1

    def side(self, side: int) -> int:
        """Side of the output image for a square input of `side` pixels."""
        return ((side - self.kernel) // self.stride + 1) // self.pool


@dataclass(frozen=True)
class Linear:
    """Dense layer on the flattened input."""

    units: int


Layer = Conv | Linear


def scaled(units: int, width: float) -> int:
    """`units` times `width`, at least 1."""
    return max(1, round(units * width))


def weight_shapes(layers: Sequence[Layer], channels: int, side: int) -> list[tuple[int, ...]]:
    """Shape of each weight for (channels, side, side) images: (out, in, k, k) or (out, in).

    Raises `ValueError` if the image is too small for the network.
    """
    shapes: list[tuple[int, ...]] = []
    inputs = channels * side * side
    for layer in layers:
        if isinstance(layer, Conv):
            shapes.append((layer.channels, channels, layer.kernel, layer.kernel))
            channels, side = layer.channels, layer.side(side)
            if side < 1:
                raise ValueError(f"the image is too small for layer {len(shapes)}")
            inputs = channels * side * side
        else:
            shapes.append((layer.units, inputs))
            inputs = layer.units
    return shapes


def forward(
    layers: Sequence[Layer],
    weights: Sequence[Tensor],
    x: Tensor,
    running: Sequence[tuple[Tensor, Tensor]] = (),
    training: bool = False,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, C) and features h (B, p), the input of the last layer.

    `x`: (B, channels, side, side) float. With `running`, the mean and variance of each hidden
    layer's units, hidden pre-activations are standardised (batch norm without affine parameters):
    with the batch's own statistics, which update `running`, if `training`.
    """
    last = len(layers) - 1
    for k, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
        if isinstance(layer, Conv):
            z = F.conv2d(x, weight, stride=layer.stride)
        else:
            x = x.flatten(1)
            if k == last:
                break
            z = F.linear(x, weight)
        x = torch.relu(F.batch_norm(z, *running[k], training=training) if running else z)
        if isinstance(layer, Conv) and layer.pool > 1:
            x = F.max_pool2d(x, layer.pool)
    return F.linear(x, weights[-1]), x


def build(network: str, classes: int, width: float, downsample: str) -> tuple[Layer, ...]:
    """Layers of the architecture in `squareloss.networks.<network>`."""
    module = importlib.import_module(f"squareloss.networks.{network}")
    layers: tuple[Layer, ...] = module.layers(classes, width, downsample)
    return layers
