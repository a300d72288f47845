"""Cores and memory of a process, from copies of what Linux says of control groups."""

import os

import pytest

from squareloss.machine import allowance, benchmark, doctor

GB = 10**9
HOST = "MemTotal:       32000000 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n"
TOTAL, FREE = 32000000 * 1024, 20000000 * 1024


def machine(root, groups, files):
    """A root with /proc/meminfo, /proc/self/cgroup and files below /sys/fs/cgroup."""
    for path, text in {
        "proc/meminfo": HOST,
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{path}": text for path, text in files.items()},
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n", encoding="utf-8")
    return root


V1 = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc"
GROUPS = {
    "none": ("", {}, 8, TOTAL, FREE),
    "v2 without limits": (
        "0::/a.slice/b",
        {"a.slice/b/cpu.max": "max 100000", "a.slice/b/memory.max": "max"},
        8, TOTAL, FREE,
    ),
    "v2": (
        "0::/a.slice/b",
        {"a.slice/b/cpu.max": "300000 100000", "a.slice/b/memory.max": str(4 * GB),
         "a.slice/b/memory.current": str(GB), "a.slice/b/memory.stat": "anon 5\ninactive_file 7"},
        3, 4 * GB, 3 * GB + 7,
    ),
    "v2, half a core": ("0::/", {"cpu.max": "50000 100000"}, 1, TOTAL, FREE),
    "v2, one core and a half": ("0::/", {"cpu.max": "150000 100000"}, 1, TOTAL, FREE),
    "v2, in a container that shows its group as the root": (
        "0::/", {"memory.max": str(4 * GB), "memory.current": str(4 * GB)}, 8, 4 * GB, 0,
    ),
    "v2, of the group around": (
        "0::/job/step/task",
        {"job/memory.max": str(2 * GB), "job/memory.current": "0", "job/cpu.max": "200000 100000",
         "job/step/memory.max": str(3 * GB), "job/step/cpu.max": "max 100000"},
        2, 2 * GB, 2 * GB,
    ),
    "v2, more than the host has": (
        "0::/", {"memory.max": str(10**15), "memory.current": "0", "cpu.max": "9900000 100000"},
        8, TOTAL, FREE,
    ),
    "v1": (
        V1,
        {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000",
         "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
         "memory/docker/abc/memory.limit_in_bytes": str(4 * GB),
         "memory/docker/abc/memory.usage_in_bytes": str(3 * GB),
         "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 1"},
        2, 4 * GB, GB + 1,
    ),
    "v1, in a container that shows the path of the host": (
        V1,
        {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000",
         "memory/memory.limit_in_bytes": str(4 * GB), "memory/memory.usage_in_bytes": "0"},
        2, 4 * GB, 4 * GB,
    ),
    "v1 without limits": (
        V1,
        {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000",
         "memory/memory.limit_in_bytes": "9223372036854771712",
         "memory/memory.usage_in_bytes": "5"},
        8, TOTAL, FREE,
    ),
    "v1 and v2 together": (
        V1,
        {"unified/docker/abc/cgroup.procs": "1", "memory/memory.limit_in_bytes": str(4 * GB)},
        8, 4 * GB, 4 * GB,
    ),
    "nonsense": ("a\n::\n0::/", {"cpu.max": "", "memory.max": "x"}, 8, TOTAL, FREE),
}  # fmt: skip


@pytest.mark.parametrize(("groups", "files", "cores", "total", "free"), GROUPS.values(), ids=GROUPS)
def test_the_smaller_of_machine_and_group(tmp_path, monkeypatch, groups, files, cores, total, free):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    root = machine(tmp_path, groups, files)
    assert allowance.cores(root) == cores
    assert allowance.memory(root) == (total, free)


def test_cores_that_are_not_given_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    root = machine(tmp_path, "0::/", {"cpu.max": "400000 100000"})
    assert allowance.cores(root) == 1


def test_a_system_that_tells_nothing_is_unknown(tmp_path):
    assert allowance.memory(tmp_path) is None
    assert allowance.cores(tmp_path) >= 1


def test_what_chooses_and_what_reports_take_these_numbers(monkeypatch):
    assert benchmark.CORES == doctor.CORES == allowance.cores()
    monkeypatch.setattr(doctor.allowance, "memory", lambda: (4 * GB, GB))
    assert doctor.memory() == "4 GB, 1 GB of it free"
