"""File notifications, from the real system."""

from __future__ import annotations

import threading
from pathlib import Path

from daemon.folders.notifications import Notifications
from tests.harness import wait_for


def test_a_folder_created_again_is_watched_whatever_its_inode(tmp_path: Path) -> None:
    """File systems reuse the inode of a folder that was just removed."""
    folder = tmp_path / "oil"
    folder.mkdir()
    notifications = Notifications(threading.Event(), lambda _: False)
    try:
        notifications.watch(folder, recursive=True)
        folder.rmdir()
        wait_for(notifications.arrived)
        folder.mkdir()
        watch, _ = notifications._watches[folder]
        wait_for(lambda: not notifications._delivers(watch))
        notifications._watches[folder] = watch, folder.stat().st_ino  # as if it were the old one
        notifications.watch(folder, recursive=True)
        notifications.clear()
        (folder / "a.jpg").touch()
        wait_for(notifications.arrived, 10)
    finally:
        notifications.stop()
