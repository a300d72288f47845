"""Copies of the repository to run in, with and without a cluster."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster import wait_until
from workflow_copy import ROOT, SNAKEMAKE, copy_repository

STUDY = ("config/demo.yaml", "study.yaml")
LONG = (*STUDY, "long.yaml")
# A test cannot wait for the intervals that suit a cluster.
QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")


class Copy:
    """A copy of the repository, and what is run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_repository(folder)
        shutil.copy2(ROOT / "slurm", folder / "slurm", follow_symlinks=False)
        for name in ("study.yaml", "long.yaml"):
            shutil.copy2(Path(__file__).with_name(name), folder / name)
        self.results = folder / "results" / "cluster"
        self.started: list[subprocess.Popen] = []

    def start(self, *arguments: str, overlays: Sequence[str] = STUDY) -> subprocess.Popen:
        """Start Snakemake, not activated, with its output in `output.txt`."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": "/usr/bin:/bin",
        }
        with self.output.open("a") as file:
            process = subprocess.Popen(
                [SNAKEMAKE, *arguments, "--configfile", *overlays],
                cwd=self.folder, env=environment, stdout=file, stderr=file,
            )  # fmt: skip
        self.started.append(process)
        return process

    def on_cluster(self, *arguments: str, overlays: Sequence[str] = STUDY) -> subprocess.Popen:
        """Start `snakemake --profile slurm`."""
        return self.start(*arguments, "--profile", "slurm", *QUICK, overlays=overlays)

    def locally(self, *arguments: str, overlays: Sequence[str] = STUDY) -> None:
        """Run Snakemake without a cluster."""
        self.finish(self.start(*arguments, "--cores", "2", overlays=overlays))

    def finish(self, process: subprocess.Popen, seconds: float = 900) -> None:
        """Wait for Snakemake to succeed."""
        assert process.wait(seconds) == 0, self.output.read_text()[-5000:]

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def files(self, *suffixes: str) -> dict[Path, bytes]:
        """Contents of the results with these endings, by relative path."""
        return {
            path.relative_to(self.results): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.suffix in suffixes and "checkpoints" not in path.parts
        }

    def checkpoint(self) -> Path:
        """The checkpoint of the only run, once there is one."""
        found: list[Path] = []

        def there() -> bool:
            found[:] = (self.results / "checkpoints").rglob("*.safetensors")
            return bool(found)

        wait_until(there, "a checkpoint", 120)
        return found[0]

    def trainer(self) -> int:
        """The process that trains the only run, as its lock names it."""
        [lock] = (self.results / "checkpoints").rglob("*.lock")
        return int(lock.read_text().split()[1])

    def log(self) -> str:
        """The log of the only run; Snakemake begins a new one with every attempt."""
        [log] = (self.results / "logs" / "train").rglob("*.log")
        return log.read_text()

    def stop(self) -> None:
        """End what a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


def longer(epochs: int) -> str:
    """The setting that gives the long run that many epochs."""
    return f"recipes={{cnn6: {{epochs: {epochs}}}}}"
