"""Snakemake's progress where there is no terminal: a line a job, errors in full."""

import re
import subprocess
import sys
from logging import Formatter, makeLogRecord
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from squareloss.study.progress import LogHandler, Progress, duration

SNAKEFILE = """
rule all:
    input: expand("out/recipe={r}/block={b}.txt", r=["a", "b"], b=[0, 1]), "end.txt"
rule train:
    output: "out/{point}/block={block}.txt"
    shell: "echo 1 > {output}"
rule end:
    input: expand("out/recipe={r}/block={b}.txt", r=["a", "b"], b=[0, 1])
    output: "end.txt"
    shell: "END"
"""


@pytest.fixture
def told(tmp_path):
    """The lines that Snakemake prints into a pipe."""

    def run(end, *words):
        (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("END", end))
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "squareloss"]
        done = subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    return run


@pytest.mark.workflow
def test_a_line_a_job_names_the_run_and_what_is_done(told):
    code, lines = told("touch {output}")
    assert code == 0
    jobs = lines[:-1]
    assert lines[-1].startswith("Complete log(s):")
    assert len(jobs) == 6  # `all` is one
    for i, line in enumerate(jobs):
        assert re.match(rf"\d\d:\d\d:\d\d {i + 1} of 6 done[,:]", line), line
    trained = {f"train recipe={r}/block={b} (" for r in "ab" for b in (0, 1)}
    for name in trained:
        assert sum(f": {name}" in line for line in jobs) == 1
    assert "s left: train" in jobs[1]
    _, again = told("touch {output}")
    assert again[0].startswith("Nothing to be done")


@pytest.mark.workflow
def test_an_error_is_told_in_full_and_a_plan_as_ever(told):
    code, lines = told("test -e missing")
    assert code == 1
    text = "\n".join(lines)
    assert "Error in rule end:" in text
    assert "test -e missing" in text
    assert sum("done" in line for line in lines) == 4
    code, lines = told("touch {output}", "-n")
    assert code == 0
    assert any(line.startswith("rule end:") for line in lines)


def planned(**jobs):
    progress = Progress()
    progress.planned(jobs | {"total": sum(jobs.values())})
    return progress


def test_a_job_that_failed_is_no_longer_under_way(capsys):
    handler = LogHandler.__new__(LogHandler)
    handler.common_settings = SimpleNamespace(dryrun=False, stdout=False)
    handler.progress, handler.formatter = planned(train=2), Formatter()
    handler.progress.begin(7, "train", {}, 0.0)
    failed = makeLogRecord({"event": LogEvent.JOB_ERROR, "jobid": 7, "msg": "Error in rule train"})
    handler.emit(failed)
    assert "Error in rule train" in capsys.readouterr().err
    assert not handler.progress.running


def test_what_is_left_takes_as_long_as_what_is_done():
    """Four jobs of 60 s, two at a time: after the first two, 60 s."""
    progress = planned(train=4, figure=1)
    for job in (1, 2):
        progress.begin(job, "train", {"point": f"p{job}", "block": "0"}, now=1000)
    assert progress.end(1, now=1060) == "1 of 5 done, about 60 s left: train p1/block=0 (60 s)"
    assert progress.end(2, now=1060) == "2 of 5 done, about 60 s left: train p2/block=0 (60 s)"
    for job in (3, 4):
        progress.begin(job, "train", {"point": f"p{job}", "block": "0"}, now=1060)
    progress.begin(5, "figure", {}, now=1060)
    progress.end(5, now=1090)
    assert progress.seconds_left(1090) == pytest.approx(60 / ((120 + 30 + 60) / 90))


def test_nothing_is_told_of_the_time_while_most_rules_are_unknown():
    progress = planned(split=1, train=10)
    progress.begin(1, "split", {}, now=0)
    assert progress.end(1, now=1) == "1 of 11 done: split (1 s)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (9000, "2.5 h")],
)
def test_a_duration_has_a_unit(seconds, text):
    assert duration(seconds) == text
