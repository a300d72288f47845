"""What a processor has by what Linux tells of it, and what is said where it lacks bfloat16."""

import platform

import pytest
import torch

from squareloss.machine.benchmark import cases
from squareloss.train import processor
from squareloss.train.job import prepare

X86 = "processor\t: 0\nmodel name\t: EPYC\nflags\t\t: fpu {}\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("text", "described", "emulated"),
    [
        (X86.format("avx2 avx512f"), "EPYC: AVX2, AVX-512", True),
        (X86.format("sse2"), "EPYC: no AVX2", True),
        (X86.format("avx2 avx512_bf16"), "EPYC: AVX2, bfloat16 (AVX-512)", False),
        (X86.format("amx_bf16"), "EPYC: bfloat16 (AMX)", False),
        ("Features\t: fp asimd bf16\n", "some arm: no AVX2", False),
        (None, "some arm: no AVX2", False),
    ],
)
def test_what_it_has_and_that_it_emulates_bfloat16(
    monkeypatch, split, make_spec, tmp_path, capsys, text, described, emulated
):
    monkeypatch.setattr(platform, "processor", lambda: "some arm")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert processor.described() == described
    spec = make_spec(precision="bfloat16")
    prepare(spec.model_copy(update={"device": "cpu"}), split)
    assert ("emulates it" in capsys.readouterr().err) == emulated
    prepare(make_spec(), split)  # in float32 nothing is said
    assert capsys.readouterr().err == ""
    compared = [case.precision for case in cases(torch.device("cpu"))]
    assert compared.count("bfloat16") == (0 if emulated else 2)
