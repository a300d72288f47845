"""Small networks trained to the very end, by a quasi-Newton method: what holds at critical points.

With lambda > 0 many minima of a ReLU network lie on kinks, where no gradient vanishes and Eq. 9
means nothing; `settle` then stops at a gradient that is not small, and says how large it is.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from squareloss.measure.metrics.collapse import class_means, collapse
from squareloss.model.architecture import Linear
from squareloss.model.layers import forward
from squareloss.small.gradient_flow import Problem
from squareloss.small.minibatch import margin_gradients
from squareloss.train.evaluate import margins, moments, targets

DIMENSIONS, UNITS = 20, 32  # wide enough for Theorem 2: more units than twice the samples


@dataclass(frozen=True)
class Point:
    """rho > 0, directions V_k (flat, each layer of norm 1), the norm of Eq. 5's right side."""

    rho: float
    v: Tensor
    gradient: float


def blobs(
    seed: int,
    weight_decay: float,
    samples: int,
    classes: int = 2,
    units: int = UNITS,
    spread: float = 1.0,
) -> Problem:
    """Classes of Gaussian points, `spread` times a normal draw around a random centre each.

    The network has one hidden layer of so many units.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    centres, x = (
        torch.randn(count, DIMENSIONS, dtype=torch.float64, generator=generator)
        for count in (classes, samples)
    )
    layers = (Linear(units), Linear(classes))
    return Problem(layers, spread * x + centres[labels], labels, weight_decay)


def settle(
    problem: Problem, rho: float, v: Tensor, free: bool = True, iterations: int = 1000
) -> Point:
    """Minimise Eq. 1 from a point by L-BFGS, over V_k alone unless rho is `free`."""
    top = torch.tensor([rho], dtype=torch.float64)
    state = (torch.cat([top, v]) if free else v.clone()).requires_grad_()

    def split(state: Tensor) -> tuple[Tensor, Tensor]:
        return (state[0], state[1:]) if free else (top[0], state)

    optimizer = torch.optim.LBFGS(
        [state],
        max_iter=iterations,
        history_size=50,
        tolerance_grad=1e-12,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        scale, directions = split(state)
        loss = problem.loss(scale, problem.normalized(directions))
        loss.backward()
        return loss

    optimizer.step(closure)
    end, directions = split(state.detach())
    directions = problem.normalized(directions)
    if end < 0:  # the same function, as everywhere in this project
        end, directions = -end, turned(problem, directions)
    by_rho, by_v = problem.gradient(end, directions)
    speed = by_v.square().sum() + (by_rho.square() if free else 0)
    return Point(end.item(), directions, speed.sqrt().item())


def turned(problem: Problem, v: Tensor) -> Tensor:
    """The directions with V_L's sign changed, and so that of the network."""
    last = problem.split(v)[-1].numel()
    return torch.cat([v[:-last], -v[-last:]])


def outputs(problem: Problem, point: Point) -> tuple[Tensor, Tensor]:
    """f_V (N, C) of the network at a point, and the input of its last layer (N, p)."""
    return forward(problem.layers, problem.split(point.v), problem.x)


def data_loss(problem: Problem, point: Point) -> float:
    """Eq. 1 without its penalty."""
    rho = torch.tensor(point.rho, dtype=torch.float64)
    return replace(problem, weight_decay=0.0).loss(rho, point.v).item()


def multiplier(problem: Problem, point: Point) -> float:
    """nu_k of Eq. 4, the same for every layer: mean of rho fbar_n (1 - rho fbar_n)."""
    scaled = point.rho * margins(outputs(problem, point)[0], problem.labels)
    return (scaled * (1 - scaled)).mean().item()


def eq9_error(problem: Problem, point: Point) -> float:
    """Largest ||V_k - sum_n l_n d fbar_n / d V_k / sum_n l_n fbar_n|| over the layers, Eq. 9."""
    fbar, gradients = margin_gradients(problem, point.v)
    weights = 1 - point.rho * fbar
    errors = [0.0]
    for k, v in enumerate(problem.split(point.v)):
        total = sum(w * sample[k] for w, sample in zip(weights, gradients, strict=True))
        errors.append((v - total / (weights * fbar).sum()).norm().item())
    return max(errors)


