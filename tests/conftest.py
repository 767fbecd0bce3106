"""What the tests share: real photographs from packages, the real weights, small sizes."""

from __future__ import annotations

import importlib.metadata
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecore.images.photo import Photo
from stylecore.preset import Painting
from tests.harness import REPOSITORY, shipped
from tests.plugin_gimp.found import console

NO_GIMP = (
    "The tests in a real GIMP were skipped: GIMP 3 was not found. To run them, set STYLEFOLDER_GIMP to its launcher."
)

os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # two tests at a time on two cores: torch's threads must not spin
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, as would its children
collect_ignore_glob = [] if console() else ["plugin_gimp/test_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not console():
        terminalreporter.write_line(NO_GIMP)


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of scikit-image's photographs."""
    return Path(str(importlib.metadata.distribution("scikit-image").locate_file("skimage/data")))


@pytest.fixture(scope="session")
def cat(photographs: Path) -> Image.Image:
    """451 x 300, RGB."""
    return Image.open(photographs / "chelsea.png").convert("RGB")


@pytest.fixture
def photo(cat: Image.Image) -> Photo:
    """The cat."""
    return Photo(Path("cat.png"), np.asarray(cat), "png")


@pytest.fixture
def small(cat: Image.Image) -> Image.Image:
    """96 x 64, RGB."""
    return cat.resize((96, 64), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def oil() -> Painting:
    return shipped("oil")


@pytest.fixture(scope="session")
def quick(oil: Painting) -> Painting:
    """The cheapest recipe: two steps at 64 pixels."""
    return oil.model_copy(update={"steps": (2,), "size": 64})


@pytest.fixture
def quick_yaml() -> str:
    """The same recipe as a preset's file, which works in any folder."""
    return f"style: {REPOSITORY / 'presets' / 'styles' / 'oil.jpg'}\nsteps: 2\nsize: 64\n"
