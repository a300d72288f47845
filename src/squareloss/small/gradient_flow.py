"""Gradient flow of (rho, V_k), Eq. 5, and gradient descent with frozen norms beside it.

On a small dense network in float64. Directions have norm 1, and their flow is the negative gradient
less its part along V_k, which is what nu_k of Eq. 4 subtracts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from squareloss.model.architecture import Layer, Linear, weight_shapes
from squareloss.model.layers import forward
from squareloss.model.network import effective_decay
from squareloss.train.evaluate import moments, square_loss, targets

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A network, its training set, and lambda."""

    layers: tuple[Layer, ...]
    x: Tensor  # (N, d) or (N, channels, side, side) float64
    labels: Tensor  # (N,) int64
    weight_decay: float

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each layer's weights, (out, in) or (out, in, k, k)."""
        return weight_shapes(self.layers, self.x.shape[1], self.x.shape[-1] if self.images else 1)

    @property
    def images(self) -> bool:
        """Whether the samples are images."""
        return self.x.ndim == 4

    @property
    def classes(self) -> int:
        """Number of outputs C."""
        return self.shapes[-1][0]

    def split(self, flat: Tensor) -> list[Tensor]:
        """The layers' weights in a flat vector."""
        parts = flat.split([prod(shape) for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def loss(self, rho: Tensor, v: Tensor) -> Tensor:
        """Eq. 1 for directions `v` (flat), its data term the mean over samples and outputs."""
        f, _ = forward(self.layers, self.split(v), self.x)
        e = targets(self.labels, self.classes).to(f.dtype)
        return square_loss(rho * f, e) + self.weight_decay * rho**2

    def gradient(self, rho: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the loss in rho, and in V_k along the spheres (Eq. 4 and 5)."""
        rho, v = rho.detach().requires_grad_(), v.detach().requires_grad_()
        by_rho, by_v = torch.autograd.grad(self.loss(rho, v), (rho, v))
        parts = zip(self.split(by_v), self.split(v.detach()), strict=True)
        return by_rho, torch.cat([(g - (g * w).sum() * w).flatten() for g, w in parts])

    def normalized(self, v: Tensor) -> Tensor:
        """Each layer's matrix over its norm."""
        return torch.cat([(w / w.norm()).flatten() for w in self.split(v)])


def small_problem(seed: int, weight_decay: float, samples: int = 20) -> Problem:
    """Two classes of Gaussian points in 5 dimensions, whose means differ by 2, and 8-8-2 units."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 2
    x = torch.randn(samples, 5, dtype=torch.float64, generator=generator)
    x[:, 0] += labels * 2 - 1
    return Problem((Linear(8), Linear(8), Linear(2)), x, labels, weight_decay)


def initial(problem: Problem, seed: int) -> Tensor:
    """Random directions (flat), each layer of norm 1."""
    count = sum(prod(shape) for shape in problem.shapes)
    generator = torch.Generator().manual_seed(seed)
    return problem.normalized(torch.randn(count, dtype=torch.float64, generator=generator))


def integrate(problem: Problem, rho: float, v: Tensor, times: Array) -> Array:
    """(rho, V_1, ..., V_L) at `times`, one row each, along the gradient flow from time 0.

    Bogacki-Shampine 2(3), relative tolerance 1e-5. The flow slides along kinks of the ReLU, where
    the velocity jumps: there a higher order only shortens the steps, and a tenth of the tolerance
    takes several times as long. With 1e-4 the flow's own error shows at the smallest of
    `problems.STEPS`. The flow keeps the norms, so nothing is retracted.
    """

    def velocity(_: float, state: Array) -> Array:
        point = torch.from_numpy(state)
        by_rho, by_v = problem.gradient(point[0], point[1:])
        return -np.concatenate([[by_rho.item()], by_v.numpy()])

    start = np.concatenate([[rho], v.numpy()])
    span = (0.0, float(times[-1]))
    found = solve_ivp(velocity, span, start, "RK23", times, rtol=1e-5, atol=1e-7)
    return found.y.T


def descend(problem: Problem, rho: float, v: Tensor, step: float, steps: int) -> Array:
    """(rho, V_1, ..., V_L) after `steps` steps of normalised gradient descent."""
    top = torch.tensor(rho, dtype=torch.float64)
    for _ in range(steps):
        by_rho, by_v = problem.gradient(top, v)
        top, v = top - step * by_rho, problem.normalized(v - step * by_v)
    return np.concatenate([[top.item()], v.numpy()])


def descend_by_samples(
    problem: Problem, rho: float, v: Tensor, step: float, epochs: int, seed: int
) -> Array:
    """(rho, V_1, ..., V_L) after SGD with batches of one sample, in a new order each epoch."""
    order = torch.Generator().manual_seed(seed)
    singles = [
        replace(problem, x=problem.x[i : i + 1], labels=problem.labels[i : i + 1])
        for i in range(len(problem.labels))
    ]
    state = np.concatenate([[rho], v.numpy()])
    for _ in range(epochs):
        for i in torch.randperm(len(singles), generator=order).tolist():
            state = descend(singles[i], state[0], torch.from_numpy(state[1:]), step, 1)
    return state


def momentum_course(
    problem: Problem, v: Tensor, norms: float, rate: float, momentum: float, steps: int
) -> Iterator[dict[str, float]]:
    """Weight norm with frozen norms g_k = `norms` under SGD's full-batch step, one row a step.

    rho = rho_top G with G = prod_k g_k, and lambda acts on rho_top. Rows have `time` = steps x rate
    / (1 - momentum), rho, mu, M, lambda_eff = lambda / G^2 and the regularised loss.
    """
    g = norms ** len(problem.layers)
    top = torch.ones((), dtype=torch.float64, requires_grad=True)
    masters = [w.clone().mul_(norms).requires_grad_() for w in problem.split(v)]
    optimizer = torch.optim.SGD([top, *masters], lr=rate, momentum=momentum)
    e = targets(problem.labels, problem.classes).double()
    for i in range(steps):
        f, _ = forward(problem.layers, [w / w.norm() for w in masters], problem.x)
        loss = square_loss(top * g * f, e) + problem.weight_decay * top**2
        mu, m = moments(f.detach(), problem.labels)
        yield {
            "time": i * rate / (1 - momentum),
            "rho": top.item() * g,
            "mu": mu,
            "M": m,
            "lambda_eff": effective_decay(problem.weight_decay, g),
            "loss": loss.item(),
        }
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
