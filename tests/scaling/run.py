"""What sweeps cost that grow: planning and running 100 to 10,000 runs, beside Snakemake by itself.

    python tests/scaling/run.py [--plan 100 1000 10000] [--run 100 1000] [--cluster 20]

Planned is the whole study. Run is its training, in a copy of the repository whose stages make empty
files. "Snakemake alone" is a Snakefile of as many jobs, each of which makes one empty file.
`--cluster` submits runs to the cluster of `cluster.py`, one by one and as a job array. Prints
tables in Markdown.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "slurm"))
from cluster import Cluster, missing
from workflow_copy import ROOT, SNAKEMAKE, copy_repository

# In place of what the jobs run: makes every file that an option names as an output.
STUB = """\
import sys
from pathlib import Path

words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
for option in ("--run", "--snapshots", "--history") if "--run" in words else ["--output"]:
    Path(words[option]).touch()
"""
STUBBED = ("train/__main__", "data/prepare")
SWEEP = """\
study: scale
device: {device}
figures: [figure8]
experiments:
  figure8: {{sweeps: [{{init_scale: [{scales}]}}]}}
"""
# As many jobs in each of one or two layers.
ALONE = """\
LAYERS, RUNS = {layers}, {runs}

rule all:
    input:
        [f"layer{{LAYERS}}/{{i}}" for i in range(RUNS)],

for layer in range(1, LAYERS + 1):
    rule:
        input:
            [f"layer{{layer - 1}}/{{{{i}}}}"] if layer > 1 else [],
        output:
            f"layer{{layer}}/{{{{i}}}}",
        shell:
            "touch {{output}}"
"""
QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")


@dataclass(frozen=True)
class Cost:
    """Of one Snakemake command."""

    seconds: float
    megabytes: float  # at its largest
    output: str

    @property
    def jobs(self) -> int:
        """How many jobs the plan has."""
        total = re.search(r"^total +(\d+)$", self.output, re.M)
        return int(total[1]) if total else 0


def snakemake(folder: Path, *arguments: str) -> Cost:
    """Run Snakemake in `folder` and measure it; `SystemExit` with its output if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    start = time.perf_counter()
    with (folder / "output.txt").open("w") as file:
        process = subprocess.Popen(
            [SNAKEMAKE, *arguments], cwd=folder, env=environment, stdout=file, stderr=file
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    output = (folder / "output.txt").read_text()
    if status:
        sys.exit(output[-3000:])
    return Cost(seconds, usage.ru_maxrss / 1024, output)


def study(folder: Path, runs: int, stub: bool, device: str = "cpu") -> list[str]:
    """A copy of the workflow with a sweep of that many runs; the options that ask for it."""
    copy_repository(folder)
    (folder / "slurm").symlink_to("profiles/slurm")
    for stage in STUBBED if stub else ():
        (folder / f"src/squareloss/{stage}.py").write_text(STUB)
    scales = ", ".join(f"{1 + i / 10000:.4f}" for i in range(runs))
    (folder / "scale.yaml").write_text(SWEEP.format(scales=scales, device=device))
    return ["--configfile", "config/demo.yaml", "scale.yaml"]


def alone(folder: Path, runs: int, layers: int) -> None:
    """A Snakefile of that many empty jobs in each layer."""
    (folder / "Snakefile").write_text(ALONE.format(layers=layers, runs=runs))


@contextlib.contextmanager
def scratch():
    """A folder that goes away."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def planned(runs: int) -> str:
    """A row: the plan of a study, and of as many empty jobs of Snakemake alone."""
    with scratch() as ours, scratch() as bare:
        us = snakemake(ours, "-n", *study(ours, runs, stub=False))
        alone(bare, runs, layers=2)
        them = snakemake(bare, "-n")
    return (
        f"| {runs:,} | {us.jobs:,} | {us.seconds:.1f} s, {us.megabytes:.0f} MB "
        f"| {them.seconds:.1f} s, {them.megabytes:.0f} MB | {us.seconds / them.seconds:.1f} |"
    )


def executed(runs: int) -> str:
    """A row: training jobs that do nothing, and as many empty jobs of Snakemake alone."""
    with scratch() as ours, scratch() as bare:
        us = snakemake(ours, "runs", "--cores", "2", *study(ours, runs, stub=True))
        alone(bare, runs, layers=1)
        them = snakemake(bare, "--cores", "2")
    return (
        f"| {runs:,} | {us.seconds:.0f} s | {them.seconds:.0f} s "
        f"| {1000 * us.seconds / runs:.0f} ms | {1000 * them.seconds / runs:.0f} ms |"
    )


def submitted(cluster: Cluster, runs: int, array: bool) -> str:
    """A row: the same training jobs on the cluster, one by one or as an array."""
    before = len(cluster.entries())
    with scratch() as folder:
        options = study(folder, runs, stub=True, device="auto")
        snakemake(folder, "data", "--cores", "1", *options)  # so that all are ready at once
        options += ["--slurm-array-jobs", "train"] if array else []
        cost = snakemake(folder, "runs", "--profile", "slurm", *QUICK, *options)
    entries = len(cluster.entries()) - before
    return f"| {'an array' if array else 'one by one'} | {entries} | {cost.seconds / runs:.1f} s |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--run", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--cluster", type=int, default=0)
    args = parser.parse_args()
    if args.cluster and missing():
        sys.exit(missing())
    os.chdir(ROOT)
    print("| runs | jobs | plan | Snakemake alone | ratio |\n|---|---|---|---|---|")
    for runs in args.plan:
        print(planned(runs), flush=True)
    print("\n| runs | executed | Snakemake alone | a run | alone |\n|---|---|---|---|---|")
    for runs in args.run:
        print(executed(runs), flush=True)
    if args.cluster:
        print(f"\n| {args.cluster} runs submitted | queue entries | a run |\n|---|---|---|")
        with scratch() as folder, Cluster(folder) as cluster:
            for array in (False, True):
                print(submitted(cluster, args.cluster, array), flush=True)


if __name__ == "__main__":
    main()
