"""What a normalisation is: everything in which training differs between wn, lm, bn and none.

A normalisation is a module of `squareloss.model.normalizations`, found by its name in the config.
It holds one object, `normalization`, of a class derived from `Normalization`. A step of training
moves the parameters v_k ("masters") and computes with the weights W_k that follow from them:

    W_k = weight(v_k), dL/dW_k by autograd, dL/dv_k = gradient(...), the optimiser's step, retract

Imports no torch: planning a study asks what a normalisation is like.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Normalization:
    """No normalisation: v_k is W_k. Others override what they change.

    In the methods, `scale` is g_k / ||v_k||, a tensor of one number; g_k is the norm at which a
    layer is frozen. Tensors are changed in place: what these passes cost is memory traffic.
    """

    # Whether ||W_k|| stays g_k. Only then can the config choose g_k, and `radial` and `scale` are
    # computed.
    freezes_norms = False
    # Whether hidden pre-activations are standardised over the batch, with running statistics.
    standardizes = False

    def weight(self, v: "Tensor", scale: "Tensor", out: "Tensor | None" = None) -> "Tensor":
        """W_k of the parameter v_k, written to `out` if there is one, in the precision of that.

        Without `out` it is not to be changed, since it may be v_k itself.
        """
        return v if out is None else out.copy_(v)

    def gradient(self, gradient: "Tensor", v: "Tensor", radial: "Tensor", scale: "Tensor") -> None:
        """Turn dL/dW_k into dL/dv_k, in place, if norms are frozen.

        `radial` is <v, dL/dW_k> / ||v||^2, a tensor of one number: `radial` times v is the part of
        the gradient along v.
        """

    def retract(self, v: "Tensor", g: "Tensor") -> None:
        """Mend, in place, what a finite step left of the parameter's constraint."""


def names() -> list[str]:
    """What the config may choose from."""
    package = importlib.import_module("squareloss.model.normalizations")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def named(name: str) -> Normalization:
    """The normalisation of that name. Raises `ModuleNotFoundError` if there is none."""
    module = importlib.import_module(f"squareloss.model.normalizations.{name}")
    found: Normalization = module.normalization
    return found
