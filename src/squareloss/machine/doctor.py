"""What this machine has, whether training works on it, and what a study would cost here.

    python -m squareloss.machine.doctor [--config config.yaml config/demo.yaml] [--seconds 10]

`make doctor`. Trains cnn6 at full width on random images, for some seconds on every device. On a
GPU, recorded steps are compared with plain ones. Changes nothing.
"""

import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from squareloss.arguments import parser, seconds
from squareloss.data.images import CHANNELS, SIDE
from squareloss.errors import run_stage
from squareloss.machine import allowance
from squareloss.machine.benchmark import CORES, Case, engine, spec_of, synthetic
from squareloss.model.architecture import build, flops_per_sample
from squareloss.study import cost
from squareloss.study.config import Study
from squareloss.study.files import read
from squareloss.train.device import RecordedStep, gpu_trouble, has_gpu
from squareloss.train.engine import Replicate
from squareloss.train.job import prepare
from squareloss.train.processor import described

AGREES = 1e-4  # relative difference of weights after an epoch; rounding alone leaves 1e-6


@dataclass(frozen=True)
class Measured:
    """How training went on a device."""

    device: str
    samples_per_second: float  # of cnn6 at full width, batches of 128, float32
    differs: float | None = None  # recorded from plain steps, relative; None if not recorded

    @property
    def flop_rate(self) -> float:
        """What `training_rate` of the config stands for: FLOP/s of a training job."""
        layers = build("cnn6", 2, 1, "stride")
        return self.samples_per_second * flops_per_sample(layers, CHANNELS, SIDE)


def memory() -> str:
    """Main memory that this process may have, in all and free."""
    found = allowance.memory()
    if found is None:
        return "unknown"
    total, free = (bytes_ / 1e9 for bytes_ in found)
    return f"{total:.0f} GB, {free:.0f} GB of it free"


def gpus() -> list[str]:
    """A line for each GPU that PyTorch can use, or one that says why there is none."""
    trouble = gpu_trouble()
    driver = _said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if trouble:
        seen = f" (driver {driver})" if driver and has_gpu() else ""
        return [f"none: {trouble}{seen}"]
    lines = []
    for k in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(k)
        free, total = torch.cuda.mem_get_info(k)
        rounds = "bfloat16" if torch.cuda.is_bf16_supported() else "no bfloat16"
        lines.append(
            f"{about.name}, compute capability {about.major}.{about.minor}, {total / 1e9:.0f} GB, "
            f"{free / 1e9:.0f} GB of it free, {rounds}, driver {driver or 'unknown'}"
        )
    return lines


def slurm() -> str:
    """Slurm's version, if its commands are there and know a cluster."""
    if not shutil.which("sinfo"):
        return "none: no command sinfo"
    return _said_by("sinfo", "--version") or "sinfo is there and does not answer"


def facts() -> dict[str, str]:
    """What the machine has, by the name of it."""
    build_of = torch.version.cuda and f"CUDA {torch.version.cuda}"
    build_of = build_of or (torch.version.hip and f"ROCm {torch.version.hip}") or "for CPUs only"
    free = shutil.disk_usage(".").free / 1e9
    return {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "PyTorch": f"{torch.__version__}, {build_of}",
        "processor": f"{described()}; {CORES} cores for this process",
        "memory": memory(),
        "disk": f"{free:,.0f} GB free here, {Path.cwd()}",
        "GPU": "; ".join(gpus()),
        "Slurm": slurm(),
    }


def measured(name: str, seconds: float) -> Measured:
    """Train for some seconds on a device, and compare recorded steps where it has them.

    On a CPU with one thread, as one job of many trains.
    """
    device = torch.device(name)
    case = Case("cnn6", n_train=12_800 if name == "cuda" else 256, many_runs=name == "cpu")
    split = synthetic(case)
    epoch = engine(case, split, device)
    epoch()  # warms up, and records
    samples, start = 0, time.perf_counter()
    while not samples or time.perf_counter() - start < seconds:
        samples += epoch()
    rate = samples / (time.perf_counter() - start)
    differs = None
    if name == "cuda":
        pair = [prepare(spec_of(case, device), split).replicates[0] for _ in range(2)]
        if isinstance(pair[0].take_step, RecordedStep):
            differs = disagreement(*pair)
    return Measured(name, rate, differs)


def disagreement(recorded: Replicate, plain: Replicate) -> float:
    """Largest relative difference of a layer's weights after the same steps, taken in both ways."""
    plain.take_step = plain.step
    for replicate in (recorded, plain):
        replicate.train_epoch(1)
    torch.cuda.synchronize()
    pairs = zip(recorded.model.full_weights(), plain.model.full_weights(), strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


def hours(study: Study, rate: float) -> float:
    """Hours of one device that train a study at `rate` FLOP/s."""
    return float(
        cost.estimate(study.model_copy(update={"training_rate": rate}))["GPU hours"].iloc[-1]
    )


def advice(found: list[Measured], study: Study) -> list[str]:
    """Which settings to use here, and what the study would cost."""
    best = max(found, key=lambda one: one.flop_rate)
    lines = []
    if best.device == "cuda":
        if best.differs is not None and best.differs > AGREES:
            lines.append(
                f"recorded steps differ from plain ones by {best.differs:.1g}: do not rely on this "
                "GPU; `device: cpu` does without"
            )
        lines.append(f"device: auto, training_rate: {best.flop_rate:.2g}")
        total, parallel = hours(study, best.flop_rate), "this GPU"
    else:
        lines.append(
            f"device: cpu, snakemake --cores {CORES}: one job a core, each with one thread"
        )
        # Cores share memory and caches, so this is the least that it takes.
        total, parallel = hours(study, best.flop_rate) / CORES, f"these {CORES} cores, at least"
    lines.append(f"study {study.study}: {total:,.1f} hours of training on {parallel}")
    return lines


def main() -> None:
    """Command line of `make doctor`."""
    options = parser(__doc__)
    options.add_argument("--config", nargs="+", default=["config.yaml"], help="and its overlays")
    options.add_argument("--seconds", type=seconds, default=10, help="of training on each device")
    arguments = options.parse_args()
    study = read(arguments.config)
    for name, fact in facts().items():
        print(f"{name:10}{fact}", flush=True)
    print()
    found = []
    for device in ["cpu"] if gpu_trouble() else ["cpu", "cuda"]:
        try:
            one = measured(device, arguments.seconds)
        except torch.OutOfMemoryError:
            print(f"{device}: no room to train in: others hold the GPU's memory", flush=True)
            continue
        found.append(one)
        compared = "" if one.differs is None else f", recorded steps differ by {one.differs:.1g}"
        where = "one thread" if device == "cpu" else torch.cuda.get_device_name()
        print(
            f"{device}: cnn6, {where}: {one.samples_per_second:,.0f} samples/s, "
            f"{one.flop_rate:.2g} FLOP/s{compared}",
            flush=True,
        )
    print()
    for line in advice(found, study):
        print(line)


def _said_by(*command: str) -> str:
    """The first line that a command prints; nothing if it is not there or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]


if __name__ == "__main__":
    run_stage(main)
