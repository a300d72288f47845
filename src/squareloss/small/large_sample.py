"""Networks so small, and data so ample, that bounds on the test error are below 1.

Two classes of images of 4 x 4 pixels and norm 1 at most: a random direction with the sign of the
class, and noise. Dense networks of one to three layers, and one whose patches do not overlap.
"""

import torch
from torch import Tensor

from squareloss.measure.metrics.bound_inputs import measures
from squareloss.measure.metrics.multiclass_margin import lead
from squareloss.measure.metrics.rank import rank, singular_values
from squareloss.model.architecture import Conv, Layer, Linear
from squareloss.model.layers import forward
from squareloss.model.network import Network
from squareloss.small.critical_points import settle
from squareloss.small.gradient_flow import Problem, initial
from squareloss.theory.bounds import Measures
from squareloss.train.evaluate import error, margins

NETWORKS: dict[str, tuple[Layer, ...]] = {
    "dense, L = 1": (Linear(2),),
    "dense, L = 2": (Linear(8), Linear(2)),
    "dense, L = 3": (Linear(8), Linear(8), Linear(2)),
    "patches, L = 3": (Conv(4, kernel=2, stride=2), Conv(8, kernel=2, stride=2), Linear(2)),
}
SIDE = 4
TEST = 50_000  # images: an error of 1e-4 is five of them
DECAY = 1e-3


def samples(seed: int, count: int, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 4, 4) float64 of norm 1 at most, and labels: of both classes alike."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = 0.1 * torch.randn(count, SIDE**2, dtype=torch.float64, generator=generator)
    x = 0.7 * direction * (2 * labels[:, None] - 1) + noise
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1)
    return x.view(count, 1, SIDE, SIDE), labels


def drawn(layers: tuple[Layer, ...], seed: int, n: int) -> tuple[Tensor, Problem, Tensor]:
    """The direction (16,) that tells the classes, n images with labels, and the first weights."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(SIDE**2, dtype=torch.float64, generator=generator)
    direction = direction / direction.norm()
    problem = Problem(layers, *samples(seed + 1, n, direction), DECAY)
    # A seed of their own: drawn with that of the direction, the first weights would point along it.
    return direction, problem, initial(problem, seed + 3)


def trained(
    layers: tuple[Layer, ...], seed: int, n: int, delta: float
) -> tuple[Measures, float, float]:
    """What the bounds take of a network trained on n images, its training error and test error."""
    direction, problem, start = drawn(layers, seed, n)
    end = settle(problem, 2.0, start, iterations=100)
    weights = problem.split(end.v)
    f = forward(layers, weights, problem.x)[0]
    ranks = [float(rank(singular_values(weight), 1e-2)) for weight in weights]
    found = measures(
        Network(layers, weights, end.rho),
        problem.x,
        margin=margins(f, problem.labels),
        least_lead=lead(f, problem.labels).min().item(),
        ranks=ranks,
        delta=delta,
    )
    test_x, test_labels = samples(seed + 2, TEST, direction)
    test_error = error(forward(layers, weights, test_x)[0], test_labels)
    return found, error(f, problem.labels), test_error
