"""The training job: one block of replicates of a run, from a prepared split to its snapshots.

    python -m squareloss.train --spec JSON --data SPLIT --checkpoint FILE --run run.json \
        --snapshots snapshots.safetensors --history history.parquet

Each replicate draws its initial weights and batch order from streams of its own, so it takes the
same course alone or in company. A replicate whose loss stops being finite is recorded as diverged:
its later rows are NaN, and the job succeeds. A job that is killed goes on from its checkpoint.
"""

import json
import sys
import time
from pathlib import Path

from squareloss import arguments
from squareloss.data.split import read_split
from squareloss.errors import UserError, run_stage
from squareloss.files import discard_partial, whole
from squareloss.spec import RunSpec
from squareloss.tables.history import HISTORY
from squareloss.train import checkpoint
from squareloss.train import record as records
from squareloss.train.checkpoint import Keeper
from squareloss.train.job import (
    history_rows,
    out_of_memory_explained,
    prepare,
    record,
    train,
    whereabouts,
)
from squareloss.train.memory import keep_freed_memory


def main() -> None:
    """Command line of the training job."""
    start = time.perf_counter()
    parser = arguments.parser(__doc__)
    for option in ("spec", "data", "checkpoint", "run", "snapshots", "history"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--checkpoint-minutes", type=arguments.positive, default=5.0)
    args = parser.parse_args()
    spec = arguments.read_as(RunSpec, args.spec)
    arguments.refuse_overwriting(
        [args.data], [args.checkpoint, args.run, args.snapshots, args.history]
    )
    keep_freed_memory()
    with checkpoint.only_one(args.checkpoint):
        for path in (args.run, args.snapshots, args.history):
            discard_partial(path)
        split = read_split(args.data)
        with out_of_memory_explained(spec):
            block = prepare(spec, split)
        owner = checkpoint.identity(spec, args.data)
        keeper = Keeper(
            lambda: checkpoint.save(args.checkpoint, owner, block), args.checkpoint_minutes
        )
        keeper.listen()
        print(whereabouts(), file=sys.stderr)
        refusal = checkpoint.resume(args.checkpoint, owner, block)
        if refusal is None:
            print(f"going on from {args.checkpoint}", file=sys.stderr)
        elif Path(args.checkpoint).exists():
            print(f"{args.checkpoint} is not used: {refusal}; starting over", file=sys.stderr)
        with out_of_memory_explained(spec):
            train(block, spec.recipe.epochs, keeper)
        try:
            keeper.save()
        except UserError as error:  # the results do not depend on it
            print(f"{error}; going on without a last checkpoint", file=sys.stderr)
        replicates = block.replicates.values()
        checkpoint.save_tensors(
            args.snapshots, {k: t for r in replicates for k, t in r.snapshots.items()}
        )
        HISTORY.write(
            args.history, spec.point, [row for r in replicates for row in history_rows(r)]
        )
        with whole(args.run) as temporary:
            run = record(spec, block, time.perf_counter() - start)
            run |= records.checksums(snapshots=args.snapshots, history=args.history)
            temporary.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
