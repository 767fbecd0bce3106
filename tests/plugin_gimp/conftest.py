"""Fixtures: a real GIMP 3 with the plug-in installed, with and without a daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import wait_for
from tests.plugin_gimp.harness import FAST, Gimp, make


@pytest.fixture(scope="session")
def gimp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gimp]:
    """With a daemon: presets `one` (one step), `nothing` (strength 0), `long`."""
    made = make(tmp_path_factory.mktemp("gimp"))
    made.daemon.preset("one", FAST)
    made.daemon.preset("nothing", FAST + "strength: 0\n")
    made.daemon.preset("long", FAST.replace("steps: 1", "steps: 5000"))
    made.daemon.extra = {"GIMP3_DIRECTORY": str(made.directory)}
    made.daemon.start()
    wait_for((made.plug_in / "daemon.json").exists)
    yield made
    made.daemon.stop()


@pytest.fixture
def lonely(tmp_path: Path) -> Gimp:
    """A separate GIMP, without a daemon."""
    return make(tmp_path)


@pytest.fixture(scope="session")
def adobe_rgb_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.stylecore.images.photos import adobe_rgb

    path = tmp_path_factory.mktemp("profile") / "adobe.icc"
    path.write_bytes(adobe_rgb())
    return str(path)
