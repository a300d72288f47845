"""`snakemake --profile slurm` on a cluster: the same results as without, and what each job gets."""

import re

from copies import STUDY, Copy

from squareloss import configfiles, cost, sweep


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
