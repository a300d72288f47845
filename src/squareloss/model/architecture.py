"""Networks as tuples of layers: what they are made of, before any weight.

Imports no torch, since planning a study asks how large its networks are.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

# Images in one forward pass where a network is evaluated: bounds the memory, and changes the last
# digits of a sum and nothing else.
BATCH = 500


@dataclass(frozen=True)
class Conv:
    """Convolution without padding; `pool` > 1 adds max-pooling after the ReLU."""

    channels: int
    kernel: int = 3
    stride: int = 1
    pool: int = 1

    def positions(self, side: int) -> int:
        """How many places the kernel takes along an input image's side of `side` pixels."""
        return (side - self.kernel) // self.stride + 1

    def side(self, side: int) -> int:
        """Side of the output image for a square input of `side` pixels."""
        return self.positions(side) // self.pool


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


def flops_per_sample(layers: Sequence[Layer], channels: int, side: int) -> int:
    """Floating-point operations of a training step, per sample: forward, and twice that backward.

    The first layer needs no gradient of its input. A multiplication and an addition are two.
    """
    total = 0
    for k, (layer, shape) in enumerate(
        zip(layers, weight_shapes(layers, channels, side), strict=True)
    ):
        places = 1
        if isinstance(layer, Conv):
            places = layer.positions(side) ** 2
            side = layer.side(side)
        total += 2 * prod(shape) * places * (2 if k == 0 else 3)
    return total


def build(network: str, classes: int, width: float, downsample: str) -> tuple[Layer, ...]:
    """Layers of the architecture in `squareloss.model.networks.<network>`."""
    module = importlib.import_module(f"squareloss.model.networks.{network}")
    layers: tuple[Layer, ...] = module.layers(classes, width, downsample)
    return layers
