"""On a GPU: the recorded step is the step, and a replicate does not notice its company."""

import pytest
import torch
from test_train import courses, same, trained

from squareloss.measure.extraction import extract_block
from squareloss.train.checkpoint import save_tensors
from squareloss.train.device import Settings
from squareloss.train.job import prepare

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")


@pytest.mark.parametrize("normalization", ["wn", "lm", "bn", "none"])
def test_the_replayed_step_is_the_step(split, make_spec, normalization):
    spec = make_spec(device="cuda", normalization=normalization, replicates=(0,))
    recorded, plain = (prepare(spec, split).replicates[0] for _ in range(2))
    plain.take_step = plain.step  # the same device, without the recording
    for epoch in (1, 2):
        for replicate in (recorded, plain):
            replicate.train_epoch(epoch)
    torch.cuda.synchronize()
    for a, b in zip(recorded.model.masters, plain.model.masters, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_it_takes_the_course_of_the_cpu(split, make_spec):
    gpu, cpu = (
        trained(make_spec(device=device, precision="float64", replicates=(0,)), split)[0].rows
        for device in ("cuda", "cpu")
    )
    for a, b in zip(gpu, cpu, strict=True):
        assert a == pytest.approx(b, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_replicate_is_bit_identical_alone_in_company_and_again(split, make_spec, precision):
    together = courses(make_spec(device="cuda", precision=precision), split)
    again = courses(make_spec(device="cuda", precision=precision), split)
    for r in range(4):
        alone = make_spec(device="cuda", precision=precision, replicates=(r,))
        same(courses(alone, split)[r], together[r])
        same(again[r], together[r])


@pytest.mark.parametrize("normalization", ["wn", "bn"])
def test_metrics_are_those_of_the_cpu(tmp_path, split, make_spec, normalization):
    spec = make_spec(device="cpu", normalization=normalization, replicates=(0, 1))
    path = tmp_path / "snapshots.safetensors"
    tensors = {k: t for r in trained(spec, split).values() for k, t in r.snapshots.items()}
    save_tensors(path, tensors)
    Settings.of(torch.device("cuda")).apply()
    gpu, cpu = (
        extract_block(spec, str(path), split, 0.05, torch.device(device))
        for device in ("cuda", "cpu")
    )
    for table, rows in cpu.items():
        for on_gpu, on_cpu in zip(gpu[table], rows, strict=True):
            for name, value in on_cpu.items():
                if not isinstance(value, str):
                    value = pytest.approx(value, rel=1e-3, abs=1e-5, nan_ok=True)
                assert on_gpu[name] == value, (table, name)
