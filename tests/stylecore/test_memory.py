"""Freed memory: kept between two steps, returned after a Job and after the style targets."""

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

STYLE = """
import psutil
from stylecore.device import choose_device
from stylecore.memory import reuse_memory
from stylecore.network import load_network
from stylecore.targets import style_targets, targets_of
from tests.harness import shipped
preset, layers = shipped("oil"), ("relu1_1", "relu2_1")
network = load_network(preset.weights, choose_device("cpu"))
def megabytes():
    return psutil.Process().memory_info().rss >> 20
targets_of(network, preset.style, 64, layers)
start = megabytes()
reuse_memory()
targets_of(network, preset.style, 1024, layers)
kept = megabytes() - start
style_targets(network, preset.style, preset.digest, 1024, layers)
print(kept, megabytes() - start)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def test_freed_memory_is_kept_and_returned() -> None:
    kept, left = megabytes_of(KEPT)
    assert kept > 90
    assert left < 10


def test_the_memory_that_the_style_targets_took_is_returned() -> None:
    kept, left = megabytes_of(STYLE)
    assert kept > 200
    assert left < 100


def megabytes_of(program: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=HANG, check=True
    )
    return [int(word) for word in done.stdout.split()]
