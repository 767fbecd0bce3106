"""Where the Ledger is, and how it keeps its journal: file servers may lack what SQLite needs."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stylecore.errors import cause

Journal = Literal["WAL", "TRUNCATE"]
PAGE = mmap.PAGESIZE
LONGEST_NAME = 200  # bytes
USED_UP = (errno.ENOSPC, errno.EDQUOT)  # says nothing about the file system


@dataclass(frozen=True)
class Place:
    """``locks``: the file system has them; else SQLite locks with files of its own. ``remark``: why it is not the usual
    place or journal."""

    file: Path
    journal: Journal = "WAL"
    locks: bool = True
    remark: str | None = None


def place_for(usual: Path, elsewhere: Path, *, shared: bool) -> Place:
    """``usual`` is in the Root; ``elsewhere``, for a Root whose file system has no locks or cannot be synced, is a
    folder on this machine. ``shared``: the Root is on a file server.

    Tries out what SQLite needs with a small file. What else is wrong with the folder shows when the Ledger is opened. A
    Root whose Ledger was once elsewhere keeps it there.
    """
    root = os.fsencode(usual.parent.parent.resolve())
    name = os.fsencode(usual.parent.parent.name)[:LONGEST_NAME]
    other = elsewhere / f"{os.fsdecode(name)}-{hashlib.sha256(root).hexdigest()[:16]}.sqlite3"
    refused = _refused(usual.parent)
    why = next((f"no {what} ({refused[what]})" for what in ("locks", "syncing") if what in refused), None)
    if why is None and other.exists():
        why = "lacked locks or syncing before"
    if why is not None:
        elsewhere.mkdir(parents=True, exist_ok=True)
        there = _refused(elsewhere)
        plain: Journal = "TRUNCATE" if there else "WAL"
        has = "" if why.startswith("lacked") else "has "
        return Place(other, plain, "locks" not in there, f"The Ledger is {other}: the Root's file system {has}{why}.")
    if "shared memory" in refused:
        why = f"the Root's file system has no shared memory ({refused['shared memory']})"
    elif shared:
        why = "the Root is on a file server"
    return Place(usual, "TRUNCATE", remark=f"The Ledger uses a rollback journal: {why}.") if why else Place(usual)


def _refused(folder: Path) -> dict[str, str]:
    """What a file in this folder cannot do, with the system's reasons."""
    probe = folder / f"probe-{secrets.token_hex(4)}"
    refused: dict[str, str] = {}

    @contextlib.contextmanager
    def trying(what: str) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            if e.errno not in USED_UP:
                refused[what] = cause(e)

    try:
        with probe.open("w+b", buffering=0) as file:
            file.write(bytes(PAGE))
            with contextlib.suppress(ImportError), trying("locks"):
                import fcntl

                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with trying("shared memory"):
                file.truncate(2 * PAGE)  # as SQLite does; some file systems cannot let a file grow like that
                mmap.mmap(file.fileno(), 2 * PAGE).close()
            with trying("syncing"):
                os.fsync(file.fileno())
    except OSError:  # full, or closed to us: opening the Ledger will say so
        return {}
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return refused
