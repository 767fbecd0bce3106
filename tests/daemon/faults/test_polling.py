"""Inboxes whose file system does not say what changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from daemon.folders import watcher
from daemon.folders.layout import Layout
from daemon.folders.notifications import Notifications
from daemon.folders.polling import mounts, polled
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.ledger.ledger import Ledger
from tests.daemon.faults.mounts import behind, mounted, needs
from tests.daemon.harness import ONE_STEP, Daemon, is_picture
from tests.harness import wait_for


@needs("bindfs")
def test_an_inbox_whose_file_system_is_silent_is_polled(
    daemon: Daemon, tmp_path: Path, small: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one of two Inboxes is on a server. What another machine puts there is found without a full scan."""
    monkeypatch.setattr(watcher, "SCAN_EVERY", 1e9)
    monkeypatch.setattr("daemon.folders.polling.POLL_EVERY", 0.1)
    layout, folder = Layout(daemon.root), behind(tmp_path)
    for name in ("one", "two"):
        daemon.preset(name, ONE_STEP)
    with mounted(["bindfs", str(folder)], daemon.root / "one"):
        ledger, wake = Ledger(layout.ledger_file, layout.root), threading.Event()
        problems = Problems(lambda _: None)
        notifications = Notifications(wake, layout.is_ours)
        looking = watcher.Watcher(layout, ledger, Presets(layout), notifications, problems, lambda _: None)
        try:
            looking.turn(layout, "keep")
            assert [(one.inbox, one.file_system) for one in looking.polled] == [("one", "fuse")]
            small.save(folder / "from-elsewhere.png")
            assert not wake.wait(1), "the file system is silent"

            def found() -> bool:
                looking.turn(layout, "keep")
                return ledger.history.count("queued") == 1

            wait_for(found)
        finally:
            notifications.stop()
            ledger.close()
        root_too = polled([daemon.root / "two"], mounts(), 7.0, missing=False)
        assert [(one.inbox, one.seconds, one.file_system) for one in root_too] == [("two", 7.0, None)]


@needs("bindfs")
@pytest.mark.slow
def test_polling_is_shown(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    with mounted(["bindfs", str(behind(tmp_path))], daemon.root):
        inbox = daemon.preset("one", ONE_STEP)
        daemon.start()
        small.save(behind(tmp_path) / "one" / "a.png")
        wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
        assert "on fuse, which does not report all changes, so they are scanned every 3 s." in daemon.remarks()
        assert "scanned every 3 s" in daemon.run("doctor", daemon.root).stdout
        assert "scanned every 3 s" in daemon.run("status", "--once").stdout
        daemon.settings("polling: 5\n")
        wait_for(lambda: "scanned every 5 s" in daemon.remarks())
        daemon.settings("polling: 0\n")
        wait_for(lambda: "polling: " in daemon.problems())
        daemon.stop()


def test_a_poll_of_one_inbox_keeps_the_problems_of_others(tmp_path: Path) -> None:
    """Else they would be announced again and again."""
    layout, said = Layout(tmp_path), list[str]()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    ledger = Ledger(":memory:", tmp_path)
    problems, notifications = Problems(said.append), Notifications(threading.Event(), layout.is_ours)
    looking = watcher.Watcher(layout, ledger, Presets(layout), notifications, problems, lambda _: None)
    real = looking.inboxes._entries

    def closed(folder: Path | str) -> list[os.DirEntry[str]]:
        if str(folder) == str(tmp_path / "two"):
            problems.add("two is closed")
            return []
        return real(folder)

    looking.inboxes._entries = closed  # type: ignore[method-assign]
    for only in (None, {"one"}, None, {"one"}):
        looking.scan(only=only)
        assert problems.all == ("two is closed",)
    assert said == ["two is closed"]
    notifications.stop()
    ledger.close()
