"""What a site asks of its scheduler reaches the jobs, beside what the rules ask of it."""

import re

import pytest
from workflow_copy import ROOT, copy_repository, snakemake

from squareloss.study import cost, sweep
from squareloss.study.files import read

OURS = "'--signal=TERM@120'"


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("options", "site"),
    [
        ([], ""),
        (["--default-resources", "slurm_extra='--exclude=node13'"], " --exclude=node13"),
        (["--set-resources", "train:slurm_extra=f'--nice={attempt}'"], " --nice=1"),
        (["--set-resources", "train:slurm_extra='--signal=TERM@9'"], " --signal=TERM@9"),
    ],
)
def test_words_for_sbatch_are_joined(tmp_path, options, site):
    copy_repository(tmp_path)
    done = snakemake(tmp_path, "-n", "runs", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = re.findall(r"^ +resources: .*checkpoint_minutes=.*$", done.stdout, re.M)
    assert len(asked) == 2  # the training jobs
    for line in asked:
        assert re.search(rf"slurm_extra={re.escape(OURS + site)}(,|$)", line), line


def test_a_training_job_asks_for_what_the_config_and_the_estimate_say(tmp_path):
    copy_repository(tmp_path)
    settings = ("device=auto", "threads=2", "checkpoint_minutes=7.5")
    done = snakemake(tmp_path, "-n", "-p", "runs", "--config", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    study = read([str(ROOT / "config.yaml"), str(ROOT / "tests/tiny.yaml")])
    study = study.model_copy(update={"device": "auto", "threads": 2})
    [job] = {cost.training_job(study, point) for point in sweep.runs_table(study)["point"]}
    lines = re.findall(r"^ +resources: .*checkpoint_minutes=.*$", done.stdout, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        words = line.split(": ", 1)[1].split(", ")
        asked = dict(word.split("=", 1) for word in words if "=" in word)
        assert asked["mem_mb"] == str(cost.memory_mb(job, 1))
        assert asked["runtime"] == str(cost.runtime_minutes(job, 1))
        assert asked["gpu"] == "1"
    assert done.stdout.count("--checkpoint-minutes 7.5") == 2
    assert re.findall(r"^ +threads: (\d+)$", done.stdout, re.MULTILINE).count("2") == 2
