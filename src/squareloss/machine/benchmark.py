"""How fast the engine trains, beside the loop people write by hand and a matrix product.

    python -m squareloss.machine.benchmark --output results/benchmark

In one run on one machine, in alternation after a warm-up:

- `by hand`: torch's DataLoader with workers and its parametrised weight norm, float32, one seed at
  a time. `squareloss.machine.benchmark` is the only place it is used.
- `engine`: what a training job does in its steps, in the precision named.
- `product`: one large matrix product in the engine's precision, what the hardware could do.

Writes <output>.parquet with every repetition, <output>.png, and prints the table of medians.
"""

import gc
import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, TensorDataset

from squareloss import arguments
from squareloss.data.split import Split
from squareloss.errors import run_stage, say
from squareloss.files import whole
from squareloss.machine import allowance
from squareloss.model.architecture import Conv, build, flops_per_sample, weight_shapes
from squareloss.spec import Point, Recipe, RunSpec
from squareloss.train.device import choose_device
from squareloss.train.engine import PRODUCTS, Block, tf32
from squareloss.train.job import prepare
from squareloss.train.processor import described, emulates_bfloat16

CORES = allowance.cores()
PRODUCT_SIDE = {"cpu": 2048, "cuda": 8192}
SIDE = 32
EPOCHS, EPOCH = 1000, 3  # of a run, and one that leaves no snapshot, as nearly all of them


@dataclass(frozen=True)
class Case:
    """One row of the table: what is trained, and how the engine is set."""

    network: str
    replicates: int = 1
    precision: str = "float32"
    width: float = 1.0
    channels: int = 3
    batch_size: int = 128
    n_train: int = 1280
    many_runs: bool = False  # as a sweep of small runs: one process a core, one thread each

    @property
    def name(self) -> str:
        """What the plot calls it."""
        count = f"{self.replicates} replicate{'s' if self.replicates > 1 else ''}"
        what = "sweep of small runs" if self.many_runs else count
        return f"{self.network}, {what}, {self.precision}"


def by_hand(case: Case, split: Split, device: torch.device) -> Callable[[], int]:
    """The loop people write by hand; the function trains one epoch and returns its samples."""
    modules: list[nn.Module] = []
    layers = build(case.network, 2, case.width, "stride")
    for k, (layer, shape) in enumerate(
        zip(layers, weight_shapes(layers, case.channels, SIDE), strict=True)
    ):
        if isinstance(layer, Conv):
            modules.append(nn.Conv2d(shape[1], shape[0], layer.kernel, layer.stride, bias=False))
        else:
            modules += [] if k and isinstance(modules[-2], nn.Linear) else [nn.Flatten()]
            modules.append(nn.Linear(shape[1], shape[0], bias=False))
        norm = weight_norm(modules[-1], dim=None)  # type: ignore[arg-type]  # None: one norm a layer
        norm.parametrizations.weight.original0.requires_grad_(False)
        modules.append(nn.ReLU())
        if isinstance(layer, Conv) and layer.pool > 1:
            modules.append(nn.MaxPool2d(layer.pool))
    model = nn.Sequential(*modules[:-1]).to(device)
    rho_top = nn.Parameter(torch.ones((), device=device))
    trained = [rho_top, *(p for p in model.parameters() if p.requires_grad)]
    optimizer = torch.optim.SGD(trained, lr=1e-3, momentum=0.9)
    pixels = (split.train_images / 255 - split.mean[:, None, None]) / split.std[:, None, None]
    e = nn.functional.one_hot(torch.from_numpy(split.train_labels), 2) * 2.0 - 1
    loader = DataLoader(
        TensorDataset(torch.from_numpy(pixels).float(), e),
        batch_size=case.batch_size,
        shuffle=True,
        num_workers=min(4, CORES),
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )

    def epoch() -> int:
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            optimizer.zero_grad()
            loss = (rho_top * model(x) - y).square().mean() + 1e-3 * rho_top.square()
            loss.backward()
            optimizer.step()
        _wait(device)
        return case.n_train

    return epoch


