"""The Lagrange multiplier of Eq. 2 to 4: W_k itself is learnt on the sphere ||W_k|| = g_k."""

from typing import TYPE_CHECKING

from squareloss.model.normalization import Normalization

if TYPE_CHECKING:
    from torch import Tensor


class LagrangeMultiplier(Normalization):
    """The multiplier takes the radial part out of the gradient."""

    freezes_norms = True

    def gradient(self, gradient: "Tensor", v: "Tensor", radial: "Tensor", scale: "Tensor") -> None:
        """Add 2 nu_k V_k, nu_k of Eq. 4."""
        gradient.addcmul_(v, radial, value=-1)

    def retract(self, v: "Tensor", g: "Tensor") -> None:
        """Back to the sphere, which a step along the tangent leaves."""
        v.mul_(g / v.norm())


normalization = LagrangeMultiplier()
