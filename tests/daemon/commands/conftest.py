"""Another machine, whose daemon the commands use."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.daemon.harness import Daemon


@pytest.fixture
def laptop(daemon: Daemon, tmp_path: Path) -> Daemon:
    """Connected to the daemon, which runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    daemon.start("--listen", address)
    (tmp_path / "laptop").mkdir()
    made = Daemon(tmp_path / "laptop" / "Root", tmp_path / "laptop")
    line = daemon.run("pair").stdout.strip().removeprefix("stylefolder connect ").strip("'")
    assert made.run("connect", line).returncode == 0
    return made