def synthetic(case: Case) -> Split:
    """Random images: the speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    labels = np.arange(case.n_train) % 2
    shape = (case.n_train, case.channels, SIDE, SIDE)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    return Split(
        train_images=images,
        train_indices=np.arange(case.n_train),
        train_labels=labels,
        noisy_labels=np.stack([labels] * case.replicates),
        test_images=images[:2],
        test_indices=np.arange(2),
        test_labels=labels[:2],
        mean=np.full(case.channels, 0.5, np.float32),
        std=np.full(case.channels, 0.25, np.float32),
    )


def spec_of(case: Case, device: torch.device) -> RunSpec:
    """The training job that `case` stands for."""
    recipe = {"dataset": "random", "network": case.network, "width": case.width}
    return RunSpec(
        point=Point(
            recipe_name="benchmark",
            weight_decay=1e-3,
            init_scale=1,
            label_noise=0,
            n_train=case.n_train,
            batch_size=case.batch_size,
            learning_rate=1e-3,
        ),
        recipe=Recipe.model_validate(recipe | {"precision": case.precision, "epochs": EPOCHS}),
        seed=0,
        replicates=tuple(range(case.replicates)),
        device="cuda" if device.type == "cuda" else "cpu",
        threads=1 if case.many_runs else CORES,
    )


def engine(case: Case, split: Split, device: torch.device) -> Callable[[], int]:
    """The engine; the function trains one epoch of every replicate and returns its samples."""
    block = prepare(spec_of(case, device), split)
    return lambda: _epoch(block, device)


def _epoch(block: Block, device: torch.device) -> int:
    for replicate in block.replicates.values():
        replicate.train_epoch(EPOCH)
    _wait(device)
    return sum(len(replicate.labels) for replicate in block.replicates.values())


@cache
def _small_run(case: Case) -> Callable[[], int]:
    return engine(case, synthetic(case), torch.device("cpu"))


def _train_small_run(case: Case) -> int:
    """In a worker process: one epoch of a small run, which stays loaded between calls."""
    return _small_run(case)()


def engine_in_processes(case: Case, pool: ProcessPoolExecutor) -> Callable[[], int]:
    """The engine as a sweep uses it, one process a core; each call trains an epoch in each."""

    def epochs() -> int:
        return sum(pool.map(_train_small_run, [case] * CORES))

    return epochs


def product_rate(precision: str, device: torch.device) -> float:
    """Floating-point operations per second of one large matrix product."""
    n = PRODUCT_SIDE[device.type]
    a, b = (torch.randn(n, n, device=device).to(PRODUCTS[precision]) for _ in range(2))
    with tf32(precision == "tf32"):
        torch.mm(a, b)
        _wait(device)
        start = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
    return 2 * n**3 / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measured(
    case: Case, device: torch.device, repeats: int, pool: ProcessPoolExecutor
) -> Iterator[dict[str, object]]:
    """Rows of the table of repetitions, in alternation."""
    torch.set_num_threads(CORES)
    split = synthetic(case)
    ours = engine_in_processes(case, pool) if case.many_runs else engine(case, split, device)
    contenders = {"by hand": by_hand(case, split, device), "engine": ours}
    # A loader's workers are forked in its first epoch: they would inherit the CUDA graphs that an
    # earlier case has left, and warn of each as they end.
    gc.collect()
    for epoch in contenders.values():
        epoch()
    flops = flops_per_sample(build(case.network, 2, case.width, "stride"), case.channels, SIDE)
    for repeat in range(repeats):
        row: dict[str, object] = {
            "case": case.name,
            "network": case.network,
            "replicates": case.replicates,
        }
        row |= {"precision": case.precision, "repeat": repeat}
        for what, epoch in contenders.items():
            start = time.perf_counter()
            samples = epoch()
            rate = samples / (time.perf_counter() - start)
            yield row | {"what": what, "samples_per_second": rate, "flop_rate": rate * flops}
        rate = product_rate(case.precision, device)
        yield row | {"what": "product", "samples_per_second": rate / flops, "flop_rate": rate}


def cases(device: torch.device) -> list[Case]:
    """What is measured on this kind of device."""
    if device.type == "cuda":
        settings = itertools.product(("cnn6", "cnn3"), (1, 10), ("float32", "tf32", "bfloat16"))
        return [Case(n, r, p, n_train=12800) for n, r, p in settings]
    precisions = ["float32"]
    if emulates_bfloat16():
        say("bfloat16 is left out: this processor emulates it, many times slower than float32")
    else:
        precisions.append("bfloat16")
    cnn6 = [Case("cnn6", r, p) for p in precisions for r in (1, 10)]
    cnn3 = [Case("cnn3", r, batch_size=32) for r in (1, 10)]
    # The size of the demo's runs
    small = Case("cnn6", width=0.25, channels=1, batch_size=8, n_train=2000, many_runs=True)
    return [*cnn6, *cnn3, small]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians by case. Ratios are the engine's rates over the others', repetition by repetition."""
    rates = rows.pivot_table(
        index=["case", "repeat"], columns="what", values="samples_per_second", sort=False
    )
    rates["engine / by hand"] = rates["engine"] / rates["by hand"]
    rates["engine / product"] = rates["engine"] / rates["product"]
    by_case = rates.groupby("case", sort=False)
    medians = by_case.median()
    medians["spread of the ratio"] = [
        f"{low:.2f} to {high:.2f}"
        for low, high in zip(
            by_case["engine / by hand"].min(), by_case["engine / by hand"].max(), strict=True
        )
    ]
    return medians


