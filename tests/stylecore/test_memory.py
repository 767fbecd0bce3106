"""Freed memory: kept between two steps, and returned after a Job."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.harness import HANG, REPOSITORY

KEPT = """
import psutil, torch
from stylecore.memory import reuse_memory, trim_memory
def megabytes():
    return psutil.Process().memory_info().rss >> 20
def use():
    torch.ones(100 << 18)  # 100 MB
use()
start = megabytes()
reuse_memory()
use()
kept = megabytes() - start
trim_memory()
print(kept, megabytes() - start)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept_and_returned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KEPT], cwd=REPOSITORY, capture_output=True, text=True, timeout=HANG, check=True
    )
    kept, left = map(int, done.stdout.split())
    assert kept > 90
    assert left < 10
