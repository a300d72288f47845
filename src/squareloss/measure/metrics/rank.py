"""Norms and ranks of one layer's weights, from its singular values (Section 6.1)."""

from math import nan

import torch
from torch import Tensor

TOLERANCES = ("1e-3", "1e-2", "4e-2")  # as in the names of the columns


def singular_values(weight: Tensor) -> Tensor:
    """Singular values in float64, largest first; kernels are taken as (out, in * k * k) matrices.

    All NaN if a weight is not finite, where the SVD would raise.
    """
    matrix = weight.flatten(1).double()
    if not matrix.isfinite().all():
        return torch.full((min(matrix.shape),), nan, dtype=torch.float64)
    return torch.linalg.svdvals(matrix)


def stable_rank(s: Tensor) -> float:
    """||W||_F^2 / ||W||_2^2 of a matrix with singular values `s`; NaN for the zero matrix."""
    return (s.square().sum() / s.max().square()).item()


def effective_rank(s: Tensor) -> float:
    """exp of the Shannon entropy of s / sum(s) (Roy and Vetterli 2007); NaN for the zero matrix."""
    return torch.special.entr(s / s.sum()).sum().exp().item()


def rank(s: Tensor, tolerance: float) -> int:
    """How many singular values of V = W / ||W||_F exceed `tolerance`."""
    return int((s / s.norm() > tolerance).sum())


def distance(weight: Tensor, start: Tensor) -> float:
    """||V - V(0)||_F of the directions of two weights of one shape, 0 to 2; NaN for a zero one."""
    a, b = weight.double(), start.double()
    return (a / a.norm() - b / b.norm()).norm().item()


def layer_metrics(weight: Tensor) -> dict[str, float | int]:
    """Columns of the table `layers` that one weight (out, in) or (out, in, k, k) determines.

    A weight that is not finite gives NaN, and 0 for the integer ranks.
    """
    s = singular_values(weight)
    return {
        "frobenius_norm": s.norm().item(),
        "spectral_norm": s.max().item(),
        "stable_rank": stable_rank(s),
        "effective_rank": effective_rank(s),
        **{f"rank_{tolerance}": rank(s, float(tolerance)) for tolerance in TOLERANCES},
    }
