"""A training job may be killed at any moment: the next attempt goes on and ends the same."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import forked
import pytest
import torch
from test_train import courses, same

from squareloss.data.split import write_split
from squareloss.spec import canonical_json
from squareloss.train import checkpoint
from squareloss.train.job import history_rows, prepare, train

# .ci/run kills 50 times; one attempt takes half a second.
KILLS = int(os.environ.get("KILLS", "5"))
OUTPUTS = ("snapshots.safetensors", "history.parquet")
OPTIONS = {
    "data": "split.safetensors",
    "checkpoint": "checkpoint.safetensors",
    "run": "run.json",
    "snapshots": "snapshots.safetensors",
    "history": "history.parquet",
}


def command(folder, spec, *more, program=("-m", "squareloss.train")):
    """The training job that keeps everything in `folder`, without the name of Python."""
    words = [*program, "--spec", canonical_json(spec)]
    for option, name in OPTIONS.items():
        words += [f"--{option}", str(folder / name)]
    return [*words, *more]


def run(folder, spec, *more, **keywords):
    return forked.run(command(folder, spec, *more, **keywords))


def outputs(folder):
    return [(folder / name).read_bytes() for name in OUTPUTS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, split, make_spec):
    """A spec, and the outputs of a run of it, by a Python of its own, that nothing disturbed."""
    folder, spec = tmp_path_factory.mktemp("undisturbed"), make_spec(epochs=150, replicates=(0, 1))
    write_split(folder / "split.safetensors", split)
    subprocess.run([sys.executable, *command(folder, spec)], capture_output=True, check=True)
    return spec, outputs(folder)


@pytest.fixture
def job(tmp_path, split, undisturbed):
    """A folder with the prepared split, a spec, and what an undisturbed run of it gives."""
    write_split(tmp_path / "split.safetensors", split)
    return tmp_path, *undisturbed


def training(folder, process):
    """Wait until the process has begun: it holds the lock then."""
    lock = folder / "checkpoint.safetensors.lock"
    process.until(lambda: lock.exists() and f"process {process.pid} " in lock.read_text())


def stopped_at(epoch, spec, split, path, owner):
    """Train a block up to `epoch` of its last replicate and leave a checkpoint there."""
    block = prepare(spec, split)

    def pause():
        if list(block.replicates.values())[-1].epoch == epoch:
            raise StopIteration

    with pytest.raises(StopIteration):
        train(block, spec.recipe.epochs, pause)
    checkpoint.save(path, owner, block)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": "wn"},
        {"normalization": "lm"},
        {"normalization": "bn"},
        {"normalization": "none", "optimizer": "gd"},
        {"precision": "bfloat16"},
        {"precision": "float64"},
        {"schedule": {"name": "cosine_per_step"}},
        {"learning_rate": 1e6, "normalization": "none", "init_scale": 2.0},  # diverges
    ],
    ids=str,
)
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_block_takes_the_same_course(tmp_path, split, make_spec, changes, epoch):
    spec = make_spec(epochs=4, replicates=(0, 1), **changes)
    path, owner = tmp_path / "c.safetensors", {"spec": canonical_json(spec)}
    if epoch == 2 and "learning_rate" in changes:
        epoch = 1
    stopped_at(epoch, spec, split, path, owner)
    block = prepare(spec, split)
    assert checkpoint.resume(path, owner, block) is None
    assert all(r.epoch == epoch for r in block.replicates.values())
    train(block, spec.recipe.epochs)
    for r, course in courses(spec, split).items():
        resumed = block.replicates[r]
        same((history_rows(resumed), resumed.snapshots), course)


@pytest.mark.parametrize("key", ["spec", "data", "code version", "version of torch"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, split, make_spec, key):
    spec = make_spec(replicates=(0,))
    write_split(tmp_path / "split.safetensors", split)
    owner = checkpoint.identity(spec, str(tmp_path / "split.safetensors"))
    assert key in owner
    path = tmp_path / "c.safetensors"
    stopped_at(2, spec, split, path, owner)
    block = prepare(spec, split)
    before = block.replicates[0].state()
    assert checkpoint.resume(path, owner | {key: "other"}, block) == f"it is of another {key}"
    after = block.replicates[0].state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert block.replicates[0].epoch == -1
    assert block.replicates[0].rows == []


def test_a_truncated_checkpoint_is_refused_at_every_length(tmp_path, split, make_spec):
    spec = make_spec(replicates=(0,))
    path = tmp_path / "c.safetensors"
    stopped_at(1, spec, split, path, {})
    whole = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]
    for length in lengths:
        path.write_bytes(whole[:length])
        block = prepare(spec, split)
        assert checkpoint.resume(path, {}, block) == "it is truncated or altered", length
        assert block.replicates[0].epoch == -1


def test_a_refused_checkpoint_is_named_and_training_starts_over(job):
    folder, spec, expected = job
    (folder / "checkpoint.safetensors").write_bytes(b"nothing of the kind")
    done = run(folder, spec)
    assert done.returncode == 0, done.stderr
    assert "checkpoint.safetensors is not used: it is truncated or altered" in done.stderr
    assert outputs(folder) == expected


def test_killed_at_random_moments_it_ends_the_same(job):
    folder, spec, expected = job
    rng = random.Random(0)
    for _ in range(KILLS):
        process = forked.Process(command(folder, spec, "--checkpoint-minutes", "0.0002"))
        training(folder, process)
        time.sleep(rng.uniform(0, 0.5))  # most of the run, on a quiet machine
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = run(folder, spec)
    assert done.returncode == 0, done.stderr
    assert outputs(folder) == expected
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*OPTIONS.values(), "checkpoint.safetensors.lock"]
    )


# Runs the job, but its process dies in the middle of writing a file for the nth time.
DYING = """
import os, signal, sys
import safetensors.torch
from squareloss.train.__main__ import main
whole, calls = safetensors.torch.save_file, []
def half(tensors, path, *rest):
    whole(tensors, path, *rest)
    calls.append(path)
    if len(calls) == int(os.environ["NTH"]):
        os.truncate(path, os.path.getsize(path) // 2)
        open(os.path.join(os.path.dirname(path), ".tmp0"), "w").close()  # as safetensors
        os.kill(os.getpid(), signal.SIGKILL)
safetensors.torch.save_file = half
main()
"""


def test_killed_inside_a_write_it_ends_the_same(job):
    folder, spec, expected = job
    words = command(folder, spec, "--checkpoint-minutes", "0.0002", program=("-c", DYING))
    for nth in ("1", "2", "7"):
        done = forked.run(words, env={**os.environ, "NTH": nth})
        assert done.returncode == -signal.SIGKILL
    done = run(folder, spec)
    assert done.returncode == 0, done.stderr
    assert "going on from" in done.stderr
    assert outputs(folder) == expected
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_it_leaves_a_checkpoint_and_asks_to_be_tried_again(job, number):
    folder, spec, expected = job
    process = forked.Process(command(folder, spec))
    process.until(lambda: "\n" in process.stderr)  # it has begun to train
    process.send_signal(number)
    assert process.wait() == checkpoint.STOPPED, process.stderr
    assert f"stopped by {number.name}" in process.stderr
    assert not (folder / "run.json").exists()
    done = run(folder, spec)
    assert done.returncode == 0, done.stderr
    assert "going on from" in done.stderr
    assert outputs(folder) == expected


def test_a_finished_run_asked_for_again_is_not_trained_again(job):
    folder, spec, expected = job
    assert run(folder, spec).returncode == 0
    samples = json.loads((folder / "run.json").read_text())["samples_per_second"]
    for name in (*OUTPUTS, "run.json"):
        (folder / name).unlink()
    done = run(folder, spec)
    assert done.returncode == 0, done.stderr
    assert "epoch" not in done.stderr
    assert outputs(folder) == expected
    assert json.loads((folder / "run.json").read_text())["samples_per_second"] == samples


def test_of_two_jobs_on_a_run_the_second_stops(job):
    folder, spec, expected = job
    first = forked.Process(command(folder, spec))
    training(folder, first)
    first.send_signal(signal.SIGSTOP)  # for as long as the second needs to look
    second = run(folder, spec)
    assert second.returncode == 1
    assert f"process {first.pid} " in second.stderr
    assert "is training this run" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert outputs(folder) == expected


def test_a_full_disk_is_one_line_and_earlier_results_stay(job):
    folder, spec, expected = job
    assert run(folder, spec).returncode == 0
    (folder / "checkpoint.safetensors").unlink()

    program = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "from squareloss.errors import run_stage; from squareloss.train.__main__ import main\n"
        "run_stage(main)"
    )
    done = run(folder, spec, program=("-c", program))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("squareloss: error:")
    assert "could not be written" in last
    assert outputs(folder) == expected
    assert not list(folder.glob(".*"))


def test_a_folder_that_cannot_be_written_is_one_line(job):
    folder, spec, _ = job
    (folder / "file").write_text("not a folder")
    done = run(folder, spec, "--run", str(folder / "file" / "run.json"))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("squareloss: error:")
    assert "run.json" in last


def test_a_long_history_fits_into_a_checkpoint(tmp_path, split, make_spec):
    """Rows are no part of the file's header, whose size is limited to 100 MB."""
    spec = make_spec(replicates=(0,), epochs=1)
    block = prepare(spec, split)
    train(block, 1)
    [row, other] = block.replicates[0].rows
    rows = [row | {"epoch": epoch, "rho": math.nan} for epoch in range(300_000)] + [other]
    block.replicates[0].rows = rows
    checkpoint.save(tmp_path / "c.safetensors", {}, block)
    back = prepare(spec, split)
    assert checkpoint.resume(tmp_path / "c.safetensors", {}, back) is None
    found = back.replicates[0].rows
    assert len(found) == 300_001
    assert found[-1] == other
    assert [type(value) for value in found[0].values()] == [type(v) for v in row.values()]
    assert math.isnan(found[7]["rho"])


def test_the_results_do_not_depend_on_a_last_checkpoint(job):
    folder, spec, expected = job
    program = (
        "from squareloss.train import checkpoint\n"
        "from squareloss.errors import UserError, run_stage\n"
        "def full(*_): raise UserError('no room')\n"
        "checkpoint.save = full\n"
        "from squareloss.train.__main__ import main; run_stage(main)"
    )
    done = run(folder, spec, program=("-c", program))
    assert done.returncode == 0, done.stderr
    assert "no room; going on without a last checkpoint" in done.stderr
    assert outputs(folder) == expected


def test_a_file_system_without_locks_costs_a_warning(job):
    folder, spec, expected = job
    program = (
        "import errno, fcntl, os\n"
        "def none(*_): raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
        "fcntl.flock = none\n"
        "from squareloss.train.__main__ import main; main()"
    )
    done = run(folder, spec, program=("-c", program))
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "warning" in line]
    assert "checkpoint.safetensors.lock cannot be locked (Function not implemented)" in line
    assert outputs(folder) == expected


def test_out_of_device_memory_says_what_to_lower(tmp_path, split, make_spec):
    program = (
        "import torch; from squareloss.train import engine\n"
        "from squareloss.errors import run_stage\n"
        "def full(*_): raise torch.OutOfMemoryError('out of memory')\n"
        "engine.Replicate.train_epoch = full\n"
        "from squareloss.train.__main__ import main; run_stage(main)"
    )
    write_split(tmp_path / "split.safetensors", split)
    done = run(tmp_path, make_spec(), program=("-c", program))
    assert done.returncode == 1
    assert "lower block_size or batch_size" in done.stderr.strip().splitlines()[-1]
