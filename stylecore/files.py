"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from stylecore.errors import NoRoom, ResultError

PART_PREFIX, PART_SUFFIX = ".stylefolder-", ".part"
FULL = (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, data: bytes | bytearray | memoryview, *, private: bool = False) -> None:
    """Into a temporary name beside ``path``, fsync, rename: a reader sees the whole file or none. ``private``: only
    the user may read it.

    Raises NoRoom (disk full) or ResultError (folder read-only, ...); then nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, part = tempfile.mkstemp(PART_SUFFIX, PART_PREFIX, path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o600 if private else 0o666 & ~_umask())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            raise
        _sync_folder(path.parent)
    except OSError as e:
        kind = NoRoom if e.errno in FULL else ResultError
        raise kind(f"{path} cannot be written ({e.strerror}): make room or mend the folder's rights.") from e


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
