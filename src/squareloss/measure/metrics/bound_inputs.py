"""What the generalisation bounds take of a trained network and its training set."""

from torch import Tensor

from squareloss.measure.metrics.operators import (
    copies,
    degrees,
    input_share,
    overlap,
    sides,
    spectral_complexity,
    widest,
)
from squareloss.model.architecture import Conv
from squareloss.model.network import Network
from squareloss.theory.bounds import Measures


def measures(
    network: Network,
    train_x: Tensor,
    margin: Tensor,
    least_lead: float,
    ranks: list[float],
    delta: float,
) -> Measures:
    """What the bounds take of a network: `margin` (N,) are those of f_V.

    `least_lead` is the smallest `lead` of f_V, `ranks` are those of the layers at tolerance 1e-2.
    """
    layers, side = network.layers, train_x.shape[-1]
    weights = [*network.weights[:-1], network.weights[-1] * network.rho_top]
    return Measures(
        rho=network.rho,
        max_norm=train_x.flatten(1).norm(dim=1).max().item(),
        ramp_loss=(1 - network.rho * margin).clamp(0, 1).mean().item(),
        layers=len(layers),
        n=len(train_x),
        delta=delta,
        margin=network.rho * least_lead,
        copies=tuple(copies(k, s) for k, s in zip(layers, sides(layers, side), strict=True)),
        overlap=overlap(layers, side),
        degrees=degrees(layers, side),
        input_share=input_share(layers, train_x),
        pools=any(isinstance(layer, Conv) and layer.pool > 1 for layer in layers),
        rank_shares=tuple(
            rank / min(weight.flatten(1).shape) for rank, weight in zip(ranks, weights, strict=True)
        ),
        spectral_complexity=spectral_complexity(layers, weights, side),
        parameters=sum(weight.numel() for weight in weights),
        width=widest(layers, weights, side),
    )
