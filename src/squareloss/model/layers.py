"""Homogeneous ReLU networks f_W(x) = W_L relu(W_{L-1} ... relu(W_1 x)), without biases.

A network is a tuple of layers and the weights are passed in, so that training, the metrics and the
tests run the same function on whatever weights they hold.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from squareloss.model.architecture import Conv, Layer


def activations(
    layers: Sequence[Layer],
    weights: Sequence[Tensor],
    x: Tensor,
    running: Sequence[tuple[Tensor, Tensor]] = (),
    training: bool = False,
) -> Iterator[Tensor]:
    """What each layer hands to the next, the outputs (B, C) last; earlier ones are not kept.

    `x`: (B, channels, side, side) float. With `running`, the mean and variance of each hidden
    layer's units, hidden pre-activations are standardised (batch norm without affine parameters):
    with the batch's own statistics, which update `running`, if `training`.
    """
    last = len(layers) - 1
    for k, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
        if isinstance(layer, Conv):
            z = F.conv2d(x, weight, stride=layer.stride)
        else:
            z = F.linear(x.flatten(1), weight)
        if k == last:
            yield z
            return
        x = torch.relu(F.batch_norm(z, *running[k], training=training) if running else z)
        if isinstance(layer, Conv) and layer.pool > 1:
            x = F.max_pool2d(x, layer.pool)
        yield x


def forward(
    layers: Sequence[Layer],
    weights: Sequence[Tensor],
    x: Tensor,
    running: Sequence[tuple[Tensor, Tensor]] = (),
    training: bool = False,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, C) and features h (B, p), the input of the last layer; see `activations`."""
    h = f = x
    for found in activations(layers, weights, x, running, training):
        h, f = f, found
    return f, h.flatten(1)
