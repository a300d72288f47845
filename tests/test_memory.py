"""Memory that a process keeps, seen by the pages that the kernel has to clear for it."""

import ctypes
import importlib
import os
import sys

import forked
import pytest

from squareloss.errors import UserError
from squareloss.train import memory

FAULTS = """
import resource, torch
from squareloss.train.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for larger in range(5):  # so that each lies at the end of the heap
        torch.ones(2**24 + larger * 2**20)  # 64 MB and more, that is 16,384 pages, and freed
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), keep_freed_memory(), *(faults() for _ in range(4)))  # of which the last is free
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libraries of GNU are Linux's")
def test_what_is_freed_is_taken_again():
    if not os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("another C library")
    done = forked.run(["-c", FAULTS])
    assert done.returncode == 0, done.stderr
    given_back, *_, kept = done.stdout.split()
    if int(given_back) < 10_000:
        pytest.skip("another allocator, or pages of 2 MB")
    assert int(kept) < 100


@pytest.mark.parametrize("version", ["musl 1.2", "", None, ValueError, OSError, AttributeError])
def test_another_library_is_left_alone(monkeypatch, version):
    def confstr(name):
        if isinstance(version, type):
            raise version
        return version

    monkeypatch.setattr(os, "confstr", confstr)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("it was asked"))
    memory.keep_freed_memory()


@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ("train.__main__", ["data", "checkpoint", "run", "snapshots", "history"]),
        ("extract", ["run", "snapshots", "data", "margins", "collapse", "layers", "bounds"]),
    ],
)
def test_stages_that_pass_images_on_keep_it(
    monkeypatch, make_spec, split, tmp_path, stage, options
):
    module, kept = importlib.import_module(f"squareloss.{stage}"), []
    monkeypatch.setattr(module, "keep_freed_memory", lambda: kept.append(stage))
    monkeypatch.setattr(module, "read_split", stopped)
    words = [word for name in options for word in (f"--{name}", str(tmp_path / name))]
    if stage == "extract":
        monkeypatch.setattr(module.record, "read", lambda _: Trained(make_spec()))
        words += ["--delta", "0.05"]
    else:
        words += ["--spec", make_spec().model_dump_json()]
    monkeypatch.setattr(sys, "argv", [stage, *words])
    with pytest.raises(UserError, match="enough"):
        module.main()
    assert kept == [stage]


class Trained:
    """A run.json of any snapshots."""

    def __init__(self, spec):
        self.spec = spec

    def refuse_other_snapshots(self, path):
        pass


def stopped(path):
    raise UserError("enough")
