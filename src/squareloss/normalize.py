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

from squareloss.layers import Layer, Standardize, forward


class Model:
    """A network with its trainable tensors.

    A training step is: `outputs`, `backward`, `gradients_to_parameters`, the optimiser's step on
    `parameters()`, `parameters_to_weights`.
    """

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
        self.weights = [
            (weight / weight.norm() if unit else weight).detach().clone().requires_grad_()
            for weight in initial
        ]
        # v_k starts on the sphere ||v_k|| = g_k, where wn and lm take the same step to first order.
        self.directions = (
            [weight.detach().clone().requires_grad_() for weight in self.weights]
            if normalization == "wn"
            else self.weights
        )
        self.radii = [v.detach().norm() for v in self.directions]  # ||v_k||
        self.rho_top = initial[0].new_tensor(rho_top).requires_grad_()
        hidden = [weight.shape[0] for weight in initial[:-1]] if normalization == "bn" else []
        self.running_mean = [initial[0].new_zeros(units) for units in hidden]
        self.running_var = [initial[0].new_ones(units) for units in hidden]

    def parameters(self) -> list[Tensor]:
        """Leaf tensors to optimise: v_k under wn, else W_k, and rho_top."""
        return [*self.directions, self.rho_top]

    def outputs(self, x: Tensor, training: bool = False) -> Tensor:
        """f_W(x), (B, C). `training` makes bn use and update batch statistics."""
        f, _ = forward(self.layers, self.weights, x, self.standardize(training))
        return self.rho_top * f

    def standardize(self, training: bool) -> Standardize | None:
        """Batch norm's part in the forward pass, without affine parameters; None without bn."""
        if self.normalization != "bn":
            return None
        return lambda k, z: F.batch_norm(
            z, self.running_mean[k], self.running_var[k], training=training
        )

    @torch.no_grad()
    def gradients_to_parameters(self) -> None:
        """Turn the gradients with respect to W_k into those of the parameters.

        By hand, since autograd through the norms takes 40% of a small network's step. Under wn,
        dL/dv = (g / ||v||) (I - V V^T) dL/dW. Under lm, 2 nu_k V_k is subtracted, nu_k of Eq. (4).
        """
        if self.normalization not in ("wn", "lm"):
            return
        tensors = zip(self.directions, self.weights, self.norms, self.radii, strict=True)
        for v, w, g, radius in tensors:
            assert w.grad is not None
            # <V, dL/dW> V, as W = g V; in place, since memory traffic is what these passes cost
            radial = torch.dot(w.flatten(), w.grad.flatten()) / g**2
            tangent = w.grad.addcmul_(w, radial, value=-1)
            if v is not w:
                v.grad, w.grad = tangent.mul_(g / radius), None

    @torch.no_grad()
    def parameters_to_weights(self) -> None:
        """Set W_k = g_k v_k / ||v_k||: from v_k under wn, a retraction of W_k under lm."""
        if self.normalization in ("wn", "lm"):
            self.radii = [v.norm() for v in self.directions]
            for v, w, g, radius in zip(
                self.directions, self.weights, self.norms, self.radii, strict=True
            ):
                torch.mul(v, g / radius, out=w)


def product_norm(weights: Sequence[Tensor], normalization: str) -> float:
    """prod_k ||W_k||, which is rho / |rho_top|; for bn only the last layer's, see the module."""
    counted = weights[-1:] if normalization == "bn" else weights
    return math.prod(weight.norm().item() for weight in counted)
