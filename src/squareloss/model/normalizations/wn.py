"""Weight normalisation, g_k frozen: W_k = g_k v_k / ||v_k||, v_k learnt (Figure 1, model b)."""

from typing import TYPE_CHECKING

from squareloss.model.normalization import Normalization

if TYPE_CHECKING:
    from torch import Tensor


class WeightNorm(Normalization):
    """dL/dv = (g / ||v||) (I - V V^T) dL/dW."""

    freezes_norms = True

    def weight(self, v: "Tensor", scale: "Tensor", out: "Tensor | None" = None) -> "Tensor":
        """g v / ||v||."""
        import torch  # here, since planning a study must not load it

        return torch.mul(v, scale, out=out)

    def gradient(self, gradient: "Tensor", v: "Tensor", radial: "Tensor", scale: "Tensor") -> None:
        """Take out the part along v, and scale."""
        gradient.addcmul_(v, radial, value=-1)
        gradient.mul_(scale)


normalization = WeightNorm()
