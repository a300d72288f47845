"""Running Snakemake in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import forked
from jobs_python import jobs_python

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "Makefile", "config.yaml", "config", "workflow", "src", "profiles", "envs"]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))


def blocks(path: str, language: str) -> list[str]:
    """Fenced code blocks of a language in a Markdown file of the repository."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def copy_repository(folder: Path) -> None:
    """Copy what the workflow needs, and the tiny study, into `folder`."""
    folder.mkdir(exist_ok=True)
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, folder / name, ignore=skip)
        else:
            shutil.copy2(source, folder / name)
    shutil.copy2(ROOT / "tests" / "tiny.yaml", folder / "tiny.yaml")


def environment(folder):
    """Variables for the package of a copy; not activated: jobs find their Python themselves."""
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"}


def words_for(arguments, overlays):
    """What follows `snakemake` on the command line."""
    return [*arguments, "--cores", "2", *(["--configfile", *overlays] if overlays else [])]


def snakemake(folder, *arguments, overlays=("tiny.yaml",)):
    """Run Snakemake in a copy of the repository, on that copy's package.

    In a process that has imported Snakemake already, as its jobs have what they import.
    """
    return forked.run(
        ["-m", "snakemake", *words_for(arguments, overlays)],
        cwd=folder,
        env=environment(folder),
        executable=jobs_python(),
    )


def snakemake_started(folder, *arguments, overlays=("tiny.yaml",)):
    """The same as a command that is started, and every job a Python that is started."""
    return subprocess.run(
        [SNAKEMAKE, *words_for(arguments, overlays)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def make(folder, *words):
    """Run make in a copy of the repository, on that copy's package and without installing."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        ["make", "-o", ".venv/installed", *words],
        cwd=folder,
        env={**environment(folder), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def planned(folder, *arguments, overlays=("tiny.yaml",)):
    """Number of jobs by rule that Snakemake would run."""
    done = snakemake(folder, "-n", *arguments, overlays=overlays)
    assert done.returncode == 0, done.stdout + done.stderr
    stats = re.search(r"^Job stats:\n(.*?)\n\n", done.stdout + done.stderr, re.M | re.S)
    if stats is None:
        assert "Nothing to be done" in done.stdout + done.stderr
        return {}
    lines = (line.split() for line in stats[1].splitlines()[2:])
    return {name: int(count) for name, count in lines if name not in ("total", "all")}
