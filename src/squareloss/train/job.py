"""The training job in parts: a block of replicates, its course, and the record of its run."""

import math
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

import squareloss
from squareloss.data.split import Split
from squareloss.errors import UserError, say
from squareloss.spec import RunSpec
from squareloss.tables.history import HISTORY
from squareloss.train.device import Settings, choose_device, working
from squareloss.train.engine import Block, Replicate
from squareloss.train.history import Row
from squareloss.train.processor import emulates_bfloat16
from squareloss.train.training_data import load_data

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
