"""mu and M along the arc between two trained networks: the measured loss surface of Figure 2.

Each layer's V_k turns from the first network's to the second's on its own sphere. The loss at any
rho then follows from mu and M by Eq. 11, so the surface is exact along rho.
"""

import math
from typing import Any

from torch import Tensor

from squareloss.model.network import Network
from squareloss.train.evaluate import moments

POSITIONS = 41  # along the arc, ends included


def angle(a: Tensor, b: Tensor) -> float:
    """Angle in radians between two unit tensors; atan2 keeps the digits of small ones."""
    return 2 * math.atan2((a - b).norm().item(), (a + b).norm().item())


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Point at share `t` of the great arc from unit tensor `a` to unit tensor `b`."""
    theta = angle(a, b)
    if theta < 1e-6:
        return a
    return (math.sin((1 - t) * theta) * a + math.sin(t * theta) * b) / math.sin(theta)


def arc_rows(
    weight_decay: float, first: Network, second: Network, labels: Tensor, x: Tensor
) -> list[dict[str, Any]]:
    """Rows of the landscape table, without `replicate`, `other` and `epoch`.

    `labels` (N,) int64 and images `x` (N, channels, side, side).
    The angle of a position is that between the stacked (V_1, ..., V_L), each layer counting alike.
    """
    ends = first.directions(), second.directions()
    lambdas = [network.lambda_eff(weight_decay) for network in (first, second)]
    rows = []
    for i in range(POSITIONS):
        t = i / (POSITIONS - 1)
        v = [slerp(a, b, t) for a, b in zip(*ends, strict=True)]
        cosines = [math.cos(t * angle(a, b)) for a, b in zip(*ends, strict=True)]
        mu, m = moments(Network(first.layers, v, 1.0).outputs(x), labels)
        rows.append(
            {
                "angle": math.degrees(math.acos(min(1.0, sum(cosines) / len(cosines)))),
                "mu": mu,
                "M": m,
                "rho_trained": {0: first.rho, POSITIONS - 1: second.rho}.get(i, math.nan),
                "lambda_eff": sum(lambdas) / 2,
            }
        )
    return rows
