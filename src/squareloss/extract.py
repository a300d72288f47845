"""The extraction job: every metric table of one block, from its snapshots.

    python -m squareloss.extract --run run.json --snapshots snapshots.safetensors \
        --data SPLIT --delta 0.05 --margins P --collapse P --layers P --bounds P
"""

import sys

import torch

from squareloss import arguments
from squareloss.data.split import read_split
from squareloss.errors import run_stage
from squareloss.measure.extraction import extracted
from squareloss.tables.metrics import METRICS
from squareloss.train import record
from squareloss.train.memory import keep_freed_memory


def main() -> None:
    """Command line of the extraction job."""
    parser = arguments.parser(__doc__)
    for option in ("run", "snapshots", "data", *(table.name for table in METRICS)):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--delta", type=arguments.probability, required=True)
    args = parser.parse_args()
    outputs = [getattr(args, table.name) for table in METRICS]
    arguments.refuse_overwriting([args.run, args.snapshots, args.data], outputs)
    trained = record.read(args.run)
    trained.refuse_other_snapshots(args.snapshots)
    spec = trained.spec
    torch.set_num_threads(spec.threads)
    keep_freed_memory()
    rows = extracted(spec, args.snapshots, read_split(args.data), args.delta)
    for table in METRICS:
        table.write(getattr(args, table.name), spec.point, rows[table.name])
        print(f"{table.name}: {len(rows[table.name])} rows", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
