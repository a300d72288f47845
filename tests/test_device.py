"""Which device, and how training goes on where a part of a GPU fails; without a GPU."""

import warnings
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from fake_cuda import CAPTURING, FakeCuda
from test_train import courses, same

from squareloss.errors import UserError
from squareloss.measure import extraction as extract
from squareloss.spec import Schedule
from squareloss.train import device
from squareloss.train.device import CPU, Settings, choose_device, working
from squareloss.train.engine import Block, Replicate
from squareloss.train.job import history_rows, train
from squareloss.train.training_data import load_data

# As on a GPU, but for the whole process's deterministic mode.
AS_ON_A_GPU = Settings(gpu=True, streams=True, recorded=True)
STEPPED = Schedule(name="cosine_per_step")


def left_by(replicate):
    """What a replicate leaves: rows of `history` and snapshots."""
    return history_rows(replicate), replicate.snapshots


def acted_out(monkeypatch, split, spec, break_it=lambda replicate: None, settings=AS_ON_A_GPU):
    """The block trained as on a GPU, and the stand-in that watched."""
    torch.set_num_threads(spec.threads)  # as `prepare` does: sums depend on it, and tests differ
    with FakeCuda(monkeypatch) as cuda:
        data = load_data(spec, split, torch.device("cpu"))
        replicates = {r: Replicate(spec, data, r, settings) for r in spec.replicates}
        for replicate in replicates.values():
            break_it(replicate)
        train(Block(replicates, on_gpu=True), spec.recipe.epochs)
    return replicates, cuda


@pytest.mark.parametrize("normalization", ["wn", "lm", "bn", "none"])
@pytest.mark.parametrize("evaluate_every", [1, 3])  # in between nothing waits for the device
def test_recorded_steps_on_streams_are_the_plain_ones_and_wait_where_they_must(
    monkeypatch, split, make_spec, normalization, evaluate_every
):
    spec = make_spec(normalization=normalization, schedule=STEPPED, evaluate_every=evaluate_every)
    replicates, cuda = acted_out(monkeypatch, split, spec)
    monkeypatch.undo()
    for r, expected in courses(spec, split).items():
        same(left_by(replicates[r]), expected)
    assert cuda.hazards == []
    # 40 samples in batches of 16: every step of every epoch was a replay of one of two recordings.
    assert cuda.replays == len(spec.replicates) * 3 * 3
    assert all(set(r.take_step.graphs) == {16, 8} for r in replicates.values())


def test_the_stand_in_finds_what_it_is_there_for(monkeypatch):
    with FakeCuda(monkeypatch) as cuda:
        here, there = cuda.current, torch.cuda.Stream()
        x = torch.ones(3)
        with torch.cuda.stream(there):
            y = x + 1
        assert len(cuda.hazards) == 1
        cuda.hazards.clear()
        there.wait_stream(here)
        with torch.cuda.stream(there):
            x + y
        assert cuda.hazards == []
        x += 1  # while the other stream may still read it
        assert len(cuda.hazards) == 1
        cuda.hazards.clear()
        torch.cuda.synchronize()
        x += 1
        assert cuda.hazards == []
        z = torch.ones(3)
        there.wait_stream(here)
        with torch.cuda.stream(there):
            z + 1
        del z
        torch.cuda.synchronize()
        assert "let go too early" in cuda.hazards[0]
        graph = torch.cuda.CUDAGraph()
        with pytest.raises(RuntimeError, match=CAPTURING), torch.cuda.graph(graph, stream=there):
            x.sum().item()


def test_a_step_that_cannot_be_recorded_is_taken_plainly(monkeypatch, split, make_spec, capsys):
    """Here since it reads a number; on a GPU also for want of memory, or by an old driver."""

    def read_the_host(replicate):
        update = replicate.update

        def reading(gradients):
            gradients[0].sum().item()
            update(gradients)

        replicate.update = reading

    spec = make_spec(schedule=STEPPED)
    replicates, cuda = acted_out(monkeypatch, split, spec, read_the_host)
    monkeypatch.undo()
    for r, expected in courses(spec, split).items():
        same(left_by(replicates[r]), expected)
    assert cuda.replays == 0
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if "without a recording of steps of 16 samples" in line]
    assert len(said) == len(spec.replicates)
    assert CAPTURING in said[0]


def test_memory_that_lacks_for_a_recording_only_costs_its_speed(
    monkeypatch, split, make_spec, capsys
):
    class Full:
        def __init__(self):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB\nmore")

    spec = make_spec(replicates=(0,))
    with FakeCuda(monkeypatch):
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Full)
        data = load_data(spec, split, torch.device("cpu"))
        block = Block({0: Replicate(spec, data, 0, AS_ON_A_GPU)}, on_gpu=True)
        train(block, spec.recipe.epochs)
    monkeypatch.undo()
    same(left_by(block.replicates[0]), courses(spec, split)[0])
    assert "slower (CUDA out of memory. Tried to allocate 20 MiB)" in capsys.readouterr().err


