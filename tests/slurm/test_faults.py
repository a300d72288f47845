"""What goes wrong on clusters: each run ends as if undisturbed, and goes on from where it stood."""

import os
import re
import shutil
import signal

import pytest
from cluster import NODE, wait_until
from copies import LONG, longer

EPOCHS = 2000
# The site puts no job back into the queue unless it asks for that.
requeued = pytest.mark.parametrize(
    "training", [("--slurm-requeue",)], indirect=True, ids=["requeue"]
)


@pytest.fixture
def training(request, copy):
    """A copy whose only run is being trained on the cluster and has left a checkpoint.

    Its parameter, if it has one, is a tuple of more options for Snakemake.
    """
    options = getattr(request, "param", ())
    process = copy.on_cluster("runs", "--config", longer(EPOCHS), *options, overlays=LONG)
    copy.checkpoint()
    return copy, process


def ends_as_undisturbed(copy, expected):
    """The outputs are equal, and the last attempt went on from the one before: it has a new log."""
    assert copy.files(".parquet", ".safetensors") == expected
    log = copy.log()
    assert "going on from" in log
    assert "epoch 0:" not in log
    assert "is not used" not in log


def test_a_cancelled_job_is_submitted_again(training, cluster, undisturbed):
    copy, process = training
    [job] = cluster.jobs()
    cluster.ask("scancel", job)
    copy.finish(process)
    assert cluster.job(job)["JobState"] == "CANCELLED"
    ends_as_undisturbed(copy, undisturbed(EPOCHS))


@requeued
def test_a_requeued_job_goes_on(training, cluster, undisturbed):
    copy, process = training
    [job] = cluster.jobs()
    cluster.ask("scontrol", "requeue", job)
    copy.finish(process)
    assert cluster.job(job)["Restarts"] == "1"
    ends_as_undisturbed(copy, undisturbed(EPOCHS))


def node_goes_down(cluster, until):
    """Take the node away, with what runs on it, until something has come of it."""
    cluster.ask("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=test")
    wait_until(until, "what a node that is down leads to", 60)
    cluster.ask("scontrol", "update", f"NodeName={NODE}", "State=RESUME")


@requeued
def test_a_job_whose_node_goes_down_goes_on(training, cluster, undisturbed):
    copy, process = training
    [job] = cluster.jobs()
    node_goes_down(cluster, lambda: cluster.jobs("PENDING") == [job])
    copy.finish(process)
    assert cluster.job(job)["Restarts"] == "1"
    ends_as_undisturbed(copy, undisturbed(EPOCHS))


def test_a_job_that_slurm_does_not_requeue_is_submitted_again(training, cluster, undisturbed):
    copy, process = training
    [job] = cluster.jobs()
    node_goes_down(cluster, lambda: cluster.job(job)["JobState"] == "NODE_FAIL")
    copy.finish(process)
    assert cluster.job(job)["Restarts"] == "0"
    ends_as_undisturbed(copy, undisturbed(EPOCHS))


@pytest.mark.parametrize("fault", ["requeue", "node down"])
def test_extraction_that_is_cut_short_is_done_again(copy, cluster, fault):
    metrics = ("metrics", "--config", longer(20))
    copy.locally("runs", *metrics[1:], overlays=LONG)
    process = copy.on_cluster(*metrics, "--slurm-requeue", overlays=LONG)
    logs = copy.results / "logs" / "extract"
    wait_until(lambda: list(logs.rglob("*.log")), "extraction", 120)
    [job] = cluster.jobs("RUNNING")
    if fault == "requeue":
        cluster.ask("scontrol", "requeue", job)
    else:
        node_goes_down(cluster, lambda: cluster.jobs("PENDING") == [job])
    copy.finish(process)
    assert cluster.job(job)["Comment"].startswith("rule_extract")
    assert cluster.job(job)["Restarts"] == "1"
    found = copy.files(".parquet", ".safetensors")
    for table in ("margins", "collapse", "layers", "bounds"):
        shutil.rmtree(copy.results / "metrics" / table)
    copy.locally(*metrics, overlays=LONG)
    assert copy.files(".parquet", ".safetensors") == found


def test_a_job_that_nears_its_time_limit_is_told_saves_and_goes_on(copy, cluster, undisturbed):
    epochs = 9000  # longer than the 30 s until Slurm looks at what is due
    options = ("--set-resources", "train:runtime=60")
    process = copy.on_cluster("runs", "--config", longer(epochs), *options, overlays=LONG)
    copy.checkpoint()
    [job] = cluster.jobs()
    # The limit comes to the job, not the job to its limit: on machines of any speed it trains by
    # then. In one to two minutes, and the workflow asks to be told two minutes before.
    minutes = int(cluster.job(job)["RunTime"].split(":")[1])
    cluster.ask("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes + 2}")
    expected = undisturbed(epochs)
    copy.finish(process)
    assert cluster.job(job)["TimeLimit"] == f"00:{minutes + 2:02}:00"
    assert cluster.job(job)["JobState"] == "FAILED"  # by its own exit code, before TIMEOUT
    ends_as_undisturbed(copy, expected)


@pytest.mark.parametrize("left_over", ["cancelled", "finished"])
def test_snakemake_killed_and_started_again(training, cluster, undisturbed, left_over):
    copy, process = training
    [job] = cluster.jobs()
    process.send_signal(signal.SIGKILL)
    process.wait()
    if left_over == "cancelled":
        cluster.ask("scancel", job)
    wait_until(lambda: not cluster.jobs(), "an empty queue", 120)
    again = ("runs", "--config", longer(EPOCHS))
    locked = copy.on_cluster(*again, overlays=LONG)
    assert locked.wait() != 0
    assert re.search(r"cannot be locked|LockException", copy.output.read_text())
    copy.locally("--unlock", overlays=LONG)
    copy.finish(copy.on_cluster(*again, overlays=LONG))
    if left_over == "cancelled":
        ends_as_undisturbed(copy, undisturbed(EPOCHS))
    else:  # the job ended by itself: it is not asked for again, or has nothing left to train
        assert copy.files(".parquet", ".safetensors") == undisturbed(EPOCHS)
        assert f"SLURM_JOB_ID={job} " in copy.log() or "epoch" not in copy.log()


def test_snakemake_started_again_while_its_job_still_trains(training, cluster, undisturbed):
    copy, process = training
    trainer = copy.trainer()
    process.send_signal(signal.SIGKILL)
    process.wait()
    copy.locally("--unlock", overlays=LONG)
    again = ("runs", "--config", longer(EPOCHS))
    os.kill(trainer, signal.SIGSTOP)  # it holds on to the run
    try:
        second = copy.on_cluster(*again, "--retries", "0", overlays=LONG)
        assert second.wait(120) != 0
        assert f"process {trainer} on" in copy.log()
        assert "is training this run; wait for it or stop it" in copy.log()
    finally:
        os.kill(trainer, signal.SIGCONT)
    wait_until(lambda: not cluster.jobs(), "an empty queue", 120)
    copy.finish(copy.on_cluster(*again, overlays=LONG))
    assert copy.files(".parquet", ".safetensors") == undisturbed(EPOCHS)
    assert "epoch 0:" not in copy.log()
