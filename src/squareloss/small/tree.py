"""Theorem 4: the Rademacher complexity of binary-tree networks, by exhaustive search.

A tree of depth L takes x in R^(2^L). Each layer applies one kernel of 2 weights to all pairs of
neighbours, and every layer but the last is followed by a ReLU. By homogeneity a network of product
norm rho is rho times one whose kernels have norm 1, (cos t, sin t), so a grid over L angles covers
the class.
"""

from itertools import product
from math import pi

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def tree(kernels: Array, x: Array) -> Array:
    """Outputs (m,) of the tree with `kernels` (L, 2) for samples `x` (m, 2^L)."""
    for layer, kernel in enumerate(kernels):
        x = x[:, 0::2] * kernel[0] + x[:, 1::2] * kernel[1]
        if layer < len(kernels) - 1:
            x = np.maximum(x, 0)
    return x[:, 0]


def rademacher_complexity(x: Array, angles: int) -> tuple[float, float]:
    """Empirical Rademacher complexity E sup_h |sum_i e_i h(x_i)| / m of trees of product norm 1.

    `x`: (m, 2^L), m up to about 12: all 2^m signs e are visited, and all grids of `angles` angles a
    layer. Returns it with the supremum over the grid, and how much finer angles can add at most: h
    changes by no more than ||x|| times the sum of its kernels' changes. The truth lies in between.
    """
    m, d = x.shape
    layers = int(np.log2(d))
    circle = 2 * pi * np.arange(angles) / angles
    units = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    outputs = np.array([tree(np.array(k), x) for k in product(units, repeat=layers)])
    signs = np.array(list(product([1.0, -1.0], repeat=m)))
    # The absolute value gives e and -e the same supremum, so half of the signs are enough.
    suprema = np.abs(signs[: len(signs) // 2] @ outputs.T).max(axis=1)
    coarse = layers * (pi / angles) * np.linalg.norm(x, axis=1).mean()
    return float(suprema.mean() / m), float(coarse)


def tree_bound(x: Array) -> float:
    """Eq. 19 at rho = 1: 2^L sqrt(sum_i ||x_i||^2) / m for samples `x` (m, 2^L)."""
    m, d = x.shape
    return float(d * np.sqrt((x**2).sum()) / m)
