"""How much of each dense layer its inputs use.

The gradient of the loss has no part in directions that no input has. There weights stay what they
were at the start, but for the normalisation, which shrinks them in step with all others.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import nan

import torch
from torch import Tensor

from squareloss.model.architecture import BATCH, Layer, Linear
from squareloss.model.network import Network

LEAST = 1e-4  # of the inputs' largest mean square along a direction; less is not use


def used_shares(network: Network, x: Tensor, of_images: Tensor | None) -> list[float]:
    """Share of each layer's ||W||_F^2 in the directions that its inputs use, for the images `x`.

    `x`: (N, channels, side, side) float32; `of_images`: `used_by_images` of the same. NaN for
    convolutions, and for what is not finite.
    """
    squares: dict[int, Tensor] = {}
    for part in x.split(BATCH):
        found = pairwise(network.activations(part))
        for k, (h, _) in enumerate(found, start=1):  # the input of layer k, from 0
            if isinstance(network.layers[k], Linear):
                h = h.flatten(1).double()
                squares[k] = squares.get(k, 0) + h.T @ h
    used = {k: in_use(sums)[1] for k, sums in squares.items() if sums.isfinite().all()}
    if of_images is not None:
        used[0] = of_images
    return [
        used_share(weight.double(), used[k]) if k in used else nan
        for k, weight in enumerate(network.weights)
    ]


def used_by_images(layers: Sequence[Layer], x: Tensor) -> Tensor | None:
    """Directions (p, k) float64 that the images use as inputs of a dense first layer, else None.

    They are the same for every network on these images, and take seconds for 3,072 numbers each.
    """
    if not isinstance(layers[0], Linear):
        return None
    return in_use(sum(h.T @ h for h in (part.flatten(1).double() for part in x.split(BATCH))))[1]


def used_share(weight: Tensor, used: Tensor) -> float:
    """The share for one layer (out, in), whose inputs use the directions `used` (in, k)."""
    return ((weight @ used).norm() / weight.norm()).square().item()


def in_use(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squares (k,) along the directions (p, k) that vectors use, of `squares` (p, p).

    `squares` is the sum of h h^T over the vectors, finite; a direction is used that holds more than
    `LEAST` of what the largest holds. What the others hold is rounding and chance.
    """
    along, directions = torch.linalg.eigh(squares)
    kept = along > LEAST * along.max()
    return along[kept], directions[:, kept]
