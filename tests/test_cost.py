"""The estimate of what a study costs, and the limits that jobs ask a cluster for."""

import re
import subprocess
import sys

import forked
import pytest
import torch
import yaml
from snakemake.utils import update_config
from workflow_copy import ROOT

from squareloss.model.architecture import build, flops_per_sample
from squareloss.spec import canonical_json
from squareloss.study import cost, sweep
from squareloss.study import files as configfiles

PAPER = [str(ROOT / "config.yaml")]
SNAKEMAKE_BYTES = 182e6  # of each that starts a job on a cluster, measured there


@pytest.fixture
def study():
    return configfiles.read(PAPER)


def command(*arguments):
    return forked.run(["-m", "squareloss.study.cost", *map(str, arguments)], cwd=ROOT)


def test_figures_alone_cost_what_their_runs_do():
    """Figure 8's run is one of Figure 5's nine starts; Figure 9 has another."""
    said = [command(*PAPER, "--figures", *names) for names in (["figure5"], ["figure8", "figure5"])]
    assert [one.returncode for one in said] == [0, 0]
    [nine], [same] = ([x for x in one.stdout.splitlines() if "in all" in x] for one in said)
    assert nine.split()[2:4] == ["9", "9"]
    assert nine == same
    refused = command(*PAPER, "--figures", "figure55")
    assert "did you mean 'figure5'" in refused.stderr
    assert refused.returncode == 1
    nothing = command(*PAPER, "--figures", "figure1")
    assert nothing.stderr.startswith(
        "squareloss: error: --figures: none of them is drawn from runs"
    )
    assert nothing.returncode == 1


def test_a_step_of_cnn6_costs_what_its_sizes_say():
    # Places x kernel x channels in x channels out, by hand: images of 30, 14, 12 and 5 pixels.
    products = [30**2 * 9 * 3 * 32, 14**2 * 9 * 32 * 64, 12**2 * 9 * 64 * 128, 5**2 * 9 * 128 * 128]
    products += [3200 * 1024, 1024 * 2]
    by_hand = 2 * (2 * products[0] + 3 * sum(products[1:]))
    assert flops_per_sample(build("cnn6", 2, 1, "stride"), 3, 32) == by_hand
    # With the gradient of the images, which no step needs, it would be 132 million.
    assert 6 * sum(products) == pytest.approx(132e6, rel=0.01)


def test_a_training_job_is_samples_over_the_rate(study):
    [point] = [p for p in sweep.points_of(study, "figure8") if p.recipe_name == "cnn6"]
    job = cost.training_job(study, point)
    assert job.samples == 10 * 1000 * 10_000
    doubled = study.model_copy(update={"training_rate": 2 * study.training_rate})
    faster = cost.training_job(doubled, point)
    assert job.seconds - cost.START_SECONDS == pytest.approx(
        2 * (faster.seconds - cost.START_SECONDS)
    )
    assert job.disk == 4 * 3_519_328 * 12 * 10  # float32, 12 snapshots of 10 replicates


def test_digits_have_one_channel():
    demo = configfiles.read([*PAPER, str(ROOT / "config/demo.yaml")])
    point = next(p for p in sweep.points_of(demo, "figure8") if p.recipe_name == "cnn6")
    # A quarter of the width: 8, 16, 32 and 32 channels, 256 units; 4 snapshots of 2 replicates.
    weights = 9 * (1 * 8 + 8 * 16 + 16 * 32 + 32 * 32) + 5**2 * 32 * 256 + 256 * 2
    assert cost.training_job(demo, point).disk == 4 * weights * 4 * 2


def test_retries_get_more(study):
    job = cost.training_job(study, sweep.points_of(study, "figure8")[0])
    for limit in (cost.runtime_minutes, cost.memory_mb):
        first, second, third = (limit(job, attempt) for attempt in (1, 2, 3))
        assert first < second < third
    assert cost.runtime_minutes(job, 1) * 60 > 2 * job.seconds
    assert cost.memory_mb(job, 1) * 1e6 >= job.memory


# Runs a stage, and prints the most main memory that it has held, in kB. (The `ru_maxrss` of a child
# counts what its parent held when it was forked, and a test run may hold more than a stage.)
MEASURED = """
import atexit, pathlib, re, runpy, sys
def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
atexit.register(peak)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def peak_bytes(*command):
    """The most main memory that a stage has held."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, command)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return 1024 * int(done.stdout.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("recipe", ["unit", "mlp10"])  # the least and the largest ratio
