"""How much memory this job may still take: the machine's, or less where a scheduler set a limit."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")

# Where a control group keeps its limit and its use, by version: file names, and the line of
# memory.stat with the cache that is given up when memory runs short.
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_memory() -> int:
    """Return the bytes that can still be had without swapping or being killed.

    The least of: what the machine has available; what the job's control groups (Slurm,
    Kubernetes, containers) leave, versions 1 and 2; what `ulimit -v` leaves.
    """
    process = psutil.Process()
    limits: list[int] = [psutil.virtual_memory().available, *_left_in_cgroups()]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft - process.memory_info().vms)
    return max(min(limits), 0)


def _left_in_cgroups(
    membership: Path = Path("/proc/self/cgroup"), mounted: Path = _CGROUPS
) -> list[int]:
    """Return what each control group with a limit leaves, the process's own and those above."""
    left: list[int] = []
    with contextlib.suppress(OSError):  # not Linux
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                version, top = 1, mounted / "memory"
            elif not controllers:
                version, top = 2, mounted
            else:
                continue
            folder = top / path.lstrip("/")
            # In a container the path may be the host's; the container's own group is the top.
            for group in (folder, *folder.parents):
                if group.is_relative_to(top):
                    left += _left(group, version)
    return left


def _left(group: Path, version: int) -> list[int]:
    """Return what a control group leaves; nothing where it has no limit."""
    limit_file, usage_file, cache = _FILES[version]
    try:
        limit = int((group / limit_file).read_text())
        usage = int((group / usage_file).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not there, or "max"
        return []
    return [limit - usage + int(stat.get(cache, 0))]
