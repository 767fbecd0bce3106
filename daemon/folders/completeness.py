"""Is a file complete? Its writer may be slow, stalled, or have given the file its full size beforehand."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from daemon.ledger.job import Signature

SETTLE = 1.0  # seconds without any change
CHUNK = 1 << 20
READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a FIFO would wait for its writer


def look(path: Path) -> Signature:
    return signature(path.stat(follow_symlinks=False))


def signature(stat: os.stat_result) -> Signature:
    """Each number cut to the 63 bits that SQLite has: times may lie after the year 2262, inodes be hashes."""
    return Signature(
        *(number & (2**63 - 1) for number in (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
    )


def digest_if_free(path: Path, beat: Callable[[], None] = lambda: None) -> str | None:
    """The sha256 of a file's bytes; None while someone has it open for writing. Raises OSError where it cannot be read.
    ``beat`` is called after each megabyte.

    Where the system cannot tell of writers, there are none.
    """
    fd = os.open(path, READ | NONBLOCK)
    try:
        return None if _has_writer(fd) else _digest(fd, beat)
    finally:
        os.close(fd)


def sha256(path: Path) -> str:
    fd = os.open(path, READ)
    try:
        return _digest(fd)
    finally:
        os.close(fd)


def _digest(fd: int, beat: Callable[[], None] = lambda: None) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(fd, CHUNK):
        digest.update(chunk)
        beat()
    return digest.hexdigest()


def _has_writer(fd: int) -> bool:
    """Linux grants a read lease (fcntl F_SETLEASE) only on a file that nobody has open for writing. Who opens it for
    writing while we hold the lease breaks it, of which the kernel tells by SIGIO: that must be ignored by then.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another's file, or a file system without leases
    return False


def unreadable_digest(seen: Signature) -> str:
    """Stands for the bytes of a file that cannot be read, so that it fails once and not at every look."""
    return f"unreadable:{seen.inode}:{seen.ctime_ns}"


def silently() -> contextlib.suppress:
    """For files that vanish between two looks."""
    return contextlib.suppress(FileNotFoundError, NotADirectoryError)
