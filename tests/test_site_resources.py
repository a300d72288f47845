"""What a site asks of its scheduler reaches the jobs, beside what the rules ask of it."""

import re

import pytest
from workflow_copy import copy_repository, snakemake

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
