"""The training job: one block of replicates of a run, from a prepared split to its snapshots.

    python -m squareloss.train --spec JSON --data SPLIT --checkpoint FILE --run run.json \
        --snapshots snapshots.safetensors --history history.parquet

Each replicate draws its initial weights and batch order from streams of its own, so it takes the
same course alone or in company. A replicate whose loss stops being finite is recorded as diverged:
its later rows are NaN, and the job succeeds. A job that is killed goes on from its checkpoint.
"""

import json
import math
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import squareloss
from squareloss import arguments, checkpoint
from squareloss.checkpoint import Keeper
from squareloss.data.split import Split, read_split
from squareloss.device import Settings, choose_device, say, working
from squareloss.engine import Block, Replicate, Row, load_data
from squareloss.errors import UserError, run_stage
from squareloss.files import discard_partial, whole
from squareloss.processor import emulates_bfloat16
from squareloss.spec import RunSpec
from squareloss.tables.history import HISTORY

LOG_LINES = 20  # of a replicate, where no terminal shows a progress bar


def prepare(spec: RunSpec, split: Split) -> Block:
    """The untrained replicates of a block, on their device."""
    torch.set_num_threads(spec.threads)
    device = choose_device(spec.device)
    settings = Settings.of(device)
    data = load_data(spec, split, device)
    if not settings.gpu and spec.recipe.precision == "bfloat16" and emulates_bfloat16():
        # What a recipe is named after stays what it computes: another precision is another study.
        say(
            "this processor has no bfloat16 and emulates it, several times slower than float32; "
            "config: recipes: precision: float32 is quicker and more precise"
        )
    if settings.gpu:

        def rehearsal(settings: Settings) -> None:
            """One step of a replicate that is then forgotten."""
            settings = replace(settings, streams=False)
            replicate = Replicate(spec, data, spec.replicates[0], settings)
            replicate.step(torch.arange(min(spec.point.batch_size, spec.point.n_train)).to(device))
            torch.cuda.synchronize()

        settings = working(settings, rehearsal)
    replicates = {r: Replicate(spec, data, r, settings) for r in spec.replicates}
    return Block(replicates, settings.gpu)


def train(block: Block, epochs: int, pause: Callable[[], None] = lambda: None) -> None:
    """Train every replicate up to the last epoch, from wherever it stands.

    `pause` is called whenever all replicates are between two epochs of theirs.
    """
    replicates = list(block.replicates.values())
    # A GPU works on all replicates at once; on a CPU it is as fast to train them in turn.
    groups = [replicates] if block.on_gpu else [[replicate] for replicate in replicates]
    terminal = sys.stderr.isatty()
    bar = tqdm(total=epochs * len(replicates), unit="epoch", disable=not terminal)
    bar.update(sum(max(0, replicate.epoch) for replicate in replicates))
    for epoch in range(epochs + 1):
        for group in groups:
            behind = [r for r in group if r.epoch < epoch and r.diverged_at is None]
            if not behind:
                continue
            start = time.perf_counter()
            for replicate in behind if epoch else []:
                replicate.train_epoch(epoch)
                block.samples += len(replicate.labels)
            # Between measurements a GPU has no need to wait for the slowest replicate of an epoch.
            if block.on_gpu and epoch in behind[0].evaluated:
                torch.cuda.synchronize()
            block.seconds += time.perf_counter() - start
            for replicate in behind:
                replicate.measure(epoch)
                if epoch:
                    bar.update()
                _report(replicate, epochs, bar, terminal)
            pause()
    bar.close()


def _report(replicate: Replicate, epochs: int, bar: tqdm, terminal: bool) -> None:
    """Show how a replicate does: at the bar, or in a log now and then."""
    epoch, every = replicate.epoch, replicate.spec.recipe.evaluate_every
    if replicate.diverged_at == epoch:
        print(f"replicate {replicate.replicate}: diverged at epoch {epoch}", file=sys.stderr)
        return
    row = replicate.rows[-1]
    summary = (
        f"loss {row['train_loss']:.3g} rho {row['rho']:.4g} "
        f"train error {row['train_error']:.3f} test error {row['test_error']:.3f}"
    )
    bar.set_postfix_str(summary)
    due = epoch * LOG_LINES // epochs > (epoch - every) * LOG_LINES // epochs
    if row["epoch"] == epoch and due and not terminal:
        print(f"replicate {replicate.replicate} epoch {epoch}: {summary}", file=sys.stderr)


def history_rows(replicate: Replicate) -> list[Row]:
    """Rows of `history`; those a diverged replicate did not reach are NaN."""
    done = {row["epoch"]: row for row in replicate.rows}
    missing = {column.name: math.nan for column in HISTORY.columns if column.type == "float64"}
    missing |= {"replicate": replicate.replicate, "classes": replicate.data.classes}
    return [
        done.get(epoch, missing | {"epoch": epoch})
        for epoch in replicate.spec.recipe.evaluation_epochs()
    ]


def record(spec: RunSpec, block: Block, wall: float) -> Row:
    """What run.json says: the spec, how each replicate went, and on what."""
    diverged_at = {str(r): replicate.diverged_at for r, replicate in block.replicates.items()}
    return {
        "spec": spec.model_dump(),
        "diverged_at": diverged_at,
        "diverged": any(epoch is not None for epoch in diverged_at.values()),
        "device": torch.cuda.get_device_name() if block.on_gpu else "cpu",
        "threads": spec.threads,
        "wall_seconds": round(wall, 3),
        "samples_per_second": round(block.samples / block.seconds, 1) if block.samples else None,
        "squareloss": squareloss.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@contextmanager
def out_of_memory_explained(spec: RunSpec) -> Iterator[None]:
    """Turn PyTorch's error into a `UserError` that says what to lower."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(
            f"out of device memory: {len(spec.replicates)} replicates with batches of "
            f"{spec.point.batch_size} do not fit; lower block_size or batch_size"
        ) from None


def whereabouts() -> str:
    """The attempt's process, host, and what a cluster gave it: for the log."""
    given = ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "CUDA_VISIBLE_DEVICES")
    words = [f"{name}={os.environ[name]}" for name in given if name in os.environ]
    return " ".join([f"process {os.getpid()} on {socket.gethostname()}", *words])


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
            temporary.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
