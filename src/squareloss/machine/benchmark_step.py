"""Candidates for the training step on a GPU, beside today's and a matrix product.

    python -m squareloss.machine.benchmark_step --output results/benchmark-step

Each candidate runs in a process of its own, and then in a second one that is told the first one's
choices. In every precision it says

- samples per second of all replicates, and their share of one large product in that precision;
- whether a replicate has the same bits alone, in company, and in the second process;
- its error: how far replicate 0 is, after a few steps, from where float64 takes it, over its way.

Writes <output>/steps.parquet, a row a repetition; parts.parquet, the seconds of each product and of
the optimiser alone; choices.json, what was chosen on this device and which kernels ran. The files
grow with every candidate, so that a machine may go before the end. Without a GPU it runs a tiny
size, in Triton's interpreter: that tests the code, and its times are no speed.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from squareloss.arguments import count, parser
from squareloss.data.split import Split
from squareloss.errors import UserError, first_line, run_stage, say
from squareloss.files import whole
from squareloss.machine.benchmark import SIDE, Case, product_rate, spec_of, synthetic
from squareloss.machine.candidates import (
    Candidate,
    Choices,
    State,
    autotuned,
    gathered,
    today,
    wait,
)
from squareloss.model.architecture import build, flops_per_sample
from squareloss.spec import RunSpec
from squareloss.train.device import choose_device
from squareloss.train.processor import described

CHECKED = 3  # steps after which bits and errors are compared
RATE = 0.1  # so large that these steps are more than the rounding of weights

Build = Callable[[RunSpec, Split, str, Choices], Candidate]


def _stacked(
    spec: RunSpec, split: Split, precision: str, choices: Choices, batched: bool = False
) -> Candidate:
    # Imported here, since Triton does not come with every PyTorch.
    from squareloss.machine.candidates_stacked import Batched, Stacked, stacked

    return stacked(spec, split, precision, choices, Batched if batched else Stacked)


PRECISIONS = ("float32", "tf32", "bfloat16")
CANDIDATES: dict[str, tuple[Build, tuple[str, ...]]] = {
    "today": (today, PRECISIONS),
    "kernels": (_stacked, (*PRECISIONS, "tf32x3")),
    "kernels, dense batched": (partial(_stacked, batched=True), (*PRECISIONS, "tf32x3")),
    "gathered": (gathered, PRECISIONS),
    "autotuned": (autotuned, PRECISIONS),
}


@dataclass(frozen=True)
class Setting:
    """How much is measured."""

    gpu: bool
    network: str = "cnn6"
    replicates: int = 10
    width: float = 1.0
    batch_size: int = 128
    n_train: int = 1280
    steps: int = 50
    repeats: int = 5

    @classmethod
    def of(cls, device: torch.device, network: str, replicates: int) -> "Setting":
        """What a card does in minutes, and what the interpreter does."""
        if device.type == "cuda":
            return cls(True, network, replicates)
        return cls(False, network, min(replicates, 2), 1 / 16, 2, 8, steps=1, repeats=2)

    def precisions(self, wanted: Iterable[str]) -> list[str]:
        """Those of `wanted` that the device has: a CPU's are not what this is about."""
        return [p for p in wanted if self.gpu or p == "float32"]

    def case(self, precision: str) -> Case:
        """The training that is measured."""
        recipe = "float32" if precision == "tf32x3" else precision
        return Case(
            self.network, self.replicates, recipe, self.width, 3, self.batch_size, self.n_train
        )


def batches(setting: Setting, steps: int, device: torch.device) -> Tensor:
    """Samples of each step and replicate (steps, R, B), the same in every process."""
    generator = torch.Generator().manual_seed(0)
    drawn = [
        torch.randperm(setting.n_train, generator=generator)[: setting.batch_size]
        for _ in range(steps * setting.replicates)
    ]
    return torch.stack(drawn).view(steps, setting.replicates, -1).to(device)


def measured(name: str, setting: Setting, choices: Choices, timed: bool) -> dict[str, Any]:
    """In a process of its own: what a candidate does in every precision.

    `rows` of the table of steps, `parts`, `choices` with what was chosen, `ran`, names of kernels,
    and `bits`, digests of every replicate by precision. Without `timed` choices and digests alone.
    """
    build_candidate, wanted = CANDIDATES[name]
    device = torch.device("cuda" if setting.gpu else "cpu")
    found: dict[str, Any] = {"rows": [], "parts": [], "choices": choices, "ran": {}, "bits": {}}
    for precision in setting.precisions(wanted):
        case = setting.case(precision)
        spec, split = _spec(case, device), synthetic(case)
        work = batches(setting, CHECKED + setting.steps, device)

        def after(spec: RunSpec, build: Build, samples: Tensor) -> tuple[Candidate, State]:
            candidate = build(spec, split, precision, choices)  # noqa: B023 - called in this turn
            wait()
            for batch in samples[:CHECKED]:
                candidate.step(batch)
            return candidate, [[v.clone() for v in row] for row in candidate.state()]

        candidate, company = after(spec, build_candidate, work)
        found["bits"][precision] = [_digest(row) for row in company]
        if not timed:
            continue
        row: dict[str, Any] = {"candidate": name, "precision": precision}
        row |= {"network": setting.network, "replicates": setting.replicates}
        ends = {0, setting.replicates - 1}
        row["alone"] = all(
            _digest(after(_only(spec, r), build_candidate, work[:, r : r + 1])[1][0])
            == found["bits"][precision][r]
            for r in ends
        )
        row["error"] = _error(company[0], setting, work[:, :1], device)
        row["kernels"] = len(ran := _ran(candidate, work[0]))
        found["ran"][precision] = sorted(set(ran))
        flops = flops_per_sample(build(case.network, 2, case.width, "stride"), case.channels, SIDE)
        for repeat in range(setting.repeats):
            wait()
            start = time.perf_counter()
            for batch in work[CHECKED:]:
                candidate.step(batch)
            wait()
            taken = (time.perf_counter() - start) / setting.steps
            rate = setting.replicates * setting.batch_size / taken
            product = product_rate(case.precision, device) / flops
            times = {"seconds": taken, "samples_per_second": rate, "share": rate / product}
            found["rows"].append(row | {"repeat": repeat} | times)
        found["parts"] += [
            {"candidate": name, "precision": precision, "part": part, "seconds": taken}
            for part, taken in candidate.parts().items()
        ]
    return found


