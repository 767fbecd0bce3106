"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

import psutil

from stylecore.errors import NoRoom, ResultError

PART_PREFIX, PART_SUFFIX = ".stylefolder-", ".part"
FULL = (errno.ENOSPC, errno.EDQUOT)


class Taken(ResultError):
    """Something lies there."""


def write_whole(
    path: Path, data: bytes | bytearray | memoryview, *, private: bool = False, replace: bool = True
) -> None:
    """Into a temporary name beside ``path``, fsync, rename: a reader sees the whole file or none. ``private``: only
    the user may read it. What a kill leaves, ``clear_parts`` takes away.

    Raises NoRoom (disk full), Taken (not to ``replace`` what is there) or ResultError (folder read-only, ...); then
    nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, part = tempfile.mkstemp(PART_SUFFIX, f"{PART_PREFIX}{os.getpid()}-", path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o600 if private else 0o666 & ~_umask())
            if replace:
                os.replace(part, path)
            else:
                _rename_to_nothing(part, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            raise
        _sync_folder(path.parent)
    except FileExistsError as e:
        raise Taken(f"{path} is there already: name another.") from e
    except OSError as e:
        kind = NoRoom if e.errno in FULL else ResultError
        raise kind(f"{path} cannot be written ({e.strerror}): make room or mend the folder's rights.") from e


def _rename_to_nothing(part: str, path: Path) -> None:
    """A rename that replaces nothing: a second name, then the first is taken away. Raises FileExistsError."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.replace(part, path)
    else:
        os.unlink(part)


def clear_parts(folder: Path) -> None:
    """Take away what writers that were killed left in a folder; those that live are left alone."""
    with contextlib.suppress(OSError):  # no folder, or one of others: nothing of ours to take away
        for part in folder.glob(f"{PART_PREFIX}*{PART_SUFFIX}"):
            number = part.name.removeprefix(PART_PREFIX).partition("-")[0]
            if not (number.isdecimal() and psutil.pid_exists(int(number))):
                part.unlink(missing_ok=True)


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
