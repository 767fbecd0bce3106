"""How a file is recognised: by its size, times and inode without reading it, or by the sha256 of its bytes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

MAX_SQLITE_INTEGER = 2**63 - 1


class Signature(NamedTuple):
    """Shows, without reading a file, whether it is still the one that was seen."""

    size: int
    mtime_ns: int
    ctime_ns: int  # changes with every write, even if mtime is set back, and with a change of permissions
    inode: int


def signature_of(stat: os.stat_result) -> Signature:
    """Cut each number to SQLite's 63 bits: times can be after the year 2262, and inodes can be hashes."""
    numbers = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return Signature(*(number & MAX_SQLITE_INTEGER for number in numbers))


def same(a: Signature, b: Signature) -> bool:
    """Whether the file is unchanged. Inodes are not compared: some file systems, most of them FUSE, give a file another
    one now and then. Every change that another inode would show changes a time as well."""
    return a[:3] == b[:3]


def look(path: Path) -> Signature:
    """Raises OSError."""
    return signature_of(path.stat(follow_symlinks=False))


def sha256(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_bytes(path: Path, digest: str) -> bool:
    """Whether the file is there and these are its bytes."""
    try:
        return sha256(path) == digest
    except OSError:
        return False