def _spec(case: Case, device: torch.device) -> RunSpec:
    spec = spec_of(case, device)
    return spec.model_copy(update={"point": spec.point.model_copy(update={"learning_rate": RATE})})


def _only(spec: RunSpec, replicate: int) -> RunSpec:
    return spec.model_copy(update={"replicates": (replicate,)})


def _digest(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _error(end: list[Tensor], setting: Setting, work: Tensor, device: torch.device) -> float:
    """How far replicate 0 ended from where today's step in float64 ends, over the latter's way."""
    case = setting.case("float64")
    exact = today(_only(_spec(case, device), 0), synthetic(case), "float64", {})
    start = [v.clone() for v in exact.state()[0]]
    for batch in work[:CHECKED]:
        exact.step(batch)
    there = exact.state()[0]
    way = sum((a - b).square().sum() for a, b in zip(there, start, strict=True))
    off = sum((a - b).square().sum() for a, b in zip(there, end, strict=True))
    return float((off / way) ** 0.5)


def _ran(candidate: Candidate, batch: Tensor) -> list[str]:
    """The names of the kernels that a step starts on a GPU."""
    if not batch.is_cuda:
        return []
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            candidate.step(batch)
            wait()
    except RuntimeError as error:  # another program profiles, or it is not permitted
        say(f"going on without the names of kernels ({first_line(error)})")
        return []
    cuda = torch.autograd.DeviceType.CUDA
    return [event.name for event in profile.events() if event.device_type == cuda]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over the repetitions, and what is the same for all of them."""
    by = rows.groupby(["precision", "candidate"], sort=False)
    table = by[["seconds", "samples_per_second", "share"]].median()
    return table.join(by[["alone", "again", "error", "kernels"]].first())


def in_a_process(*arguments: Any) -> dict[str, Any]:
    """`measured` in a fresh process, with nothing that another candidate has left."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(measured, *arguments).result()


def main() -> None:
    """Command line of the bench."""
    options = parser(__doc__)
    options.add_argument("--output", default="results/benchmark-step", help="a folder")
    options.add_argument("--network", default="cnn6")
    options.add_argument("--replicates", type=count, default=10)
    options.add_argument("--only", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    options.add_argument("--choices", help="choices.json of an earlier run on this kind of device")
    args = options.parse_args()
    device = choose_device("auto")
    setting = Setting.of(device, args.network, args.replicates)
    if not setting.gpu:
        os.environ["TRITON_INTERPRET"] = "1"  # for the processes, which import Triton
        say("no GPU: a tiny size tests the code; its times are no speed")
    machine = torch.cuda.get_device_name() if setting.gpu else described()
    choices: Choices = read_choices(args.choices, machine) if args.choices else {}
    steps, parts, ran = pd.DataFrame(), pd.DataFrame(), {}
    for name in args.only:
        if "kernels" in name and find_spec("triton") is None:
            say(f"{name}: left out, since Triton is not installed")
            continue
        say(name)
        try:
            found = in_a_process(name, setting, choices, True)
            again = in_a_process(name, setting, found["choices"], False)["bits"]
        except Exception as error:  # what fails on this device is no reason to lose the others
            say(f"{name}: failed ({first_line(error)})")
            continue
        rows = pd.DataFrame(found["rows"])
        rows["again"] = [again[p] == found["bits"][p] for p in rows["precision"]]
        steps = pd.concat([steps, rows.assign(machine=machine)], ignore_index=True)
        parts = pd.concat([parts, pd.DataFrame(found["parts"])], ignore_index=True)
        choices, ran[name] = found["choices"], found["ran"]
        with whole(f"{args.output}/steps.parquet") as temporary:
            steps.to_parquet(temporary, index=False)
        with whole(f"{args.output}/parts.parquet") as temporary:
            parts.to_parquet(temporary, index=False)
        with whole(f"{args.output}/choices.json") as temporary:
            about = {"machine": machine, "torch": torch.__version__}
            text = json.dumps(about | {"choices": choices, "ran": ran}, indent=1)
            temporary.write_text(text, encoding="utf-8")
    if steps.empty:
        raise UserError("no candidate could be measured; the lines above say why")
    print(f"{machine}, torch {torch.__version__}: {setting}")
    by_part = parts.pivot_table("seconds", ["precision", "part"], "candidate", sort=False) * 1e6
    print("microseconds of each part alone, all replicates")
    print(by_part.to_string(float_format=lambda v: f"{v:,.0f}"))
    print(summary(steps).to_string(float_format=lambda v: f"{v:,.3g}"))
    if not setting.gpu:
        print("These times are no speed: there is no GPU here.")


def read_choices(path: str, machine: str) -> Choices:
    """What an earlier run chose. Raises `UserError` if that was on another device."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not the choices of a bench ({error})") from None
    wanted = {"machine": machine, "torch": torch.__version__}
    for key, value in wanted.items():
        if found.get(key) != value:
            raise UserError(
                f"{path}: {key} is {found.get(key)}, here it is {value}; leave out --choices"
            )
    choices: Choices = found["choices"]
    return choices


if __name__ == "__main__":
    run_stage(main)
