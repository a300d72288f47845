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
from squareloss.tables.landscape import LANDSCAPE
from squareloss.train import record
from squareloss.train.snapshots import open_snapshots


def main() -> None:
    """Command line of the landscape job."""
    parser = arguments.parser(__doc__)
    for option in ("run", "snapshots", "data", "output"):
        parser.add_argument(f"--{option}", required=True)
    args = parser.parse_args()
    arguments.refuse_overwriting([args.run, args.snapshots, args.data], [args.output])
    trained = record.read(args.run)
    trained.refuse_other_snapshots(args.snapshots)
    spec = trained.spec
    torch.set_num_threads(spec.threads)
    split = read_split(args.data)
    split.refuse_other(spec.point.n_train, len(spec.replicates))
    train_x = torch.from_numpy(inputs(split, spec.recipe.images)[0])
    replicate, other = spec.replicates[:2]
    identity = {"replicate": replicate, "other": other, "epoch": spec.recipe.epochs}
    ends = [(r, spec.recipe.epochs) for r in (replicate, other)]
    with open_snapshots(args.snapshots, spec.recipe.layers(split.classes)) as snapshots:
        if all(end in snapshots for end in ends):
            first, second = found = [snapshots.get(*end) for end in ends]
            for snapshot in found:
                snapshot.refuse_other(args.snapshots, *train_x.shape[1:3])
            labels = torch.from_numpy(split.noisy_labels[0])
            rows = arc_rows(spec.point.weight_decay, first.network, second.network, labels, train_x)
        else:
            print("a replicate diverged: there is no arc", file=sys.stderr)
            missing = ("angle", "mu", "M", "rho_trained", "lambda_eff")
            rows = [dict.fromkeys(missing, math.nan)]
    LANDSCAPE.write(args.output, spec.point, [row | identity for row in rows])


if __name__ == "__main__":
    run_stage(main)
