"""How much of each dense layer its inputs use.

The gradient of the loss has no part in directions that no input has. There weights stay what they
were at the start, but for the normalisation, which shrinks them in step with all others.
"""

from collections.abc import Sequence
from math import nan

import torch
from torch import Tensor

from squareloss.architecture import BATCH, Layer, Linear
from squareloss.layers import activations

LEAST = 1e-4  # of the inputs' largest mean square along a direction; less is not use


def used_shares(
    layers: Sequence[Layer],
    weights: Sequence[Tensor],
    running: Sequence[tuple[Tensor, Tensor]],
    x: Tensor,
) -> list[float]:
    """Share of each layer's ||W||_F^2 in the directions that its inputs use, for the images `x`.

    `x`: (N, channels, side, side) float32. NaN for convolutions, and for what is not finite.
    """
    squares: dict[int, Tensor] = {}
    for part in x.split(BATCH):
        h = part
        with torch.no_grad():
            for k, after in enumerate(activations(layers, weights, part, running)):
                if isinstance(layers[k], Linear):
                    h = h.flatten(1).double()
                    squares[k] = squares.get(k, 0) + h.T @ h
                h = after
    return [
        used_share(weight.double(), squares[k]) if k in squares else nan
        for k, weight in enumerate(weights)
    ]


def used_share(weight: Tensor, squares: Tensor) -> float:
    """The share for one layer (out, in), `squares` (in, in) the sum of h h^T over its inputs h."""
    if not squares.isfinite().all():
        return nan
    _, used = in_use(squares)
    return ((weight @ used).norm() / weight.norm()).square().item()


def in_use(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squares (k,) along the directions (p, k) that vectors use, of `squares` (p, p).

    `squares` is the sum of h h^T over the vectors, finite; a direction is used that holds more than
    `LEAST` of what the first holds. What the others hold is rounding and chance.
    """
    along, directions = torch.linalg.eigh(squares)
    kept = along > LEAST * along.max()
    return along[kept], directions[:, kept]
