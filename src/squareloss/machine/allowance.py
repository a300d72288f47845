"""How many cores and how much memory this process may use: the machine's, or its control group's.

    python -m squareloss.machine.allowance    # prints the cores: `make demo CORES=all`

A container, a cluster's job and a service of systemd are control groups of Linux (cgroups), of
version 1 or 2. A group is limited by itself and by every group that it lies in.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
INACTIVE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.M)


def cores(root: Path = ROOT) -> int:
    """Whole cores, 1 or more: those given to this process, or fewer by its share of their time."""
    if hasattr(os, "sched_getaffinity"):
        given = len(os.sched_getaffinity(0))
    else:
        given = os.cpu_count() or 1
    shares = [share for folder in _groups(root, "cpu") if (share := _cpu_share(folder))]
    return max(1, min(given, *(math.floor(share) for share in shares)) if shares else given)


def memory(root: Path = ROOT) -> tuple[int, int] | None:
    """Bytes of main memory, in all and free; None where the system does not tell."""
    text = _read(root / "proc/meminfo")
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s*(\d+) kB", text, re.M))
    if len(found) < 2:
        return None
    total, free = (1024 * int(found[name]) for name in ("MemTotal", "MemAvailable"))
    for folder in _groups(root, "memory"):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        used = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit is not None:
            total = min(total, int(limit))
            if used is not None:
                # What is cached of files counts as used, and is given up when it is needed.
                cached = re.search(INACTIVE, _read(folder / "memory.stat"))
                free = min(free, int(limit - used) + int(cached[1] if cached else 0))
    return total, max(0, min(free, total))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups of this process that limit something, those around them too."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        for base in {mount / names, mount / controller} if names else {mount, mount / "unified"}:
            # In a container the path may be that of the host, and the group lies at the mount.
            inner = base / path.strip("/")
            for folder in [inner, *inner.parents]:
                if folder.is_relative_to(base):
                    yield folder


def _cpu_share(folder: Path) -> float | None:
    """Cores' worth of time in a group; None if it has no limit."""
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return share if share > 0 else None  # -1 is no limit


def _number(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that has one."""
    texts = (_read(folder / name).strip() for name in names)
    return next((int(text) for text in texts if text.isdigit()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    print(cores())
