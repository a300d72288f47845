"""The device of a training job, and how training goes on where a part of it fails.

What makes a GPU quick fails on some machines: an old card, a slice of one, a driver, another build
of PyTorch, memory that others hold. None of it changes what is computed beyond rounding. So what
fails is left out, with one line in the log that says what and why.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from squareloss.errors import UserError, first_line, say

WARM_UP = 3  # steps before a recording, in which libraries choose algorithms and allocate memory


@dataclass(frozen=True)
class Settings:
    """What of a device is used."""

    gpu: bool
    fused: bool = True  # the optimiser's step as one kernel
    deterministic: bool = False  # sums in one order; a CPU has no other
    streams: bool = False  # replicates side by side
    recorded: bool = False  # the step as a CUDA graph, with the learning rate on the device

    @classmethod
    def of(cls, device: torch.device) -> "Settings":
        """All that there is for a device."""
        gpu = device.type == "cuda"
        return cls(gpu=gpu, deterministic=gpu, streams=gpu, recorded=gpu)

    def apply(self) -> None:
        """Set what PyTorch keeps for the whole process. Before the first product on the device."""
        if not self.gpu:
            return  # there is nothing to set, and the first switch loads 140 MB of PyTorch
        if self.deterministic:
            # Without it, streams may share a workspace of cuBLAS, and sums would vary.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(self.deterministic)
        # Convolutions would round to 10 bits by default. A step in tf32 asks for that itself.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        # Deterministic mode fills each new tensor, 77 times a step of cnn6. That is not needed
        # here: no tensor is read before it is written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def fallbacks(self) -> Iterator[tuple[str, "Settings"]]:
        """What to leave out when a plain step fails, the least loss first, and what stays."""
        undetermined = replace(self, deterministic=False)
        if self.deterministic:
            yield "deterministic mode (results will vary in the last digits)", undetermined
        if self.fused:
            # Only the fused optimiser takes a rate that lies on the device.
            yield "the fused optimiser (slower)", replace(self, fused=False, recorded=False)
            if self.deterministic:
                both = replace(undetermined, fused=False, recorded=False)
                yield "deterministic mode and the fused optimiser", both


CPU = Settings(gpu=False)


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one that can be used, and says on stderr if it cannot.

    Raises `UserError` for `cuda` where PyTorch cannot use a GPU.
    """
    if name == "cpu":
        return torch.device("cpu")
    trouble = gpu_trouble()
    if trouble is None:
        return torch.device("cuda")
    if name == "cuda":
        raise UserError(f"config: device: cuda, and {trouble}; allowed: auto, cpu")
    if has_gpu():
        say(f"working on the CPU, as {trouble}; `make doctor` says more")
    return torch.device("cpu")


def gpu_trouble() -> str | None:
    """Why PyTorch cannot use a GPU here; None if it can."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        reasons = [first_line(warning.message) for warning in said]
        if not has_gpu():
            return "PyTorch finds no GPU here"
        if torch.version.cuda is None and torch.version.hip is None:
            reasons = ["this build of PyTorch is for CPUs"]
        return f"PyTorch cannot use the GPU here ({'; '.join(reasons) or 'it gives no reason'})"
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:  # all memory taken, exclusive mode, a card that is gone
        return (
            f"the GPU takes no work ({first_line(error)}); nvidia-smi shows who uses it, and "
            "CUDA_VISIBLE_DEVICES chooses another"
        )
    return None


def has_gpu() -> bool:
    """Whether this machine shows a GPU, whatever PyTorch makes of it."""
    return (
        Path("/dev/nvidiactl").exists()
        or Path("/dev/kfd").exists()
        or bool(shutil.which("nvidia-smi"))
    )


def working(settings: Settings, step: Callable[[Settings], None]) -> Settings:
    """The settings with which `step` works: these, or fewer.

    `step` takes one plain step of training with the settings that it is given. Raises `UserError`
    if it fails whatever is left out, and `torch.OutOfMemoryError` as it comes.
    """
    failed: RuntimeError | None = None
    for left_out, fewer in [("", settings), *settings.fallbacks()]:
        fewer.apply()
        try:
            step(fewer)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            failed = failed or error
            continue
        if failed:
            say(f"going on without {left_out}: a step fails with it ({first_line(failed)})")
        return fewer
    raise UserError(
        f"a training step fails on this device ({first_line(failed)}); `device: cpu` does without"
    )


def own_stream(settings: Settings) -> torch.cuda.Stream | None:
    """A stream for one replicate; None without streams, and where there is none to be had."""
    if not settings.streams:
        return None
    try:
        return torch.cuda.Stream()
    except RuntimeError as error:
        say(f"going on without a stream for each replicate ({first_line(error)})")
        return None


class RecordedStep:
    """A step as CUDA graphs, one for each size of batch; plain where recording fails.

    `step` takes the samples' numbers (B,) int64 on the device. `state` gives the tensors that it
    changes, and `restored` is called when these have got earlier values back.
    """

    def __init__(
        self,
        step: Callable[[Tensor], None],
        state: Callable[[], list[Tensor]],
        restored: Callable[[], None],
        stream: torch.cuda.Stream | None,
    ) -> None:
        self.step, self.state, self.restored, self.stream = step, state, restored, stream
        self.graphs: dict[int, tuple[Tensor, torch.cuda.CUDAGraph] | None] = {}

    def __call__(self, batch: Tensor) -> None:
        """The step for a batch, recorded when one of this size first comes."""
        size = len(batch)
        if size not in self.graphs:
            self.graphs[size] = self._recorded(batch)
        recorded = self.graphs[size]
        if recorded is None:
            self.step(batch)
            return
        index, graph = recorded
        index.copy_(batch)
        graph.replay()

    def _recorded(self, batch: Tensor) -> tuple[Tensor, torch.cuda.CUDAGraph] | None:
        """The numbers that the graph reads, and the graph; None if it cannot be recorded."""
        tensors = self.state()
        before = [tensor.detach().clone() for tensor in tensors]
        try:
            index, graph = batch.clone(), torch.cuda.CUDAGraph()
            for _ in range(WARM_UP):
                self.step(index)
            with torch.cuda.graph(graph, stream=self.stream):
                self.step(index)
            return index, graph
        except RuntimeError as error:
            say(
                f"going on without a recording of steps of {len(batch)} samples, slower "
                f"({first_line(error)})"
            )
            return None
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, before, strict=True):
                    tensor.copy_(value)
            self.restored()
