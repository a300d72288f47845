"""What `make doctor` says of a machine, of one without a GPU and of one that has it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from fake_cuda import FakeCuda
from test_device import AS_ON_A_GPU
from workflow_copy import ROOT

from squareloss.machine import doctor
from squareloss.machine.doctor import Measured, advice, disagreement, hours
from squareloss.model.architecture import build, flops_per_sample
from squareloss.study.files import read
from squareloss.train.engine import Replicate
from squareloss.train.training_data import load_data

DEMO = [str(ROOT / "config.yaml"), str(ROOT / "config" / "demo.yaml")]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_on_a_machine_without_a_gpu_it_says_so_and_what_to_do():
    command = [
        sys.executable,
        "-m",
        "squareloss.machine.doctor",
        "--seconds",
        "0",
        "--config",
        *DEMO,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    about, trained, what = done.stdout.split("\n\n")
    assert [line.split()[0] for line in about.splitlines()] == list(doctor.facts())
    assert "GPU       none: PyTorch " in about
    assert "samples/s" in trained
    assert trained.startswith("cpu: cnn6, one thread: ")
    assert f"snakemake --cores {doctor.CORES}" in what
    assert "study demo: " in what


def test_the_rate_is_that_of_the_configs_training_rate():
    flops = flops_per_sample(build("cnn6", 2, 1, "stride"), 3, 32)
    assert Measured("cpu", 10.0).flop_rate == 10 * flops
    study = read([DEMO[0]])
    slow, quick = hours(study, 1e12), hours(study, 2e12)
    assert 1.9 < slow / quick < 2  # the start of each job stays
    assert hours(study, study.training_rate) == pytest.approx(18.75, abs=0.05)  # docs/cluster.md


def test_a_gpu_is_advised_unless_its_recordings_go_wrong():
    study = read([DEMO[0]])
    cpu, gpu = Measured("cpu", 100.0), Measured("cuda", 500_000.0, differs=1e-6)
    [settings, price] = advice([cpu, gpu], study)
    assert settings == f"device: auto, training_rate: {gpu.flop_rate:.2g}"
    assert "on this GPU" in price
    warning, *_ = advice([cpu, Measured("cuda", 500_000.0, differs=0.3)], study)
    assert "do not rely on this GPU" in warning


def test_recorded_and_plain_steps_are_compared(monkeypatch, split, make_spec):
    spec = make_spec(replicates=(0,))
    data = load_data(spec, split, torch.device("cpu"))
    with FakeCuda(monkeypatch):
        pair = [Replicate(spec, data, 0, AS_ON_A_GPU) for _ in range(2)]
        assert disagreement(*pair) == 0
        wrong, plain = (Replicate(spec, data, 0, AS_ON_A_GPU) for _ in range(2))
        wrong.take_step.step = lambda batch: wrong.update([2 * g for g in wrong.gradients(batch)])
        assert disagreement(wrong, plain) > doctor.AGREES


def test_a_gpu_is_described(monkeypatch):
    about = SimpleNamespace(name="NVIDIA H100", major=9, minor=0)
    monkeypatch.setattr(doctor, "gpu_trouble", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda k: about)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda k: (10_000_000_000, 85_000_000_000))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(doctor, "_said_by", lambda *_: "580.1")
    [line] = doctor.gpus()
    assert line == (
        "NVIDIA H100, compute capability 9.0, 85 GB, 10 GB of it free, bfloat16, driver 580.1"
    )
    monkeypatch.setattr(doctor, "gpu_trouble", lambda: "PyTorch cannot use the GPU here (too old)")
    monkeypatch.setattr(doctor, "has_gpu", lambda: True)
    [line] = doctor.gpus()
    assert line == "none: PyTorch cannot use the GPU here (too old) (driver 580.1)"


def test_what_a_machine_does_not_tell_is_unknown(monkeypatch):
    monkeypatch.setattr(doctor.allowance, "memory", lambda: None)
    assert doctor.memory() == "unknown"
    assert doctor._said_by("no-such-command-here") == ""
    assert doctor._said_by("false") == ""


def test_a_gpu_without_room_is_told_and_the_cpu_is_advised(monkeypatch, capsys):
    def measured(device, seconds):
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Measured(device, 100.0)

    monkeypatch.setattr(doctor, "gpu_trouble", lambda: "")
    monkeypatch.setattr(doctor, "facts", dict)
    monkeypatch.setattr(doctor, "measured", measured)
    monkeypatch.setattr(sys, "argv", ["doctor", "--config", *DEMO])
    doctor.main()
    said = capsys.readouterr().out
    assert "cuda: no room to train in" in said
    assert "device: cpu" in said
