"""A network in training: what the optimiser moves, and the weights that follow from it.

f_W(x) = rho_top * net(W_1, ..., W_L; x), with one learnable scalar on top (Figure 1). What differs
between the normalisations wn, lm, bn and none is in `squareloss.model.normalizations`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from squareloss.model.architecture import Layer
from squareloss.model.layers import forward
from squareloss.model.network import Network
from squareloss.model.normalization import named


class Model:
    """A network with its trainable tensors.

    The optimiser moves `masters` (v_k, see `Normalization`) and `rho_top`. The training step
    computes with `weights`, W_k rounded to the precision of its products, so a step is: `outputs`,
    gradients with respect to `differentiated`, `gradients_to_parameters`, the optimiser's step,
    `retract`, `parameters_to_weights`.

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
        self.normalization = named(normalization)
        unit = layer_norms == "unit"
        # g_k, ||v_k|| and g_k / ||v_k|| of all layers, (L,): on a GPU an operation on one number
        # takes as long as one on a small layer.
        self.norms = torch.stack([w.new_ones(()) if unit else w.norm() for w in initial])
        self.radii, self.scales = torch.empty_like(self.norms), torch.empty_like(self.norms)
        # v_k starts on the sphere ||v_k|| = g_k, where wn and lm take the same step to first order.
        self.masters = [(w / w.norm() if unit else w.clone()).detach() for w in initial]
        self.weights = [v.to(products, copy=True).requires_grad_() for v in self.masters]
        self.rho_top = initial[0].new_tensor(rho_top).requires_grad_()
        hidden = [weight.shape[0] for weight in initial[:-1]]
        self.running = [
            (initial[0].new_zeros(units), initial[0].new_ones(units))
            for units in (hidden if self.normalization.standardizes else [])
        ]
        self.parameters_to_weights()

    def parameters(self) -> list[Tensor]:
        """Tensors to optimise: v_k and rho_top."""
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

        By hand, since autograd through the norms takes 40% of a small network's step. `gradients`
        may be overwritten.
        """
        *of_weights, self.rho_top.grad = gradients
        found = []
        for v, gradient in zip(self.masters, of_weights, strict=True):
            gradient = gradient.to(v.dtype)
            # The fused optimiser ignores strides: parameter and gradient must lie in memory alike.
            same = gradient.stride() == v.stride()
            v.grad = gradient if same else torch.empty_like(v).copy_(gradient)
            found.append(v.grad)
        if not self.normalization.freezes_norms:
            return
        pairs = list(zip(self.masters, found, strict=True))
        along = torch.stack([torch.dot(flat(v), flat(gradient)) for v, gradient in pairs])
        radial = along / self.radii.square()
        for (v, gradient), r, scale in zip(pairs, radial, self.scales, strict=True):
            self.normalization.gradient(gradient, v, r, scale)

    @torch.no_grad()
    def retract(self) -> None:
        """Put the parameters back to where their constraint has them."""
        for v, g in zip(self.masters, self.norms, strict=True):
            self.normalization.retract(v, g)

    @torch.no_grad()
    def parameters_to_weights(self) -> None:
        """Set what the training step computes with from the parameters."""
        if self.normalization.freezes_norms:
            # In place, because a recorded step reads this very memory.
            torch.stack([torch.linalg.vector_norm(v) for v in self.masters], out=self.radii)
            torch.div(self.norms, self.radii, out=self.scales)
        for v, w, scale in zip(self.masters, self.weights, self.scales, strict=True):
            self.normalization.weight(v, scale, out=w)

    @torch.no_grad()
    def full_weights(self) -> list[Tensor]:
        """W_k in the precision of the masters. Not to be changed."""
        pairs = zip(self.masters, self.scales, strict=True)
        return [self.normalization.weight(v, scale) for v, scale in pairs]

    @torch.no_grad()
    def directions(self) -> list[Tensor]:
        """W_k / ||W_k|| of every layer; the sign of rho_top is not folded in."""
        return [w / w.norm() for w in self.full_weights()]

    def network(self) -> Network:
        """The network as it stands: its tensors are this model's own, which the next step changes.

        A GPU is waited for.
        """
        return Network(self.layers, self.full_weights(), self.rho_top.item(), self.running)


def flat(weight: Tensor) -> Tensor:
    """The numbers of a weight in the order in which channels-last memory holds them, uncopied."""
    return (weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight).flatten()
