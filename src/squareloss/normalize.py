"""The two parametrisations of Figure 1 and their relatives: wn, lm, bn, none.

All give a network f_W(x) = rho_top * net(W_1, ..., W_L; x) with one learnable scalar on top.

- `wn`: W_k = g_k v_k / ||v_k|| with g_k frozen, v_k learnt (weight normalisation).
- `lm`: W_k itself is learnt on the sphere ||W_k|| = g_k: the Lagrange multiplier of Eq. (2)-(4)
  takes the radial part out of the gradient, and a retraction mends what a finite step leaves.
- `bn`: hidden pre-activations are standardised over the batch, weights are free.
- `none`: weights are free.

rho = |rho_top| prod_k ||W_k||, V_k = W_k / ||W_k|| and f_V = f_W / rho. Under `bn` the hidden norms
cancel in f_W, so only the last layer's norm enters rho.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from squareloss.layers import Layer, forward


class Model:
    """A network with its trainable tensors; `parameters()` is what the optimiser moves."""

    def __init__(
        self,
        layers: Sequence[Layer],
        initial: Sequence[Tensor],
        normalization: str,
        layer_norms: str = "initial",
        rho_top: float = 1.0,
    ) -> None:
        self.layers = layers
        self.normalization = normalization
        unit = layer_norms == "unit"
        self.norms = [1.0 if unit else weight.norm().item() for weight in initial]
        # v_k starts on the sphere ||v_k|| = g_k, where wn and lm take the same step to first order.
        self.directions = [
            (weight / weight.norm() if unit else weight).detach().clone().requires_grad_()
            for weight in initial
        ]
        like = self.directions[0]
        self.rho_top = torch.tensor(
            rho_top, dtype=like.dtype, device=like.device, requires_grad=True
        )
        hidden = [weight.shape[0] for weight in initial[:-1]] if normalization == "bn" else []
        self.running_mean = [like.new_zeros(units) for units in hidden]
        self.running_var = [like.new_ones(units) for units in hidden]

    def parameters(self) -> list[Tensor]:
        """Leaf tensors to optimise."""
        return [*self.directions, self.rho_top]

    def weights(self) -> list[Tensor]:
        """W_k, differentiable in the parameters."""
        if self.normalization != "wn":
            return list(self.directions)
        return [v * (g / v.norm()) for v, g in zip(self.directions, self.norms, strict=True)]

    def outputs(self, x: Tensor, training: bool = False) -> Tensor:
        """f_W(x), (B, C). `training` makes bn use and update batch statistics."""
        f, _ = forward(self.layers, self.weights(), x, self._standardize(training))
        return self.rho_top * f

    def _standardize(self, training: bool):  # type: ignore[no-untyped-def]
        if self.normalization != "bn":
            return None
        return lambda k, z: F.batch_norm(
            z, self.running_mean[k], self.running_var[k], training=training
        )

    @torch.no_grad()
    def remove_radial_gradients(self) -> None:
        """Subtract 2 nu_k V_k from the gradients of `lm`, with nu_k from Eq. (4)."""
        if self.normalization == "lm":
            for w in self.directions:
                assert w.grad is not None
                w.grad -= (w * w.grad).sum() / w.square().sum() * w

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the weights of `lm` back to ||W_k|| = g_k after a step."""
        if self.normalization == "lm":
            for w, g in zip(self.directions, self.norms, strict=True):
                w *= g / w.norm()


def product_norm(weights: Sequence[Tensor], rho_top: float, normalization: str) -> float:
    """rho = |rho_top| prod_k ||W_k||; for bn only the last layer's norm, see the module."""
    counted = weights[-1:] if normalization == "bn" else weights
    return abs(rho_top) * math.prod(weight.norm().item() for weight in counted)
