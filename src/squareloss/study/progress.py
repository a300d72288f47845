"""Snakemake's progress where there is no terminal, in a line a finished job.

    snakemake --logger squareloss ...

A line says when, how many jobs are done of how many, about how long the others take, and which job
it was. Errors and warnings are Snakemake's own.
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import WARNING, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

ERRORS = (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.ERROR)
TOLD = ("Nothing to be done", "Complete log")  # of what is neither an event nor a warning


@dataclass
class Running:
    """A job that has begun: its rule, what it is called, and when it began, in seconds."""

    rule: str
    name: str
    began: float


@dataclass
class Progress:
    """Which jobs are done and how long they took, in seconds; times are those of one clock."""

    left: Counter[str] = field(default_factory=Counter)  # jobs that are not done, by rule
    running: dict[int, Running] = field(default_factory=dict)  # by the job's number
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # by rule
    first: float | None = None  # when the first job began

    def planned(self, jobs: Mapping[str, int]) -> None:
        """Take over how many jobs there are of each rule."""
        self.left = Counter({rule: n for rule, n in jobs.items() if rule != "total"})

    def begin(self, job: int, rule: str, wildcards: Mapping[str, str], now: float) -> None:
        """A job begins. What it is called has the form of its path: recipe=.../block=0."""
        path = [f"block={text}" if key == "block" else text for key, text in wildcards.items()]
        self.first = now if self.first is None else self.first
        self.running[job] = Running(rule, " ".join([rule, "/".join(path)]).strip(), now)

    def end(self, job: int, now: float) -> str:
        """A job is done: the line that says so."""
        one = self.running.pop(job)
        self.left[one.rule] -= 1
        self.took[one.rule].append(now - one.began)
        done = sum(map(len, self.took.values()))
        words = [f"{done} of {done + self.left.total()} done"]
        seconds = self.seconds_left(now)
        if seconds is not None:
            words.append(f"about {duration(seconds)} left")
        return f"{', '.join(words)}: {one.name} ({duration(now - one.began)})"

    def seconds_left(self, now: float) -> float | None:
        """How long the jobs that are left take, if each takes as long as others of its rule did.

        None while rules without a finished job have most of the jobs that are left.
        """
        mean = {rule: sum(each) / len(each) for rule, each in self.took.items()}
        known = sum(self.left[rule] for rule in mean)
        if not known or 2 * known < self.left.total():
            return None
        begun = {job: now - one.began for job, one in self.running.items()}
        spent = sum(map(sum, self.took.values())) + sum(begun.values())
        ahead = sum(self.left[rule] * seconds for rule, seconds in mean.items())
        for job, one in self.running.items():
            ahead -= min(begun[job], mean.get(one.rule, 0))
        assert self.first is not None
        at_once = max(spent / max(now - self.first, 1e-9), 1e-9)  # jobs, on average
        return ahead / at_once


def duration(seconds: float) -> str:
    """A length of time in its unit: 40 s, 12 min, 2.5 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


class LogHandler(LogHandlerBase):
    """What Snakemake gives its events to."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.progress = Progress()

    def emit(self, record: LogRecord) -> None:
        """Print a line, if the record is worth one."""
        event, more, now = getattr(record, "event", None), record.__dict__, record.created
        text = ""
        if event == LogEvent.JOB_ERROR:  # a retry begins anew
            self.progress.running.pop(more["jobid"], None)
        if self.common_settings.dryrun:
            text = self.format(record)
        elif event == LogEvent.RUN_INFO:
            self.progress.planned(more["stats"])
        elif event == LogEvent.JOB_INFO:
            self.progress.begin(more["jobid"], more["rule_name"], more["wildcards"], now)
        elif event == LogEvent.JOB_FINISHED:
            if more["job_id"] in self.progress.running:
                text = time.strftime("%H:%M:%S ", time.localtime(now))
                text += self.progress.end(more["job_id"], now)
        elif event in ERRORS or record.levelno >= WARNING or record.msg.startswith(TOLD):
            text = self.format(record)
        if text:
            print(text, file=sys.stdout if self.common_settings.stdout else sys.stderr, flush=True)
