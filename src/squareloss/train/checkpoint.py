"""Where a training job stands, on disk: so that it may be killed at any moment and go on later.

A checkpoint says what it belongs to: the spec, the data, the code and the version of PyTorch. One
that differs in any of these is refused with the reason and training starts over: courses are never
mixed. So is one that its checksum does not fit, since a flipped bit would end in other results. It
is kept when a run is finished, since a workflow that is killed before it has noticed asks for the
run again; the extraction of the run's metrics removes it.
"""

import hashlib
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

CHECKSUM = "sha256"  # of text and tensors, beside the text in a checkpoint's metadata
ALTERED = "it is truncated or altered"
STOPPED = 75  # exit code of a job that was asked to stop: "temporary failure, try again"
# By which schedulers, terminals and limits ask: Slurm TERM, SGE USR1 and USR2, LSF USR2 and INT, a
# terminal that is closed HUP, and a limit on CPU time XCPU, once a second.
ASKING = ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGHUP", "SIGXCPU")


def save_tensors(path: str | Path, tensors: dict[str, Tensor], text: str | None = None) -> None:
    """Write a safetensors file; `text` goes into its metadata, with a checksum of all.

    Raises `UserError` if it cannot.
    """
    with whole(path) as temporary:
        try:
            metadata = None
            if text is not None:
                metadata = {"squareloss": text, CHECKSUM: _checksum(tensors, text)}
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

    Returns why it cannot, None if it did. A block that is not resumed is as it was: all is read,
    compared with the checksum and found to fit before anything is restored.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            text = metadata["squareloss"]
            if CHECKSUM not in metadata:
                return "it has no checksum, as those of earlier versions"
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata[CHECKSUM] != _checksum(tensors, text):
            return ALTERED
        saved = json.loads(text)
        for key, value in owner.items():
            if saved["owner"].get(key) != value:
                return f"it is of another {key}"
        progress = {r: saved["replicates"][str(r)] for r in block.replicates}
        stands = {r: (known["epoch"], known["diverged_at"]) for r, known in progress.items()}
        rows = {r: _rows(tensors[f"rows/{r}"], known["columns"]) for r, known in progress.items()}
        states = {r: _below(f"state/{r}/", tensors) for r in progress}
        seconds, samples = saved["seconds"], saved["samples"]
        for r, replicate in block.replicates.items():
            if _shapes(states[r]) != _shapes(replicate.state()):
                return "it is of another network"
    except FileNotFoundError:
        return "there is none"
    except Exception:  # a damaged file fails in any of its readers' ways
        return ALTERED
    block.seconds, block.samples = seconds, samples
    for r, replicate in block.replicates.items():
        replicate.restore(states[r])
        replicate.snapshots = _below(f"snapshot/{r}/", tensors)
        replicate.rows = rows[r]
        replicate.epoch, replicate.diverged_at = stands[r]
    return None


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, and the text with them."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


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