def test_without_a_stream_of_its_own_a_replicate_trains_plainly(
    monkeypatch, split, make_spec, capsys
):
    def none():
        raise RuntimeError("CUDA error: operation not supported")

    spec = make_spec(replicates=(0,))
    with FakeCuda(monkeypatch):
        monkeypatch.setattr(torch.cuda, "Stream", none)
        data = load_data(spec, split, torch.device("cpu"))
        replicate = Replicate(spec, data, 0, AS_ON_A_GPU)
        train(Block({0: replicate}, on_gpu=True), spec.recipe.epochs)
    monkeypatch.undo()
    same(left_by(replicate), courses(spec, split)[0])
    assert "without a stream for each replicate" in capsys.readouterr().err


def test_without_the_fused_optimiser_the_course_is_the_same(split, make_spec):
    spec = make_spec(precision="float64")
    data = load_data(spec, split, torch.device("cpu"))
    rows = []
    for settings in (CPU, replace(CPU, fused=False)):
        block = Block({0: Replicate(spec, data, 0, settings)})
        train(block, spec.recipe.epochs)
        rows.append(block.replicates[0].rows)
    for a, b in zip(*rows, strict=True):
        assert a == pytest.approx(b, rel=1e-9)


ALL = Settings(gpu=True, deterministic=True, streams=True, recorded=True)


@pytest.fixture
def modes():
    torch.backends.cudnn.allow_tf32 = True  # as PyTorch begins
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("fails", "left", "said"),
    [
        (lambda s: False, ALL, ""),
        (lambda s: s.deterministic, replace(ALL, deterministic=False), "deterministic mode (res"),
        (lambda s: s.fused, replace(ALL, fused=False, recorded=False), "the fused optimiser"),
        (
            lambda s: s.fused or s.deterministic,
            replace(ALL, deterministic=False, fused=False, recorded=False),
            "deterministic mode and the fused optimiser",
        ),
    ],
)
def test_what_fails_in_a_step_is_left_out(fails, left, said, capsys, modes):
    def step(settings):
        assert torch.are_deterministic_algorithms_enabled() == settings.deterministic
        assert not torch.backends.cudnn.allow_tf32  # measurements would be in tf32
        if fails(settings):
            raise NotImplementedError("bmm has no such kernel\nand a page more")

    assert working(ALL, step) == left
    assert torch.are_deterministic_algorithms_enabled() == left.deterministic
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(said)
    if said:
        assert f"going on without {said}" in lines[0]
        assert "a step fails with it (bmm has no such kernel)" in lines[0]


def test_a_device_on_which_no_step_works_is_one_line(modes):
    def step(settings):
        raise RuntimeError("CUDA error: no kernel image is available for execution")

    with pytest.raises(UserError, match=r"fails on this device .CUDA error: no kernel image"):
        working(ALL, step)

    def full(settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        working(ALL, full)


def unavailable():
    warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1)
    return False


def test_auto_says_why_a_gpu_is_not_used(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert choose_device("auto").type == "cpu"
    said = capsys.readouterr().err
    assert "working on the CPU, as PyTorch cannot use the GPU here (CUDA init" in said
    assert "too old" in said
    with pytest.raises(UserError, match=r"device: cuda, and PyTorch cannot use .* too old"):
        choose_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "this build of PyTorch is for CPUs" in device.gpu_trouble()


def test_a_gpu_that_others_fill_is_said(monkeypatch, capsys):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(torch, "zeros", full)
    assert choose_device("auto").type == "cpu"
    assert "CUDA_VISIBLE_DEVICES chooses another" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"takes no work .CUDA out of memory"):
        choose_device("cuda")


def test_a_machine_without_a_gpu_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    assert choose_device("auto").type == "cpu"
    assert choose_device("cpu").type == "cpu"
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="PyTorch finds no GPU here; allowed: auto, cpu"):
        choose_device("cuda")


def test_a_gpu_without_room_leaves_the_metrics_to_the_cpu(monkeypatch, make_spec, capsys):
    asked = []

    def block(_spec, _snapshots, _split, _delta, place="the CPU"):
        asked.append(place)
        if place == "a GPU":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB\nmore")
        return {"margins": []}

    monkeypatch.setattr(extract, "choose_device", lambda name: {"auto": "a GPU"}[name])
    monkeypatch.setattr(extract, "Settings", Mock())
    monkeypatch.setattr(extract, "extract_block", block)
    assert extract.extracted(make_spec(device="auto"), "", None, 0.05) == {"margins": []}
    assert asked == ["a GPU", "the CPU"]
    assert "going on on the CPU (CUDA out of memory" in capsys.readouterr().err


def test_measuring_takes_the_device_of_the_config(monkeypatch, make_spec):
    """`cuda` becomes `auto`: what a GPU trained may be measured without one."""
    asked = []
    monkeypatch.setattr(
        extract, "choose_device", lambda name: asked.append(name) or torch.device("cpu")
    )
    monkeypatch.setattr(extract, "extract_block", lambda *_: {})
    for name in ("cpu", "auto", "cuda"):
        extract.extracted(make_spec(device=name), "", None, 0.05)
    assert asked == ["cpu", "auto", "auto"]