def test_what_a_job_of_the_demo_asks_for_is_not_much_more_than_it_takes(tmp_path, recipe):
    study = configfiles.read([*PAPER, str(ROOT / "config/demo.yaml")])
    brief = study.recipes[recipe].model_copy(update={"epochs": 1})  # memory does not depend on it
    recipes = study.recipes | {recipe: brief}
    study = study.model_copy(update={"recipes": recipes, "replicates": 1, "block_size": 1})
    point = next(p for p in sweep.runs_table(study)["point"] if p.recipe_name == recipe)
    path = sweep.split_path(study, point, 0)
    data, run, snapshots, history = (tmp_path / name for name in ("data", "run", "snap", "hist"))
    prepare = ("--spec", canonical_json(sweep.data_specs(study)[path]), "--output", data)
    assert forked.run(["-m", "squareloss.data.prepare", *prepare], cwd=ROOT).returncode == 0
    used = peak_bytes(
        "squareloss.train", "--spec", canonical_json(sweep.run_spec(study, point, 0)),
        "--data", data, "--checkpoint", tmp_path / "checkpoint", "--run", run,
        "--snapshots", snapshots, "--history", history,
    )  # fmt: skip
    tables = [f"--{name}={tmp_path / name}" for name in ("margins", "collapse", "layers", "bounds")]
    read = peak_bytes(
        "squareloss.extract", "--delta", study.delta, "--run", run,
        "--snapshots", snapshots, "--data", data, *tables,
    )  # fmt: skip
    for job, stage in ((cost.training_job, used), (cost.reading_job, read)):
        asked = 2**20 * cost.memory_mb(job(study, point), 1)  # Slurm's MB are MiB
        taken = stage + 2 * SNAKEMAKE_BYTES
        assert asked > 1.05 * taken
        assert asked > taken + SNAKEMAKE_BYTES  # a task of a job array has one more
        # Not the 1.5 of docs/performance.md: how much of the libraries a process holds depends on
        # what else the machine has read.
        assert asked < 2 * taken or torch.version.cuda is None  # such a build takes less


def test_the_sum_over_recipes_is_the_study(study):
    table = cost.estimate(study)
    parts, total = table.drop(index="in all"), table.loc["in all"]
    assert parts["jobs"].sum() == total["jobs"] == len(sweep.runs_table(study))
    assert parts["GPU hours"].sum() == pytest.approx(total["GPU hours"], abs=0.1)
    points = sweep.runs_table(study)["point"]
    reading = sum(cost.reading_job(study, point).seconds for point in points) / 3600
    assert total["core hours"] == pytest.approx(reading * len(sweep.blocks(study)), abs=0.1)
    more = cost.estimate(study.model_copy(update={"replicates": 20}))
    assert more.loc["in all", "jobs"] == 2 * total["jobs"]


def test_the_page_says_what_a_figure_costs(study):
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## What a figure costs")
    rows = re.findall(r"^\| (`figure\d+`|in all).*?((?: \| [\d.]+){4}) \|$", section, re.M)
    assert [name for name, _ in rows[:-1]] == [f"`figure{number}`" for number in range(2, 11)]
    for name, cells in rows:
        only = name.strip("`")
        experiments = {only: study.experiments[only]} if only != "in all" else study.experiments
        total = cost.estimate(study.model_copy(update={"experiments": experiments})).loc["in all"]
        shown = total[["runs", "GPU hours", "core hours", "snapshots, GB"]]
        assert [float(cell) for cell in cells.split(" | ")[1:]] == [float(x) for x in shown], name
    job = cost.training_job(study, sweep.runs_table(study)["point"].iloc[0])
    gigabytes, minutes = cost.memory_mb(job, 1) / 1e3, cost.runtime_minutes(job, 1)
    limits = f"{gigabytes:.1f} GB of memory and {minutes} minutes"
    taken = f"takes {job.seconds / 60:.0f} minutes by the estimate below"
    assert f"Each job asks for one GPU, {limits}, and {taken}." in page


def test_overlays_merge_as_snakemake_merges_them():
    for overlay in ("config/demo.yaml", "config/long.yaml", "config/readings.yaml"):
        base, over = (yaml.safe_load((ROOT / name).read_text()) for name in [*PAPER, overlay])
        ours = configfiles.merged(base, over)
        update_config(base, over)  # in place
        assert ours == base


def test_the_command_prints_the_table_and_where_the_rate_is_from():
    done = command("config.yaml")
    assert done.returncode == 0
    assert "in all" in done.stdout
    assert "assumed by training_rate" in done.stdout
    measured = command("config.yaml", "--samples-per-second", 700_000)
    assert "from 700,000 samples/s of cnn6" in measured.stdout


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("sed: 3", "did you mean 'seed'"), ("a: [", "not valid YAML"), (None, "nowhere.yaml")],
)
def test_a_mistake_is_one_line(tmp_path, text, wanted):
    path = tmp_path / "nowhere.yaml"
    if text is not None:
        path.write_text(text)
    done = command("config.yaml", path)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert wanted in done.stderr
