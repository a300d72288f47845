"""Where a training job stands, on disk: so that it may be killed at any moment and go on later.

A checkpoint says what it belongs to: the spec, the data, the code and the version of PyTorch. One
that differs in any of these is refused with the reason and training starts over: courses are never
mixed. It is kept when a run is finished, since a workflow that is killed before it has noticed asks
for the run again; the extraction of the run's metrics removes it.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from squareloss.errors import UserError
from squareloss.files import checksum, discard_partial, lock, whole
from squareloss.source.code import code
from squareloss.spec import RunSpec, canonical_json
from squareloss.train.engine import Block
from squareloss.train.history import Row

STOPPED = 75  # exit code of a job that was asked to stop: "temporary failure, try again"
# By which schedulers, terminals and limits ask: Slurm TERM, SGE USR1 and USR2, LSF USR2 and INT, a
# terminal that is closed HUP, and a limit on CPU time XCPU, once a second.
ASKING = ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGHUP", "SIGXCPU")


def save_tensors(path: str | Path, tensors: dict[str, Tensor], text: str | None = None) -> None:
    """Write a safetensors file; `text` goes into its metadata. Raises `UserError` if it cannot."""
    with whole(path) as temporary:
        try:
            metadata = None if text is None else {"squareloss": text}
            safetensors.torch.save_file(tensors, temporary, metadata)
        except safetensors.SafetensorError as error:  # what it raises if the disk is full
            raise OSError(str(error)) from None


def identity(spec: RunSpec, data: str) -> dict[str, str]:
    """What a checkpoint belongs to. `data` is the path of the prepared split."""
    return {
        "spec": canonical_json(spec),
        "data": checksum(data),
        "code version": code("train", *spec.recipe.modules()),
        "version of torch": torch.__version__,
    }


def save(path: str | Path, owner: dict[str, str], block: Block) -> None:
    """Write the checkpoint of `block`. Raises `UserError` if it cannot be written."""
    tensors: dict[str, Tensor] = {}
    progress = {}
    for r, replicate in block.replicates.items():
        tensors |= {f"state/{r}/{name}": t for name, t in replicate.state().items()}
        tensors |= {f"snapshot/{r}/{name}": t for name, t in replicate.snapshots.items()}
        progress[str(r)] = {
            "epoch": replicate.epoch,
            "diverged_at": replicate.diverged_at,
            "columns": {k: type(v).__name__ for k, v in (replicate.rows or [{}])[0].items()},
        }
        # Rows are tensors and no metadata: the size of a file's metadata is limited, and that of
        # the history is not.
        rows = [list(row.values()) for row in replicate.rows]
        tensors[f"rows/{r}"] = torch.tensor(rows, dtype=torch.float64)
    text = {"owner": owner, "seconds": block.seconds, "samples": block.samples}
    save_tensors(path, tensors, json.dumps(text | {"replicates": progress}))


def resume(path: str | Path, owner: dict[str, str], block: Block) -> str | None:
    """Bring `block` to where the checkpoint stands.

    Returns why it cannot, None if it did. A block that is not resumed is as it was.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            saved = json.loads(file.metadata()["squareloss"])
            for key, value in owner.items():
                if saved["owner"].get(key) != value:
                    return f"it is of another {key}"
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return "there is none"
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError):
        return "it is truncated or altered"
    block.seconds, block.samples = saved["seconds"], saved["samples"]
    for r, replicate in block.replicates.items():
        known = saved["replicates"][str(r)]
        replicate.restore(_below(f"state/{r}/", tensors))
        replicate.snapshots = _below(f"snapshot/{r}/", tensors)
        replicate.epoch = known["epoch"]
        replicate.rows = _rows(tensors[f"rows/{r}"], known["columns"])
        replicate.diverged_at = known["diverged_at"]
    return None


def _rows(values: Tensor, columns: dict[str, str]) -> list[Row]:
    """The rows of `history` whose values are the rows of `values`; `columns`: name to type."""
    kinds = [{"int": int, "float": float}[kind] for kind in columns.values()]
    return [
        {name: kind(value) for name, kind, value in zip(columns, kinds, row, strict=True)}
        for row in values.tolist()
    ]


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


@dataclass
class Keeper:
    """Saves a checkpoint every few minutes, and when the job is asked to stop."""

    save: Callable[[], None]
    minutes: float
    saved_at: float = field(default_factory=time.monotonic)
    asked: list[str] = field(default_factory=list)  # the signals that came

    def listen(self) -> None:
        """From now on the signals `ASKING` ask to stop; the same one again stops at once.

        But for SIGXCPU, which repeats itself. `nohup` has SIGHUP ignored, and it stays so.
        """
        for name in ASKING:
            if signal.getsignal(signal.Signals[name]) is not signal.SIG_IGN or name != "SIGHUP":
                signal.signal(signal.Signals[name], self._ask)

    def _ask(self, number: int, _frame: object) -> None:
        self.asked.append(signal.Signals(number).name)
        if number != signal.SIGXCPU:
            signal.signal(number, signal.SIG_DFL)

    def __call__(self) -> None:
        """Called where the block is consistent. Raises `SystemExit` if the job is to stop."""
        if not self.asked and time.monotonic() - self.saved_at < 60 * self.minutes:
            return
        self.save()
        self.saved_at = time.monotonic()
        if self.asked:
            print(
                f"stopped by {self.asked[0]}; the next attempt goes on from here", file=sys.stderr
            )
            sys.exit(STOPPED)


@contextmanager
def only_one(path: str | Path) -> Iterator[None]:
    """Let one job at a time train towards checkpoint `path`; the lock dies with its process.

    Raises `UserError` if another job is at it.
    """
    guard = Path(f"{path}.lock")
    guard.parent.mkdir(parents=True, exist_ok=True)
    with guard.open("a+", encoding="utf-8") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{guard}: {file.read().strip()} is training this run; wait for it or stop it"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        discard_partial(path)
        yield
