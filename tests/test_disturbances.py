"""Faults of every kind of job, then the same command again: signals, full disks, strange places."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from workflow_copy import SNAKEMAKE, environment, snakemake

pytestmark = pytest.mark.workflow

SEED = int(os.environ.get("SEED", "0"))
KILLS = int(os.environ.get("KILLS", "5"))
MOMENTS = max(1, KILLS // 50)  # of each kind of job
METRICS = ["metrics/margins", "metrics/collapse", "metrics/layers", "metrics/bounds"]
ENDS = ["aggregate", "figures", "tables", "claims"]
# A job's module, and what to remove so that Snakemake runs it again: what depends on it, too.
JOBS = {
    "small": ["small", "claims"],
    "data.prepare": ["data", "runs", "metrics", *ENDS],
    "train": ["runs", "metrics", *ENDS],
    "extract": [*METRICS, *ENDS],
    "landscape": ["metrics/landscape", "figures"],
    "aggregate": ENDS,
    "figures": ["figures", "tables"],
    "claims.report": ["claims"],
}
# The kinds of a quick run, where KILLS is small: what is removed, and the target that makes it.
QUICK = {"extract": (METRICS, "metrics"), "claims.report": (["claims"], "claims")}
KINDS = {module: (places, "all") for module, places in JOBS.items()} if KILLS >= 25 else QUICK
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def results(folder):
    """Every file of the results by its digest; of those that say when, the name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            says_when = path.suffix == ".log" or path.name in ("run.json", "croissant.json")
            digest = "" if says_when else hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def processes(folder, module=None):
    """Numbers of the processes in this folder; if a module is given, of those that run it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if os.readlink(entry / "cwd") == str(folder):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if module is None or words[1:3] == [b"-m", f"squareloss.{module}".encode()]:
                    found.append(int(entry.name))
        except OSError:  # no process, or one that has just ended
            continue
    return found


def disturb(folder, module, number, at_job, delay):
    """Start Snakemake, send a signal some time after a job of this kind began; wait for the end.

    Killed, or without its terminal, Snakemake leaves its jobs running. A run that one of them still
    trains is refused; tests/slurm starts Snakemake again in the midst of that.
    """
    process = subprocess.Popen(
        [SNAKEMAKE, KINDS[module][1], "--cores", "2", "--configfile", "tiny.yaml"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (jobs := processes(folder, module)):
        assert process.poll() is None, f"no {module} was started"
        time.sleep(0.02)
    time.sleep(delay)
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(jobs[0] if at_job else process.pid, number)
    process.wait(timeout=300)
    while processes(folder):
        time.sleep(0.05)


def removed(folder, module):
    """Remove what a kind of job makes, and what depends on it."""
    for pattern in KINDS[module][0]:
        for place in (folder / "results/tiny").glob(pattern):
            shutil.rmtree(place) if place.is_dir() else place.unlink()


@pytest.mark.parametrize("module", KINDS)
def test_after_a_signal_the_same_command_ends_the_same(finished, tmp_path, module):
    # Snakemake's records name files by their path from its folder, so a copy is as good.
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    expected = results(folder / "results")
    rng = random.Random(f"{SEED} {module}")
    for _ in range(MOMENTS):
        number, at_job = rng.choice(SIGNALS), rng.random() < 0.5
        said = f"{number.name} to {'the job' if at_job else 'Snakemake'}"
        removed(folder, module)
        disturb(folder, module, number, at_job, rng.uniform(0, 4))
        done = snakemake(folder, KINDS[module][1])
        if done.returncode and "--unlock" in done.stdout + done.stderr:
            # Killed, Snakemake leaves its lock; the error says what to do.
            assert snakemake(folder, "--unlock").returncode == 0
            done = snakemake(folder, KINDS[module][1])
        assert done.returncode == 0, said + done.stdout + done.stderr
        assert results(folder / "results") == expected, said


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 20 MB, as a folder; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path):
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("module", KINDS)
def test_a_full_disk_loses_nothing(finished, tmp_path, small_disk, module):
    folder = tmp_path / "study"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("results"))
    shutil.copytree(finished / "results", small_disk, dirs_exist_ok=True)
    (folder / "results").symlink_to(small_disk)
    removed(folder, module)
    logs = small_disk / "tiny" / "logs"
    shutil.rmtree(logs)
    left = results(small_disk)
    fill(small_disk / "filling")
    assert snakemake(folder, KINDS[module][1]).returncode != 0
    said = "".join(path.read_text(encoding="utf-8") for path in logs.rglob("*.log"))
    assert "Traceback" not in said
    (small_disk / "filling").unlink()
    # What is there is whole. (Snakemake removes what a job is to make anew.)
    whole = {name: digest for name, digest in results(small_disk).items() if name in left}
    assert whole.items() <= left.items()
    assert snakemake(folder, KINDS[module][1]).returncode == 0
    # Logs aside: those of jobs that did not run again are gone.
    again, expected = (
        {name: digest for name, digest in results(place).items() if digest}
        for place in (small_disk, finished / "results")
    )
    assert again == expected


def test_a_clone_in_a_strange_place_with_little_around_it(finished, tmp_path):
    """A path that a shell would take apart, no HOME, no TMPDIR, and 64 files open at most.

    Every job but the small problems, which are not made by path; those of one figure are started.
    """
    folder = tmp_path / 'it\'s a "clone" = ünï $(touch x) & ;' / ("long" * 30)
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("results"))
    for name in ("gradientflow", "minibatch", "tree", "ample", "settled", "small"):
        [path] = (finished / "results").rglob(f"{name}.*")  # a table, or the log
        target = folder / path.relative_to(finished)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    variables = environment(folder)
    for name in ("HOME", "TMPDIR", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        variables.pop(name, None)
    command = [SNAKEMAKE, "figure3", "--cores", "2", "--configfile", "tiny.yaml"]
    if limit := shutil.which("prlimit"):
        command = [limit, "--nofile=64:64", *command]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(folder / "results") == results(finished / "results")
    assert not list(tmp_path.rglob("x"))
