"""How much memory a process can still have, in a real control group with a limit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stylecore.available import GROUPS, available_memory
from tests.harness import HANG, REPOSITORY

LIMIT = 512 << 20
INSIDE = """
import os, sys
from pathlib import Path
(Path(sys.argv[1]) / "cgroup.procs").write_text(str(os.getpid()))
from stylecore.available import available_memory
print(available_memory())
"""


@pytest.fixture
def limited() -> Iterator[Path]:
    """A group below our own, of either version, if we may make one."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    first = next((path for _, controllers, path in own if "memory" in controllers.split(",")), None)
    second = next((path for _, controllers, path in own if not controllers), "/")
    parent = GROUPS / "memory" / first.lstrip("/") if first is not None else GROUPS / second.lstrip("/")
    group = parent / "stylefolder-test"
    try:
        group.mkdir()
    except OSError as e:
        pytest.skip(f"no control group can be made here ({e.strerror})")
    try:
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (group / name).exists():
                (group / name).write_text(str(LIMIT))
                break
        else:
            pytest.skip("control groups do not limit memory here")
        yield group
    finally:
        group.rmdir()


def test_a_control_group_leaves_less_than_the_machine_has(limited: Path) -> None:
    inside = [sys.executable, "-c", INSIDE, str(limited)]
    done = subprocess.run(inside, cwd=REPOSITORY, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert LIMIT // 2 < int(done.stdout) <= LIMIT


def test_without_a_limit_it_is_what_the_machine_has() -> None:
    assert 0 < available_memory() <= psutil.virtual_memory().total
