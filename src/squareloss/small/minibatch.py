"""Section 6: gradients of single samples, what Lemma 8 says of their rank, and Eq. 53."""

import torch
from torch import Tensor

from squareloss.model.layers import forward
from squareloss.small.gradient_flow import Problem
from squareloss.train.evaluate import margins


def margin_gradients(problem: Problem, v: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """Margins fbar_n (N,), and of each sample the gradient of fbar_n in each V_k.

    `v` is flat, each layer of norm 1. The gradient is that of the network without the constraint;
    its part along V_k is fbar_n V_k.
    """
    v = v.detach().requires_grad_()
    weights = problem.split(v)
    f, _ = forward(problem.layers, weights, problem.x)
    fbar = margins(f, problem.labels)
    gradients = [
        list(torch.autograd.grad(value, weights, retain_graph=True)) for value in fbar.unbind()
    ]
    return fbar.detach(), gradients


def second_singular_value(gradients: list[list[Tensor]]) -> float:
    """Largest second singular value over the first, of all gradients; 0 if each has rank 1.

    Lemma 8 rests on this step: d fbar_n / d V_k of a dense layer has rank at most 1.
    """
    ratios = [0.0]
    for matrix in (g for sample in gradients for g in sample):
        s = torch.linalg.svdvals(matrix)
        if s[0] > 0:
            ratios.append((s[1] / s[0]).item())
    return max(ratios)


def sample_speeds(
    rho: float, fbar: Tensor, gradients: list[list[Tensor]], v: list[Tensor]
) -> Tensor:
    """||V_k dot|| (N, L) that single-sample batches ask for: 2 rho |l_n| ||d fbar_n - fbar_n V_k||.

    l_n = 1 - rho fbar_n (Eq. 10 and 46 with B = 1). Lemma 8 is about a point where all are 0.
    """
    rows = []
    for value, sample in zip(fbar, gradients, strict=True):
        away = [(g - value * w).norm() for g, w in zip(sample, v, strict=True)]
        rows.append(2 * rho * (1 - rho * value).abs() * torch.stack(away))
    return torch.stack(rows)


def full_speed(rho: float, fbar: Tensor, gradients: list[list[Tensor]], v: list[Tensor]) -> Tensor:
    """||V_k dot|| (L,) of the whole batch: (2 rho / N) ||sum_n l_n (d fbar_n - fbar_n V_k)||.

    Eq. 53 has the mean of `sample_speeds` in its place: an upper bound.
    """
    total = [torch.zeros_like(w) for w in v]
    for value, sample in zip(fbar, gradients, strict=True):
        for k, g in enumerate(sample):
            total[k] += (1 - rho * value) * (g - value * v[k])
    return torch.stack([2 * rho * t.norm() / len(fbar) for t in total])
