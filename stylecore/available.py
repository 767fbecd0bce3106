"""How much memory of the machine this process can still have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")
"""The files of a control group's limit and use, and the line of its memory.stat for what the kernel can drop."""


def available_memory() -> int:
    """Bytes: what the system has left or, if that is less, what the limits of this process's control groups leave.
    Containers and batch systems set them, and kill who goes beyond (kernel.org: cgroup-v1/memory, cgroup-v2)."""
    return max(0, min([int(psutil.virtual_memory().available), *_left_by_groups()]))


def _left_by_groups() -> Iterator[int]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (GROUPS / "memory", V1) if controllers else (GROUPS, V2)
        own = top / path.lstrip("/")  # in a container, this may not exist, and ``top`` is the container's own group
        for group in (own, *own.parents):
            if (left := _left(group, *names)) is not None:
                yield left
            if group == top:
                break


def _left(group: Path, limit: str, used: str, droppable: str) -> int | None:
    """None if the group has no limit."""
    try:
        most, now = int((group / limit).read_text()), int((group / used).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or "max"
        return None
    return most - now + int(stat.get(droppable, 0))
