"""A network as a value: layers, weights, top scalar, running statistics, and what follows.

Training measures it, snapshots keep it, metrics and the small problems read it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from squareloss.model.architecture import BATCH, Layer
from squareloss.model.layers import activations, forward


@dataclass(frozen=True)
class Network:
    """f_W(x) = rho_top * W_L relu(W_{L-1} ... relu(W_1 x)), Section 3.2 of the paper.

    rho = |rho_top| prod_k ||W_k||, V_k = W_k / ||W_k||, f_V = f_W / rho. The sign of rho_top
    belongs to V_L. Where hidden layers are standardised (batch norm), their norms cancel in f_W,
    and the last layer's alone enters rho.
    """

    layers: tuple[Layer, ...]
    weights: Sequence[Tensor]  # W_k: (out, in, k, k) or (out, in), of one float type
    rho_top: float
    # Mean and variance (units,) of each hidden layer under batch norm; else none.
    running: Sequence[tuple[Tensor, Tensor]] = ()

    def to(self, device: torch.device) -> "Network":
        """The same network, with its tensors on `device`."""
        weights = [weight.to(device) for weight in self.weights]
        running = [(mean.to(device), var.to(device)) for mean, var in self.running]
        return replace(self, weights=weights, running=running)

    @property
    def product_norm(self) -> float:
        """prod_k ||W_k|| over the layers whose norm enters f_W: rho / |rho_top|."""
        counted = self.weights[-1:] if self.running else self.weights
        return math.prod(weight.norm().item() for weight in counted)

    @property
    def rho(self) -> float:
        """The product norm, >= 0."""
        return abs(self.rho_top) * self.product_norm

    def lambda_eff(self, weight_decay: float) -> float:
        """The weight of rho^2 in the loss, where lambda acts on rho_top^2; NaN where rho is 0."""
        return effective_decay(weight_decay, self.product_norm)

    def folded(self) -> "Network":
        """The same function with rho_top >= 0, whose sign is folded into the last layer."""
        last = self.weights[-1] * math.copysign(1, self.rho_top)
        return replace(self, weights=[*self.weights[:-1], last], rho_top=abs(self.rho_top))

    def directions(self) -> list[Tensor]:
        """V_k of every layer, of norm 1, the sign of rho_top folded into the last."""
        return [weight / weight.norm() for weight in self.folded().weights]

    def activations(self, x: Tensor) -> Iterator[Tensor]:
        """What each layer hands to the next, f_W / rho_top (N, C) last."""
        return activations(self.layers, self.weights, x, self.running)

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Tensor:
        """f_W (N, C) of images x (N, channels, side, side)."""
        return self.rho_top * torch.cat([f for f, _ in self._forward(x)])

    @torch.no_grad()
    def outputs_and_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f_W (N, C), and h (N, p): the inputs of the last layer."""
        f, h = zip(*self._forward(x), strict=True)
        return self.rho_top * torch.cat(f), torch.cat(h)

    def _forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [forward(self.layers, self.weights, part, self.running) for part in x.split(BATCH)]


def effective_decay(weight_decay: float, product_norm: float) -> float:
    """lambda_eff = lambda / (prod_k ||W_k||)^2, what multiplies rho^2; NaN where the product is 0.

    Divided twice, since the square of a small product would be 0.
    """
    return weight_decay * (1 / product_norm) * (1 / product_norm) if product_norm else math.nan
