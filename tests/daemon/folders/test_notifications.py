"""File notifications, from the real system."""

from __future__ import annotations

import errno
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
        notifications.watch({folder: True})
        folder.rmdir()
        wait_for(notifications.arrived)
        folder.mkdir()
        watch, _ = notifications._watches[folder]
        wait_for(lambda: not notifications._delivers(watch))
        notifications._watches[folder] = watch, folder.stat().st_ino  # as if it were the old one
        notifications.watch({folder: True})
        notifications.clear()
        (folder / "a.jpg").touch()
        wait_for(notifications.arrived)
    finally:
        notifications.stop()


def test_a_folder_that_is_no_longer_watched_has_no_problem(tmp_path: Path) -> None:
    notifications = Notifications(threading.Event(), lambda _: False)
    (tmp_path / "file").touch()
    try:
        notifications.watch({tmp_path / "file": True, tmp_path: False})
        assert notifications.problem is None
        notifications._refused[tmp_path / "gone"] = OSError(errno.ENOSPC, "No space left on device")
        assert "raise fs.inotify.max_user_watches" in (notifications.problem or "")
        notifications._refused[tmp_path / "gone"] = OSError(errno.EACCES, "Permission denied")
        assert f"for {tmp_path / 'gone'} (Permission denied)" in (notifications.problem or "")
        notifications.watch({tmp_path: False})
        assert notifications.problem is None
        assert list(notifications._watches) == [tmp_path]
    finally:
        notifications.stop()
