"""Is a file complete? Its writer may be slow or stalled, or may have given the file its full size beforehand."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

SETTLE = 1.0  # seconds without any change
CHUNK = 1 << 20
# O_NONBLOCK: without it, opening a FIFO would wait for a writer.
READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


def digest_if_complete(path: Path, after_chunk: Callable[[], None]) -> str | None:
    """The sha256 of a file's bytes, or None while someone has it open for writing. If the system cannot
    tell, assume that nobody has. Raises OSError if the file cannot be read."""
    try:
        fd = os.open(path, READ)
    except BlockingIOError:  # another program holds a lease for writing
        return None
    try:
        if _has_writer(fd):
            return None
        digest = hashlib.sha256()
        while chunk := os.read(fd, CHUNK):
            digest.update(chunk)
            after_chunk()
        return digest.hexdigest()
    finally:
        os.close(fd)


def _has_writer(fd: int) -> bool:
    """Linux grants a read lease (fcntl F_SETLEASE) only on a file that nobody has open for writing. If someone opens it
    for writing while we hold the lease, the kernel sends SIGIO, which must be ignored by then (``daemon.lifetime``)."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # someone else's file, or a file system without leases
    return False
