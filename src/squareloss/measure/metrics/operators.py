"""Layers as the matrices they apply to a whole image, which the classical bounds are about.

A convolution's matrix holds its kernel once for each position. It is never formed here.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from squareloss.model.architecture import Conv, Layer


def sides(layers: Sequence[Layer], side: int) -> list[int]:
    """Side of the square image that each layer takes; 1 for dense layers."""
    found = []
    for layer in layers:
        found.append(side if isinstance(layer, Conv) else 1)
        side = layer.side(side) if isinstance(layer, Conv) else 1
    return found


def copies(layer: Layer, side: int) -> int:
    """At how many positions a layer applies its weights to an image of `side` pixels a side."""
    return layer.positions(side) ** 2 if isinstance(layer, Conv) else 1


def degrees(layers: Sequence[Layer], side: int) -> tuple[int, ...]:
    """From how many positions each layer takes its input: k^2 pixels, or all that a map has.

    A dense layer takes one input vector from another dense layer, or from the image.
    """
    found, positions = [], 1
    for layer in layers:
        if isinstance(layer, Conv):
            found.append(layer.kernel**2)
            side = layer.side(side)
            positions = side**2
        else:
            found.append(positions)
            positions = 1
    return tuple(found)


def input_share(layers: Sequence[Layer], x: Tensor) -> float:
    """Mean square norm of what one input position of the first layer holds, over max ||x||^2.

    A position is a pixel with its channels, that with the largest mean; the whole image if the
    first layer is dense. `x`: (N, channels, side, side).
    """
    squares = x.double().square()
    largest = squares.sum((1, 2, 3)).max()
    held = squares.sum(1) if isinstance(layers[0], Conv) else squares.sum((1, 2, 3))
    return float(held.mean(0).max() / largest)


def overlap(layers: Sequence[Layer], side: int) -> float:
    """Mean number of patches that hold a pixel, K / (K - O) on a large image, of the layer with
    the most; 1 if no layer's patches overlap.
    """
    pairs = zip(layers, sides(layers, side), strict=True)
    uses = [copies(c, s) * c.kernel**2 / s**2 for c, s in pairs if isinstance(c, Conv)]
    return max([1.0, *uses])


def spectral_norm(layer: Layer, weight: Tensor, side: int) -> float:
    """Largest singular value of the matrix A that a layer applies, in float64.

    A convolution's by Lanczos iteration. NaN if a weight is not finite.
    """
    w = weight.double()
    if not w.isfinite().all():
        return torch.nan
    if not w.any():
        return 0.0  # Lanczos iteration cannot start
    if not isinstance(layer, Conv):
        return torch.linalg.matrix_norm(w, 2).item()
    shape = (1, w.shape[1], side, side)

    def gram(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """A^T A x."""
        x = torch.from_numpy(vector).reshape(shape)
        y = F.conv2d(x, w, stride=layer.stride)
        lost = (side - layer.kernel) % layer.stride  # pixels at the edge that no patch holds
        back = F.conv_transpose2d(y, w, stride=layer.stride, output_padding=lost)
        return back.flatten().numpy()

    n = prod(shape)
    start = np.linspace(1, 2, n)  # fixed, so that the same weights give the same bits
    operator = LinearOperator((n, n), matvec=gram, dtype=np.float64)
    (largest,) = eigsh(operator, k=1, v0=start, tol=1e-8, return_eigenvectors=False)
    return float(max(largest, 0.0)) ** 0.5


def spectral_complexity(layers: Sequence[Layer], weights: Sequence[Tensor], side: int) -> float:
    """R_A of Bartlett et al. 2017, Eq. (1.2), with reference matrices 0.

    prod_i s_i (sum_i (b_i / s_i)^(2/3))^(3/2), s_i the spectral norm of a layer's matrix and b_i
    the sum of the norms of its rows. NaN if a layer is zero.
    """
    total, product = 0.0, 1.0
    for layer, weight, s in zip(layers, weights, sides(layers, side), strict=True):
        spectral = spectral_norm(layer, weight, s)
        rows = copies(layer, s) * weight.double().flatten(1).norm(dim=1).sum().item()
        if spectral == 0:
            return torch.nan
        product *= spectral
        total += (rows / spectral) ** (2 / 3)
    return float(product * total**1.5)


def widest(layers: Sequence[Layer], weights: Sequence[Tensor], side: int) -> int:
    """Largest number of units of a layer, the input included."""
    units = [weights[0].shape[1] * sides(layers, side)[0] ** 2]
    for layer, weight, s in zip(layers, weights, sides(layers, side), strict=True):
        units.append(copies(layer, s) * weight.shape[0])
    return max(units)
