"""Is a file complete? Its writer may be slow, stalled, or have given the file its full size beforehand."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

from daemon.ledger import Signature

SETTLE = 1.0  # seconds without any change


def look(path: Path) -> Signature:
    return signature(path.stat(follow_symlinks=False))


def signature(stat: os.stat_result) -> Signature:
    return Signature(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def has_writer(path: Path) -> bool:
    """Whether someone has the file open for writing; False where the system cannot tell.

    Linux grants a read lease (fcntl F_SETLEASE) only on a file that nobody has open for writing. Who opens it for
    writing while we hold the lease breaks it, of which the kernel tells by SIGIO: that must be ignored by then.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False  # unreadable: the worker will say why
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another's file, or a file system without leases
    finally:
        os.close(fd)
    return False


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable_digest(seen: Signature) -> str:
    """Stands for the bytes of a file that cannot be read, so that it fails once and not at every look."""
    return f"unreadable:{seen.inode}:{seen.ctime_ns}"


def silently() -> contextlib.suppress:
    """For files that vanish between two looks."""
    return contextlib.suppress(FileNotFoundError, NotADirectoryError)
