"""What tests of every package share."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stylecore.preset import Painting
from stylecore.preset_file import load_preset

REPOSITORY = Path(__file__).parent.parent
HANG = 540  # seconds after which something hangs, on any machine; no test measures time


def wait_for(condition: Callable[[], Any], seconds: float = HANG, why: str = "") -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"timed out waiting {why}"
        time.sleep(0.05)
    return found


def free_address(host: str = "127.0.0.1") -> str:
    """HOST:PORT, for a server that a test starts. Below the ports that systems give to connections (32768 and up): one
    of those may be taken before the server is there."""
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind((host, port))
            return f"{host}:{port}"


def difference(a: object, b: object) -> float:
    """Mean absolute difference of two pictures, 0..255."""
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def shipped(name: str) -> Painting:
    """A shipped painting."""
    preset = load_preset(REPOSITORY / "presets" / f"{name}.yaml")
    assert isinstance(preset, Painting)
    return preset