def euler_error(problem: Problem, v: Tensor) -> float:
    """Largest |<V_k, d fbar_n / d V_k> - fbar_n| over samples and layers, Eq. 3."""
    fbar, gradients = margin_gradients(problem, v)
    layers = problem.split(v)
    return max(
        ((g * w).sum() - value).abs().item()
        for value, sample in zip(fbar, gradients, strict=True)
        for g, w in zip(sample, layers, strict=True)
    )


def hessian_rank(problem: Problem, point: Point, tolerance: float = 1e-9) -> int:
    """Rank of the Hessian of the loss over all weights, W_L = rho V_L (Theorem 1).

    Eigenvalues count that are larger than `tolerance` times the largest.
    """
    last = problem.split(point.v)[-1].numel()
    weights = point.v.clone()
    weights[-last:] *= point.rho
    one = torch.ones((), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda w: problem.loss(one, w), weights)
    values = torch.linalg.eigvalsh(hessian).abs()
    return int((values > tolerance * values.max()).sum())


def collapse_of(problem: Problem, point: Point) -> dict[str, float]:
    """NC1 to NC4 at a point."""
    f, h = outputs(problem, point)
    return collapse(h, problem.split(point.v)[-1] * point.rho, problem.labels, f.argmax(1))


def spreads(problem: Problem, point: Point) -> dict[str, float]:
    """mu and M of Eq. 6, and how far margins and residuals 1 - rho fbar_n are from being equal.

    Lemma 6 says that the margins are equal. What the proofs of Theorems 5 and 6 use is that the
    residuals are, which lambda makes small: a spread that is little of a margin is much of them.
    Of two collapsed classes with mean residuals l_+ and l_-, Eq. 9 makes V_L proportional to
    l_+ mu_+ - l_- mu_-: self-duality is off by their imbalance |l_+ - l_-| / (l_+ + l_-).
    """
    f, _ = outputs(problem, point)
    fbar = margins(f, problem.labels)
    mu, m = moments(f, problem.labels)
    residuals = 1 - point.rho * fbar
    by_class = class_means(residuals, problem.labels, problem.classes)
    return {
        "mu": mu,
        "M": m,
        "margin_spread": (fbar.std(correction=0) / fbar.mean()).item(),
        "residual_spread": (residuals.std(correction=0) / residuals.mean()).item(),
        "residual_imbalance": ((by_class.max() - by_class.min()) / by_class.sum()).item(),
    }


def off_targets(problem: Problem, point: Point) -> float:
    """Largest sine of the angle between outputs f_n and their target e~_c, 0 under Property 2."""
    f, _ = outputs(problem, point)
    aim = targets(problem.labels, problem.classes).to(f.dtype)
    aim = aim / aim.norm(dim=1, keepdim=True)
    beside = f - (f * aim).sum(1, keepdim=True) * aim
    return (beside.norm(dim=1) / f.norm(dim=1)).max().item()


def curve_losses(problem: Problem, one: Point, other: Point) -> tuple[float, float]:
    """Largest loss on the line between two points, and on a curve through a trained third.

    A quadratic Bezier curve in (rho, V_k), its directions of norm 1, whose bend is trained on the
    mean loss of 16 of its points (Theorem 2 and Figure 2's valley). Measured at 201.
    """
    ends = [torch.cat([torch.tensor([p.rho], dtype=torch.float64), p.v]) for p in (one, other)]
    bend = ((ends[0] + ends[1]) / 2).requires_grad_()

    def loss_at(t: float, middle: Tensor) -> Tensor:
        state = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1]
        return problem.loss(state[0], problem.normalized(state[1:]))

    def largest(middle: Tensor) -> float:
        return max(loss_at(t, middle).item() for t in np.linspace(0, 1, 201))

    line = largest(bend.detach())
    optimizer = torch.optim.LBFGS([bend], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack([loss_at(t, bend) for t in np.linspace(0, 1, 16)]).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return line, largest(bend.detach())
