"""A table and colours to put through it."""

from __future__ import annotations

import numpy as np
import pytest

from stylecore.colour import Floats
from stylecore.lut import Lut, identity


@pytest.fixture(scope="session")
def warm() -> Lut:
    """Smooth, not linear, and different for each channel."""
    r, g, b = np.moveaxis(identity(), -1, 0)
    return Lut(np.stack([r**0.8, 0.9 * g + 0.1 * r * b, 0.05 + 0.85 * b**1.3], -1).astype(np.float32))


@pytest.fixture(scope="session")
def colours() -> Floats:
    return np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
