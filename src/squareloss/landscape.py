"""The measured loss surface of Figure 2: mu and M along the arc between two trained networks.

    python -m squareloss.landscape --run run.json --snapshots snapshots.safetensors --data SPLIT \
        --output landscape.parquet

Each layer's V_k turns from the first replicate's to the second's on its own sphere. The loss at any
rho then follows from mu and M by Eq. (11), so the surface is exact along rho.
"""

import math
import sys
from typing import Any

import torch
from torch import Tensor

from squareloss import arguments
from squareloss.architecture import build
from squareloss.data.split import inputs, read_split
from squareloss.errors import run_stage
from squareloss.evaluate import moments
from squareloss.snapshots import Snapshot, open_snapshots
from squareloss.spec import RunSpec, read_spec
from squareloss.tables.landscape import LANDSCAPE

POSITIONS = 41  # along the arc, ends included


def directions(snapshot: Snapshot) -> list[Tensor]:
    """V_k of every layer, the sign of rho_top folded into the last."""
    return [w / w.norm() for w in (*snapshot.weights[:-1], snapshot.classifier)]


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
    spec: RunSpec, classes: int, first: Snapshot, second: Snapshot, labels: Tensor, x: Tensor
) -> list[dict[str, Any]]:
    """Rows of the landscape table, without `replicate` and `epoch`.

    The angle of a position is that between the stacked (V_1, ..., V_L), each layer counting alike.
    """
    recipe = spec.recipe
    layers = build(recipe.network, classes, recipe.width, recipe.downsample)
    ends = directions(first), directions(second)
    lambdas = [spec.point.weight_decay / s.scale**2 for s in (first, second)]
    rows = []
    for i in range(POSITIONS):
        t = i / (POSITIONS - 1)
        v = [slerp(a, b, t) for a, b in zip(*ends, strict=True)]
        cosines = [math.cos(t * angle(a, b)) for a, b in zip(*ends, strict=True)]
        f_v, _ = Snapshot(v, 1.0, [], [], []).outputs(layers, x)
        mu, m = moments(f_v, labels)
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


def main() -> None:
    """Command line of the landscape job."""
    parser = arguments.parser(__doc__)
    for option in ("run", "snapshots", "data", "output"):
        parser.add_argument(f"--{option}", required=True)
    args = parser.parse_args()
    arguments.refuse_overwriting([args.run, args.snapshots, args.data], [args.output])
    spec = read_spec(args.run)
    torch.set_num_threads(spec.threads)
    split = read_split(args.data)
    train_x = torch.from_numpy(inputs(split, spec.recipe.images)[0])
    replicate, other = spec.replicates[:2]
    identity = {"replicate": replicate, "other": other, "epoch": spec.recipe.epochs}
    with open_snapshots(args.snapshots) as snapshots:
        if (replicate, spec.recipe.epochs) in snapshots and (
            other,
            spec.recipe.epochs,
        ) in snapshots:
            rows = arc_rows(
                spec,
                split.classes,
                snapshots.get(replicate, spec.recipe.epochs),
                snapshots.get(other, spec.recipe.epochs),
                torch.from_numpy(split.noisy_labels[0]),
                train_x,
            )
        else:
            print("a replicate diverged: there is no arc", file=sys.stderr)
            missing = ("angle", "mu", "M", "rho_trained", "lambda_eff")
            rows = [dict.fromkeys(missing, math.nan)]
    LANDSCAPE.write(args.output, spec.point, [row | identity for row in rows])


if __name__ == "__main__":
    run_stage(main)
