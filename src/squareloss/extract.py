"""The extraction job: every metric table of one block, from its snapshots.

    python -m squareloss.extract --run run.json --snapshots snapshots.safetensors \
        --data SPLIT --delta 0.05 --margins P --collapse P --layers P --bounds P
"""

import argparse
import sys

import torch

from squareloss.data.split import read_split
from squareloss.errors import run_stage
from squareloss.measure.extraction import extracted
from squareloss.tables.metrics import METRICS
from squareloss.train import record


def main() -> None:
    """Command line of the extraction job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("run", "snapshots", "data", *(table.name for table in METRICS)):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--delta", type=float, required=True)
    args = parser.parse_args()
    trained = record.read(args.run)
    trained.refuse_other_snapshots(args.snapshots)
    spec = trained.spec
    torch.set_num_threads(spec.threads)
    rows = extracted(spec, args.snapshots, read_split(args.data), args.delta)
    for table in METRICS:
        table.write(getattr(args, table.name), spec.point, rows[table.name])
        print(f"{table.name}: {len(rows[table.name])} rows", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
