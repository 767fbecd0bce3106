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

Journal = Literal["WAL", "TRUNCATE"]
PAGE = mmap.PAGESIZE
USED_UP = (errno.ENOSPC, errno.EDQUOT)  # says nothing about the file system


@dataclass(frozen=True)
class Place:
    """``remark``: why it is not the usual place or journal."""

    file: Path
    journal: Journal = "WAL"
    remark: str | None = None


def place_for(usual: Path, elsewhere: Path) -> Place:
    """``usual`` is in the Root; ``elsewhere``, for a Root whose file system has no locks or cannot be synced, is a
    folder on this machine. Tries it out with a small file. What else is wrong with the folder shows when the Ledger is
    opened."""
    refused = _refused(usual.parent)
    name = f"{usual.parent.parent.name}-{hashlib.sha256(os.fsencode(usual.parent.resolve())).hexdigest()[:16]}.sqlite3"
    for what in ("locks", "syncing"):
        if what in refused:
            file = elsewhere / name
            return Place(file, "WAL", f"The Ledger is {file}: the Root's file system has no {what} ({refused[what]}).")
    if "shared memory" in refused:
        why = f"the Root's file system has no shared memory ({refused['shared memory']})"
        return Place(usual, "TRUNCATE", f"The Ledger uses a rollback journal, which is slower: {why}.")
    return Place(usual)


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
                refused[what] = e.strerror or str(e)

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
