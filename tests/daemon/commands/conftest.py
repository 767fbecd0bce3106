"""Another machine, whose daemon the commands use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.harness import Daemon
from tests.harness import free_address


@pytest.fixture
def laptop(daemon: Daemon, tmp_path: Path) -> Daemon:
    """Connected to the daemon, which runs."""
    daemon.start("--listen", free_address())
    (tmp_path / "laptop").mkdir()
    made = Daemon(tmp_path / "laptop" / "Root", tmp_path / "laptop")
    line = daemon.run("pair").stdout.strip().removeprefix("stylefolder connect ").strip("'")
    assert made.run("connect", line).returncode == 0
    return made
