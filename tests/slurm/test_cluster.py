"""`snakemake --profile slurm` on a cluster: the same results as without, and what each job gets."""

import re

import pytest
from copies import LONG, STUDY, Copy, longer

from squareloss.study import cost, sweep
from squareloss.study import files as configfiles


def test_the_study_gives_what_it_gives_without_a_cluster(copy, cluster, tmp_path_factory):
    copy.finish(copy.on_cluster())
    local = Copy(tmp_path_factory.mktemp("local"))
    local.locally()
    tables = copy.files(".parquet")
    assert len(tables) > 4 * 6  # runs, tables of each
    assert tables == local.files(".parquet")
    assert copy.files(".safetensors") == local.files(".safetensors")
    figures = copy.files(".png")
    assert {path.stem for path in figures} >= {"figure1", "figure2", "figure3", "figure8"}
    assert figures == local.files(".png")

    study = configfiles.read([str(copy.folder / name) for name in ("config.yaml", *STUDY)])
    [need] = {cost.training_job(study, point) for point in sweep.runs_table(study)["point"]}
    jobs = [job for job in cluster.all_jobs() if job["Comment"].startswith("rule_train")]
    assert len(jobs) == 4
    for job in jobs:
        assert job["JobState"] == "COMPLETED"
        assert "recipe=cnn6_wd=" in job["Comment"]  # what `squeue -o %k` shows
        assert job["TresPerJob"] == "gres:gpu:1"
        assert job["MinMemoryNode"] == f"{cost.memory_mb(need, 1)}M"
        hours, minutes, _ = map(int, job["TimeLimit"].split(":"))
        assert 60 * hours + minutes == cost.runtime_minutes(need, 1)
    # Each was given one of the two devices, and its log says which.
    for log in (copy.results / "logs" / "train").rglob("*.log"):
        assert re.search(r"SLURM_JOB_ID=\d+ CUDA_VISIBLE_DEVICES=[01]$", log.read_text(), re.M)
    # Extraction asks for no GPU; data, tables and figures are made without the queue.
    others = [job for job in cluster.all_jobs() if job not in jobs]
    assert {job["Comment"].split("_wildcards")[0] for job in others} == {
        "rule_extract",
        "rule_landscape",
        "rule_small",
    }
    assert all("TresPerJob" not in job for job in others)


def test_an_array_of_training_jobs_is_one_entry_of_the_queue(copy, cluster, tmp_path_factory):
    before = cluster.entries()
    copy.locally("data")
    copy.finish(copy.on_cluster("runs", "--slurm-array-jobs", "train"))
    assert len(cluster.entries() - before) == 1
    local = Copy(tmp_path_factory.mktemp("local"))
    local.locally("runs")
    assert copy.files(".parquet", ".safetensors") == local.files(".parquet", ".safetensors")


# By what a site wants, as docs/cluster.md says: resources of the training job, what it then asks
# Slurm for, and the devices that it may get. Device 1 is the H100.
GPUS = {
    "gres": (["train:gpu=0", "train:gres=gpu:1"], {"TresPerNode": "gres:gpu:1"}, "01"),
    "type": (["train:gpu_model=h100"], {"TresPerJob": "gres:gpu:h100:1"}, "1"),
    "type by gres": (
        ["train:gpu=0", "train:gres=gpu:h100:1"],
        {"TresPerNode": "gres:gpu:h100:1"},
        "1",
    ),
}
PARTITIONS = """\
partitions:
  gpu: {max_gpu: 1}
  cpu: {max_runtime: 1d}
"""


@pytest.fixture
def short_run(copy, cluster, undisturbed):
    """Make a target of a study of one short run; its Slurm jobs by rule."""

    def run(target, *options):
        before = cluster.numbers()
        copy.finish(copy.on_cluster(target, "--config", longer(2), *options, overlays=LONG))
        assert copy.files(".parquet", ".safetensors").items() >= undisturbed(2).items()
        jobs = [job for job in cluster.all_jobs() if job["JobId"] not in before]
        return {re.match("rule_([a-z]+)", job["Comment"])[1]: job for job in jobs}

    return run


def gpu_request(job):
    """What a job asks for beside CPUs and memory."""
    return {name: job[name] for name in ("TresPerJob", "TresPerNode") if name in job}


@pytest.mark.parametrize("wanted", ["gres", "type"])
def test_a_site_that_wants_gpus_in_another_way(copy, short_run, wanted):
    resources, request, devices = GPUS[wanted]
    # An account and the efficiency report: a cluster without a database fails for neither.
    options = ["--default-resources", "slurm_account=me", "--slurm-efficiency-report"]
    jobs = short_run("runs", "--set-resources", *resources, *options)
    assert gpu_request(jobs["train"]) == request
    assert jobs["train"]["Account"] == "me"
    assert re.search(rf"CUDA_VISIBLE_DEVICES=[{devices}]$", copy.log(), re.M)
    assert "Failed to retrieve job data" in copy.output.read_text()


def test_a_partition_file_sends_each_job_where_it_fits(copy, short_run):
    resources, request, devices = GPUS["type by gres"]
    (copy.folder / "partitions.yaml").write_text(PARTITIONS)
    options = ["--slurm-partition-config", "partitions.yaml"]
    jobs = short_run("metrics", "--set-resources", *resources, *options)
    assert {rule: job["Partition"] for rule, job in jobs.items()} == {
        "train": "gpu",
        "extract": "cpu",
    }
    assert gpu_request(jobs["train"]) == request
    assert gpu_request(jobs["extract"]) == {}
    assert re.search(rf"CUDA_VISIBLE_DEVICES=[{devices}]$", copy.log(), re.M)
