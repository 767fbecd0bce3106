"""What tests of every package share."""

from __future__ import annotations

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


def difference(a: object, b: object) -> float:
    """Mean absolute difference of two pictures, 0..255."""
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def shipped(name: str) -> Painting:
    """A shipped painting."""
    preset = load_preset(REPOSITORY / "presets" / f"{name}.yaml")
    assert isinstance(preset, Painting)
    return preset
