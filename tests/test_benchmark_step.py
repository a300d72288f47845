"""The candidates for a faster step take today's step, and the bench says what it ran."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from squareloss.errors import UserError
from squareloss.machine import benchmark_step, candidates
from squareloss.machine.benchmark import Case, spec_of, synthetic
from squareloss.machine.benchmark_step import (
    CANDIDATES,
    CHECKED,
    Setting,
    batches,
    read_choices,
    summary,
)

TRITON = find_spec("triton") is not None
CPU = torch.device("cpu")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Tiles are not what is tested, and to try them takes a minute in the interpreter.
CHOSEN = {"tiles float64": {}, "gathered float64": [1, 3]}


@pytest.mark.parametrize(
    ("inputs", "side", "outputs", "k", "stride"),
    [(3, 9, 4, 3, 1), (5, 8, 2, 3, 2), (1, 9, 7, 3, 3), (2, 7, 3, 4, 2)],
)
def test_the_gathered_gradient_is_pytorchs(inputs, side, outputs, k, stride):
    x = torch.randn(6, inputs, side, side, dtype=torch.float64)
    weight = torch.randn(outputs, inputs, k, k, dtype=torch.float64, requires_grad=True)
    z = F.conv2d(x, weight, stride=stride)
    dz = torch.randn_like(z)
    (expected,) = torch.autograd.grad(z, weight, dz)
    lying = [t.contiguous(memory_format=torch.channels_last) for t in (x, weight.detach(), dz)]
    found = candidates.gathered_weight_gradient(*lying, stride)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        candidates.cudnn_gradients(*lying, stride, (False, True))[1], expected
    )


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "today"])
@pytest.mark.parametrize("network", ["cnn6", "cnn3"])
def test_every_candidate_takes_todays_course(monkeypatch, name, network):
    if "kernels" in name and not TRITON:
        pytest.skip("Triton comes with PyTorch for CUDA, on Linux")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)  # one of them turns it on
    if network == "cnn3":
        monkeypatch.setitem(CHOSEN, "gathered float64", [0, 1])
    case = Case(network, 2, "float64", 1 / 16, 3, 3, 8)
    spec, split = spec_of(case, DEVICE), synthetic(case)
    setting = Setting(False, network, 2, 1 / 16, 3, 8)
    states = []
    for build in (candidates.today, CANDIDATES[name][0]):
        candidate = build(spec, split, "float64", dict(CHOSEN))
        start = [v.clone() for row in candidate.state() for v in row]
        for batch in batches(setting, 2, DEVICE):
            candidate.step(batch)
        states.append([v for row in candidate.state() for v in row])
    for begun, end, found in zip(start, *states, strict=True):
        assert not begun.equal(end)
        torch.testing.assert_close(found, end, rtol=1e-11, atol=1e-13)


def test_the_costliest_gradients_are_those_that_take_longest(monkeypatch):
    taken = iter([0.1, 0.4, 0.2, 0.3])
    monkeypatch.setattr(candidates, "seconds", lambda call: next(taken))
    case = Case("cnn6", 1, "float32", 1 / 16, 3, 2, 8)
    (replicate,) = candidates.prepare(spec_of(case, CPU), synthetic(case)).replicates.values()
    assert candidates.costliest(replicate) == [1, 3]


def test_a_candidate_that_computes_something_else_is_told_by_its_error():
    setting = Setting(False, "cnn3", 1, 1 / 4, 8, 32)
    case = setting.case("float32")
    work = batches(setting, CHECKED, CPU)
    ends = []
    for rate in (benchmark_step.RATE, 1.01 * benchmark_step.RATE):
        spec = benchmark_step._spec(case, CPU)
        point = spec.point.model_copy(update={"learning_rate": rate})
        spec = spec.model_copy(update={"point": point})
        candidate = candidates.today(spec, synthetic(case), "float32", {})
        for batch in work:
            candidate.step(batch)
        ends.append(benchmark_step._error(candidate.state()[0], setting, work, CPU))
    assert ends[0] < 1e-5
    assert ends[1] == pytest.approx(0.01, rel=0.5)


def test_the_summary_has_medians_and_what_holds_for_all_repetitions():
    rows = [
        {
            "precision": "tf32", "candidate": "today", "repeat": i, "seconds": taken,
            "samples_per_second": 1 / taken, "share": 0.1 * taken, "alone": True, "again": False,
            "error": 1e-3, "kernels": 7,
        }
        for i, taken in enumerate((0.5, 4.0, 1.0))
    ]  # fmt: skip
    row = summary(pd.DataFrame(rows)).loc["tf32", "today"]
    assert (row["seconds"], row["samples_per_second"], row["share"]) == (1.0, 1.0, 0.1)
    assert (row["alone"], row["again"], row["error"], row["kernels"]) == (True, False, 1e-3, 7)


def test_choices_of_another_device_are_refused(tmp_path):
    path = tmp_path / "choices.json"
    about = {"machine": "a card", "torch": torch.__version__, "choices": {"tiles tf32": {}}}
    path.write_text(json.dumps(about), encoding="utf-8")
    assert read_choices(str(path), "a card") == {"tiles tf32": {}}
    with pytest.raises(UserError, match="machine is a card, here it is another card"):
        read_choices(str(path), "another card")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not the choices of a bench"):
        read_choices(str(path), "a card")


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not TRITON, reason="Triton comes with PyTorch for CUDA, on Linux")
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it takes minutes")
def test_the_bench_runs_without_a_gpu_and_says_so(tmp_path):
    words = ["--output", str(tmp_path), "--network", "cnn3", "--replicates", "1"]
    command = [
        sys.executable,
        "-m",
        "squareloss.machine.benchmark_step",
        *words,
        "--only",
        "today",
        "kernels",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "These times are no speed" in done.stdout
    assert "failed" not in done.stderr
    steps = pd.read_parquet(tmp_path / "steps.parquet")
    assert list(steps["candidate"].unique()) == ["today", "kernels"]
    assert steps[["alone", "again"]].all(axis=None)
    assert (steps["error"] < 1e-5).all()
    assert (steps[["seconds", "samples_per_second", "share"]] > 0).all(axis=None)
    parts = pd.read_parquet(tmp_path / "parts.parquet")
    of = {name: set(rows["part"]) for name, rows in parts.groupby("candidate")}
    assert of["today"] == of["kernels"]
    written = json.loads((tmp_path / "choices.json").read_text(encoding="utf-8"))
    assert set(written["choices"]["tiles float32"]) == set(parts["part"]) - {"optimiser"}


def test_without_triton_it_leaves_the_kernels_out():
    done = run(
        "import sys; sys.modules['triton'] = None\n"
        "from squareloss.errors import run_stage\n"
        "from squareloss.machine.benchmark_step import main\n"
        "sys.argv = ['bench', '--only', 'kernels', 'kernels, dense batched']\n"
        "run_stage(main)"
    )
    assert done.returncode == 1
    assert done.stderr.count("left out, since Triton is not installed") == 2
    assert "no candidate could be measured" in done.stderr
