"""The folder in which a machine that has joined keeps photos, style pictures and Results until it leaves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from pathlib import Path

import filelock

PREFIX = "stylefolder-worker-"


class OwnFolder:
    """A new folder among the system's temporary ones. Folders of workers that were killed are removed: nobody holds
    their locks. A lock lies beside its folder and is held before the folder exists. Raises OSError."""

    def __init__(self) -> None:
        temporary = Path(tempfile.gettempdir())
        _sweep(temporary)
        self.path = temporary / f"{PREFIX}{uuid.uuid4().hex}"
        self._lock = _lock(self.path)
        self._lock.acquire()
        self.path.mkdir(mode=0o700)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        _lock_file(self.path).unlink(missing_ok=True)


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _lock(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(_lock_file(folder), timeout=0, thread_local=False)


def _sweep(temporary: Path) -> None:
    for file in temporary.glob(f"{PREFIX}*.lock"):
        folder = file.with_suffix("")
        if folder.exists():  # otherwise, its owner is about to create it
            with contextlib.suppress(OSError):  # another user's, or held (Timeout is an OSError)
                with _lock(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                file.unlink(missing_ok=True)