def draw(rows: pd.DataFrame, machine: str, path: Path) -> None:
    """Samples per second of every case: each repetition a dot, the median a bar across."""
    # Imported here: worker processes and the measurement need no plotting library.
    import matplotlib.pyplot as plt
    import seaborn as sns

    trained = rows[rows["what"] != "product"]
    figure, axes = plt.subplots(figsize=(8, 0.5 * trained["case"].nunique() + 1.4))
    common = {"data": trained, "y": "case", "x": "samples_per_second", "hue": "what", "ax": axes}
    common |= {"palette": "colorblind", "dodge": True}
    sns.stripplot(**common, jitter=False, alpha=0.6)
    sns.pointplot(
        **common,
        estimator="median",
        errorbar=None,
        linestyle="none",
        markers="|",
        markersize=14,
        legend=False,
    )
    axes.set(xlabel="training samples per second (log scale)", ylabel="", xscale="log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(axis="x", alpha=0.4)
    axes.set_title(f"{machine}. Dots: repetitions, bars: medians", fontsize=9)
    axes.legend(title="", loc="lower right")
    figure.tight_layout()
    with whole(path) as temporary:
        figure.savefig(temporary, dpi=150)


def main() -> None:
    """Command line of the benchmark."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--output", default="results/benchmark", help="without a suffix")
    parser.add_argument("--repeats", type=arguments.count, default=5)
    parser.add_argument("--only", default="", help="measure the cases whose name contains this")
    args = parser.parse_args()
    device = choose_device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else described()
    machine = f"{name}; {CORES} cores, torch {torch.__version__}"
    rows: list[dict[str, object]] = []
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn")) as pool:
        for case in cases(device):
            if args.only in case.name:
                print(case.name, file=sys.stderr)
                rows += measured(case, device, args.repeats, pool)
    table = pd.DataFrame(rows).assign(machine=machine)
    with whole(f"{args.output}.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    draw(table, machine, Path(f"{args.output}.png"))
    print(machine)
    print(summary(table).to_string(float_format=lambda v: f"{v:,.2f}"))


if __name__ == "__main__":
    run_stage(main)
