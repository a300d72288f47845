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
from torch import Tensor

from squareloss.model.architecture import Layer
from squareloss.model.layers import forward


class Model:
    """A network with its trainable tensors.

    The optimiser moves `masters` (v_k under wn, else W_k) and `rho_top`. The training step computes
    with `weights`, W_k rounded to the precision of its products, so a step is: `outputs`, gradients
    with respect to `differentiated`, `gradients_to_parameters`, the optimiser's step, `retract`,
    `parameters_to_weights`.

    `initial`: float tensors of the precision that masters and measurements have; `products` is the
    precision of the training step's matrix products, the same unless told otherwise.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        initial: Sequence[Tensor],
        normalization: str,
        layer_norms: str = "initial",
        rho_top: float = 1.0,
        products: torch.dtype | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.normalization = normalization
        unit = layer_norms == "unit"
        # g_k, ||v_k|| and g_k / ||v_k|| of all layers, (L,): on a GPU an operation on one number
        # takes as long as one on a small layer.
        self.norms = torch.stack([w.new_ones(()) if unit else w.norm() for w in initial])
        self.radii, self.scales = torch.empty_like(self.norms), torch.empty_like(self.norms)
        # v_k starts on the sphere ||v_k|| = g_k, where wn and lm take the same step to first order.
        self.masters = [(w / w.norm() if unit else w.clone()).detach() for w in initial]
        self.weights = [v.to(products, copy=True).requires_grad_() for v in self.masters]
        self.rho_top = initial[0].new_tensor(rho_top).requires_grad_()
        hidden = [weight.shape[0] for weight in initial[:-1]] if normalization == "bn" else []
        self.running = [
            (initial[0].new_zeros(units), initial[0].new_ones(units)) for units in hidden
        ]
        self.parameters_to_weights()

    def parameters(self) -> list[Tensor]:
        """Tensors to optimise: v_k under wn, else W_k, and rho_top."""
        return [*self.masters, self.rho_top]

    def differentiated(self) -> list[Tensor]:
        """Tensors that a loss of `outputs` is differentiated by: W_k and rho_top."""
        return [*self.weights, self.rho_top]

    def outputs(self, x: Tensor) -> Tensor:
        """f_W(x) (B, C) in training, where bn uses and updates batch statistics."""
        x = x.to(self.weights[0].dtype)
        f, _ = forward(self.layers, self.weights, x, self.running, training=True)
        return self.rho_top * f.to(self.rho_top.dtype)

    @torch.no_grad()
    def gradients_to_parameters(self, gradients: Sequence[Tensor]) -> None:
        """Set the `grad` of the parameters from the gradients with respect to `differentiated`.

        By hand, since autograd through the norms takes 40% of a small network's step. Under wn,
        dL/dv = (g / ||v||) (I - V V^T) dL/dW. Under lm, 2 nu_k V_k is subtracted, nu_k of Eq. (4).
        `gradients` may be overwritten.
        """
        *of_weights, self.rho_top.grad = gradients
        found = []
        for v, gradient in zip(self.masters, of_weights, strict=True):
            gradient = gradient.to(v.dtype)
            # The fused optimiser ignores strides: parameter and gradient must lie in memory alike.
            same = gradient.stride() == v.stride()
            v.grad = gradient if same else torch.empty_like(v).copy_(gradient)
            found.append(v.grad)
        if self.normalization not in ("wn", "lm"):
            return
        pairs = list(zip(self.masters, found, strict=True))
        along = torch.stack([torch.dot(flat(v), flat(gradient)) for v, gradient in pairs])
        radial = along / self.radii.square()
        for (v, gradient), r, scale in zip(pairs, radial, self.scales, strict=True):
            # Subtract <V, dL/dW> V, in place, since these passes cost memory traffic only.
            gradient.addcmul_(v, r, value=-1)
            if self.normalization == "wn":
                gradient.mul_(scale)

    @torch.no_grad()
    def retract(self) -> None:
        """Put W_k of lm back on its sphere, which a step along the tangent leaves."""
        if self.normalization == "lm":
            for w, g in zip(self.masters, self.norms, strict=True):
                w.mul_(g / w.norm())

    @torch.no_grad()
    def parameters_to_weights(self) -> None:
        """Set what the training step computes with from the parameters."""
        if self.normalization in ("wn", "lm"):
            # In place, because a recorded step reads this very memory.
            torch.stack([torch.linalg.vector_norm(v) for v in self.masters], out=self.radii)
            torch.div(self.norms, self.radii, out=self.scales)
        for v, w, scale in zip(self.masters, self.weights, self.scales, strict=True):
            if self.normalization == "wn":
                torch.mul(v, scale, out=w)
            else:
                w.copy_(v)

    @torch.no_grad()
    def full_weights(self) -> list[Tensor]:
        """W_k in the precision of the masters: g_k v_k / ||v_k|| under wn. Not to be changed."""
        if self.normalization != "wn":
            return self.masters
        return [v * scale for v, scale in zip(self.masters, self.scales, strict=True)]


def flat(weight: Tensor) -> Tensor:
    """The numbers of a weight in the order in which channels-last memory holds them, uncopied."""
    return (weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight).flatten()


def product_norm(weights: Sequence[Tensor], normalization: str) -> float:
    """prod_k ||W_k||, which is rho / |rho_top|; for bn only the last layer's, see the module."""
    counted = weights[-1:] if normalization == "bn" else weights
    return math.prod(weight.norm().item() for weight in counted)
