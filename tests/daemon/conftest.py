"""Fixtures: a separate daemon for one test, or one that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.harness import ONE_STEP, Daemon
from tests.harness import REPOSITORY


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Not started yet."""
    (tmp_path / "home").mkdir()
    made = Daemon(tmp_path / "Root", tmp_path / "home")
    made.root.mkdir()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that many tests share. Each test has its own preset, and so its own Inbox."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "home").mkdir()
    made = Daemon(folder / "Root", folder / "home")
    made.root.mkdir()
    made.start()
    yield made
    assert made.stop() == 0, made.said()
    assert "Traceback" not in made.said()


@pytest.fixture
def fast() -> str:
    """A preset's file: one step at 64 pixels, with the real worker and the real weights."""
    return ONE_STEP


@pytest.fixture
def slow(fast: str) -> str:
    """Enough steps for a test to interfere."""
    return fast.replace("steps: 1", "steps: 5000")


@pytest.fixture
def inbox(shared: Daemon, request: pytest.FixtureRequest, fast: str) -> Path:
    """An Inbox of the shared daemon, named after the test."""
    name = request.node.name.translate(str.maketrans("[]/", "---"))[:60]
    return shared.preset(name, fast)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment that touches nothing of the real user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    return {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(REPOSITORY),
    }


@pytest.fixture
def root(tmp_path: Path, quick_yaml: str) -> Path:
    """A Root with its own preset, `quick`."""
    folder = tmp_path / "Root"
    (folder / "presets").mkdir(parents=True)
    (folder / "quick").mkdir()
    (folder / "presets" / "quick.yaml").write_text(quick_yaml)
    return folder
