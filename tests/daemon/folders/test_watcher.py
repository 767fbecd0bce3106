"""The watcher's scan, over real folders."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.folders.layout import Layout
from daemon.folders.notifications import Notifications
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.folders.watcher import Watcher
from daemon.ledger.ledger import Ledger
from daemon.lifetime import Systemd


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that listens as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield made


@pytest.mark.parametrize("photos", [True, False])
def test_systemd_hears_of_the_daemon_during_a_long_scan(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch, photos: bool
) -> None:
    """On a slow share, where each folder and each photo takes a long time to read."""
    root = tmp_path / "Root"
    for i in range(20):
        (root / "oil" / f"{i}").mkdir(parents=True)
        if photos:
            (root / "oil" / f"{i}" / "a.jpg").write_bytes(bytes([i]) * 100)
    scandir = os.scandir

    def slow(path: Any) -> Any:
        time.sleep(0.1)
        return scandir(path)

    monkeypatch.setattr("daemon.folders.inboxes.os.scandir", slow)
    monkeypatch.setattr("daemon.lifetime.SIGN_EVERY", 0.25)
    layout, notifications = Layout(root), Notifications(threading.Event(), lambda _: False)
    with closing(Ledger(":memory:", root)) as ledger:
        problems = Problems(lambda _: None)
        systemd = Systemd()
        watcher = Watcher(layout, ledger, Presets(layout), notifications, problems, lambda _: None, systemd.alive)
        systemd.alive()
        assert listener.recv(100) == b"WATCHDOG=1"
        listener.setblocking(False)
        watcher.scan()
        heard = 0
        while True:
            try:
                assert listener.recv(100) == b"WATCHDOG=1"
                heard += 1
            except BlockingIOError:
                break
    notifications.stop()
    assert heard >= 3, "20 folders at 0.1 s, a sign of life every 0.25 s"
