"""The landscape job: the loss surface between two replicates of a block, for Figure 2.

    python -m squareloss.landscape --run run.json --snapshots snapshots.safetensors --data SPLIT \
        --output landscape.parquet
"""

import math
import sys

import torch

from squareloss import arguments
from squareloss.data.split import inputs, read_split
from squareloss.errors import run_stage
from squareloss.measure.arc import arc_rows
from squareloss.spec import read_spec
from squareloss.tables.landscape import LANDSCAPE
from squareloss.train.snapshots import open_snapshots


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
    ends = [(r, spec.recipe.epochs) for r in (replicate, other)]
    with open_snapshots(args.snapshots, spec.recipe.layers(split.classes)) as snapshots:
        if all(end in snapshots for end in ends):
            first, second = (snapshots.get(*end).network for end in ends)
            labels = torch.from_numpy(split.noisy_labels[0])
            rows = arc_rows(spec.point.weight_decay, first, second, labels, train_x)
        else:
            print("a replicate diverged: there is no arc", file=sys.stderr)
            missing = ("angle", "mu", "M", "rho_trained", "lambda_eff")
            rows = [dict.fromkeys(missing, math.nan)]
    LANDSCAPE.write(args.output, spec.point, [row | identity for row in rows])


if __name__ == "__main__":
    run_stage(main)
