"""The folder in which a machine that has joined keeps photos, style pictures and Results until it leaves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import filelock

PREFIX = "stylefolder-worker-"
LOCK = "lock"


class OwnFolder:
    """A new folder among the system's temporary ones. Folders of workers that were killed are removed: they are those
    whose lock nobody holds. Raises OSError."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _lock(self.path)
        self._lock.acquire()

    def close(self) -> None:
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def _lock(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder / LOCK, timeout=0, thread_local=False)


def _sweep(temporary: Path) -> None:
    for folder in temporary.glob(f"{PREFIX}*"):
        if (folder / LOCK).exists():  # otherwise, its owner is about to lock it
            with contextlib.suppress(OSError), _lock(folder):  # another user's, or locked (Timeout is an OSError)
                shutil.rmtree(folder, ignore_errors=True)
