"""Two machines with one Root on a file server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.faults.mounts import behind, mounted, needs
from tests.daemon.harness import ONE_STEP, Daemon, is_picture
from tests.harness import HANG, wait_for


def on_host(daemon: Daemon, name: str) -> Daemon:
    daemon.before = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
    return daemon


@needs("bindfs", "unshare")
def test_a_second_machine_is_refused_and_told_who_was_first(daemon: Daemon, tmp_path: Path) -> None:
    """Each has a mount of its own, so that the system's locks do not meet."""
    server = behind(tmp_path)
    second = on_host(Daemon(tmp_path / "second", tmp_path / "home2"), "garden")
    second.home.mkdir()
    with mounted(["bindfs", str(server)], daemon.root), mounted(["bindfs", str(server)], second.root):
        on_host(daemon, "attic").start()
        done = subprocess.run(
            [*second.before, sys.executable, "-m", "daemon", "watch", str(second.root), "--plain"],
            env=second.environment, capture_output=True, text=True, timeout=HANG,
        )  # fmt: skip
        assert done.returncode == 2
        assert f"Another Stylefolder (process {daemon.pid} on attic) already watches {second.root}" in done.stderr
        assert "Checking for up to 60 s" in done.stdout + done.stderr
        assert daemon.status()["state"] == "healthy"
        daemon.stop()
        second.start()  # at once: the first has said goodbye
        second.stop()


@needs("bindfs", "unshare")
@pytest.mark.slow
def test_a_machine_that_died_is_replaced(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    """When its heartbeat has been missing for a minute. If it was only asleep, it ends when it wakes up."""
    server = behind(tmp_path)
    second = on_host(Daemon(tmp_path / "second", tmp_path / "home2"), "garden")
    second.home.mkdir()
    with mounted(["bindfs", str(server)], daemon.root), mounted(["bindfs", str(server)], second.root):
        on_host(daemon, "attic").preset("one", ONE_STEP)
        daemon.start()
        assert daemon.process is not None
        pid = daemon.pid
        os.kill(pid, signal.SIGSTOP)
        second.start()
        small.save(second.root / "one" / "a.png")
        wait_for(lambda: is_picture(server / "one" / "styled" / "a.png"))
        os.kill(pid, signal.SIGCONT)
        assert daemon.process.wait(HANG) == 2
        assert "on garden) already watches" in daemon.said()
        assert second.status()["state"] == "healthy"
        assert sorted(path.name for path in (server / "one" / "styled").iterdir()) == ["a.png"]
        second.stop()
