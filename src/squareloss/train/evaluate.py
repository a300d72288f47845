"""What training measures of a network's outputs: losses, errors, margins, mu and M.

Apart from `measure/metrics/` because `history` is written while training: an edit here retrains, an
edit there only extracts again. `f` is always (N, C) float, `labels` (N,) int64.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def targets(labels: Tensor, classes: int) -> Tensor:
    """Centred one-hot targets e~ (N, C) float32: 1 at the label, else -1/(C-1) (Section 5.2)."""
    one_hot = F.one_hot(labels, classes).to(torch.float32)
    return (one_hot * classes - 1) / (classes - 1)


def loss_targets(labels: Tensor, classes: int, kind: str, like: Tensor) -> Tensor:
    """What the loss compares outputs with (N, C): `centred` or `one_hot`; of the type of `like`."""
    if kind == "one_hot":
        return F.one_hot(labels, classes).to(like.dtype)
    return targets(labels, classes).to(like.dtype)


def square_loss(f: Tensor, e: Tensor) -> Tensor:
    """Data term of Eq. 1, mean_n ||f - e~||^2 / C; the scalar loss for C = 2 with f_1 = -f_2."""
    return F.mse_loss(f, e)


def cross_entropy(f: Tensor, e: Tensor) -> Tensor:
    """Cross-entropy of the outputs as logits, to compare with; the class is the maximum of `e`."""
    return F.cross_entropy(f, e.argmax(1))


LOSSES = {"square": square_loss, "cross_entropy": cross_entropy}


def error(f: Tensor, labels: Tensor) -> float:
    """Share of samples whose largest output is not their label; NaN if an output is not finite."""
    if not f.isfinite().all():
        return math.nan
    return (f.argmax(1) != labels).float().mean().item()


def margins(f_v: Tensor, labels: Tensor) -> Tensor:
    """Margin of each sample (N,): <f_V(x), e~_y> (C - 1) / C.

    For C = 2 this is (f_y - f_other) / 2, the paper's y f_V(x). At interpolation of centred targets
    it is 1 / rho, of one-hot ones (C - 1) / (C rho).
    """
    classes = f_v.shape[1]
    e = targets(labels, classes).to(f_v.dtype)
    return (f_v * e).sum(1) * (classes - 1) / classes


def distribution(margin: Tensor) -> dict[str, float]:
    """Columns of `history` on the margins (N,) float64 of the training set.

    Skewness and excess kurtosis are 0 for a Gaussian, and NaN if all margins are equal.
    """
    mean, sd = margin.mean(), margin.std(correction=0)
    standardized = (margin - mean) / sd
    return {
        "mean_margin": mean.item(),
        "margin_sd": sd.item(),
        "min_margin": margin.min().item(),
        "max_margin": margin.max().item(),
        "margin_skewness": standardized.pow(3).mean().item(),
        "margin_kurtosis": standardized.pow(4).mean().item() - 3,
    }


def moments(f_v: Tensor, labels: Tensor) -> tuple[float, float]:
    """mu = mean <f_V, e~> / C and M = mean ||f_V||^2 / C, in float64 (Eq. 6 and Section 5.2).

    With these L = 1/(C-1) - 2 rho mu + rho^2 (M + lambda) for any C (Eq. 11).
    """
    f_v = f_v.double()
    e = targets(labels, f_v.shape[1]).double()
    return (f_v * e).mean().item(), f_v.square().mean().item()
