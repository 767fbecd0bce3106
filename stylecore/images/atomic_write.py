"""Files written whole or not at all: to a temporary name beside the file, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

import psutil

from stylecore.errors import NoRoom, ResultError, Taken, cause

PART_PREFIX, PART_SUFFIX = ".stylefolder-", ".part"
CLOCKS = 5.0  # seconds by which a file server's clock, or the start of this system, may be off
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SUCH_CALL = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def write_whole(
    path: Path, data: bytes | bytearray | memoryview, *, private: bool = False, replace: bool = True
) -> None:
    """A reader sees the whole file or none. ``private``: only the user may read it.

    Raises NoRoom (disk full), Taken (something is there and ``replace`` is off) or ResultError (folder read-only, ...).
    Then nothing is left behind.
    """
    part = write_part(path, data, private=private)
    try:
        put_in_place(part, path, replace=replace)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_part(path: Path, data: bytes | bytearray | memoryview, *, private: bool = False) -> Path:
    """Write the data to a temporary file beside ``path``, with the permissions that any new file gets there, and sync
    it.

    Returns the temporary file. If its writer is killed, ``clear_parts`` removes it. Raises as ``write_whole`` does.
    """
    part = path.parent / f"{PART_PREFIX}{os.getpid()}-{secrets.token_hex(8)}{PART_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(part, NEW_FILE, 0o600 if private else 0o666)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                _sync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as e:
        raise _error(path, e) from e
    return part


def put_in_place(part: Path, path: Path, *, replace: bool = True) -> None:
    """Rename a temporary file to its final name. Raises as ``write_whole`` does; then the temporary file stays."""
    try:
        if replace:
            _replace(part, path)
        else:
            _rename_to_nothing(part, path)
        _sync_folder(path.parent)
    except FileExistsError as e:
        if replace:
            raise _error(path, e) from e
        raise Taken(f"{path} exists already: choose another name.") from e
    except OSError as e:
        raise _error(path, e) from e


def clear_parts(folder: Path) -> None:
    """Remove what killed writers left in a folder. The files of living writers stay."""
    with contextlib.suppress(OSError):  # no such folder, or not ours to clean
        for part in folder.glob(f"{PART_PREFIX}*{PART_SUFFIX}"):
            if not _has_a_writer(part):
                part.unlink(missing_ok=True)


def _has_a_writer(part: Path) -> bool:
    """Whether the process that its name gives is still running. A newer process has only reused the number."""
    number = part.name.removeprefix(PART_PREFIX).partition("-")[0]
    try:
        return number.isdecimal() and psutil.Process(int(number)).create_time() <= part.stat().st_mtime + CLOCKS
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, OSError):
        return False


def _error(path: Path, e: OSError) -> ResultError:
    kind = NoRoom if e.errno in DISK_FULL else ResultError
    remedy = "free some space" if kind is NoRoom else "check the folder's permissions"
    return kind(f"{path} cannot be written ({cause(e)}): {remedy}.")


def _rename_to_nothing(part: Path, path: Path) -> None:
    """A rename that replaces nothing: add a second name, then remove the first. Raises FileExistsError."""
    try:
        os.link(part, path)
    except FileExistsError:
        if not part.samefile(path):  # else a file server has lost its answer and did it twice
            raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        part.replace(path)
        return
    with contextlib.suppress(OSError):  # the file has its name; the next start removes the other
        part.unlink()


def _replace(part: Path, path: Path) -> None:
    """A rename that replaces what is there, even where the file system does not do that at once."""
    try:
        part.replace(path)
    except FileExistsError:
        path.unlink()
        part.replace(path)


def _sync(fd: int) -> None:
    """Wait until the file is on the disk. A file system that cannot say so is trusted; one that fails is not."""
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno not in NO_SUCH_CALL:
            raise


def _sync_folder(folder: Path) -> None:
    """Sync the folder if the system can. It may refuse to open or sync one, but the file already has its name."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
