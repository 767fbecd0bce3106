"""The Ledger: the SQLite record of photos and Jobs. What must survive a crash is here and nowhere else."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path

from daemon.errors import LedgerGone
from daemon.ledger.clients import Clients
from daemon.ledger.database import Database
from daemon.ledger.history import History
from daemon.ledger.originals import Originals
from daemon.ledger.photos import Photos
from daemon.ledger.pinned_presets import PinnedPresets
from daemon.ledger.place import Journal
from daemon.ledger.queue import Queue
from daemon.ledger.rows import StoredPaths
from daemon.ledger.series import Series


class Ledger:
    """``photos``: what is in the folders. ``queue``: the work to do. ``originals``: photos to move or trash.
    ``history``: read-only queries. ``series``: tables that many Jobs share. ``clients``: who uses it from elsewhere.

    For one thread at a time. ``path`` can be ``:memory:`` for Jobs that need not survive. Paths inside ``root`` are
    stored relative to it. ``journal``, ``locks``: as in Place. ``new``: it was created just now. Opening it, and every
    call, raises a LedgerError if SQLite fails.
    """

    def __init__(self, path: Path | str, root: Path = Path("/"), journal: Journal = "WAL", locks: bool = True) -> None:
        self.path = path
        self.journal = journal
        self.locks = locks
        paths = StoredPaths(root)
        self._database = Database(path, journal, locks=locks)
        presets = PinnedPresets(self._database, paths)
        self.photos = Photos(self._database, paths)
        self.queue = Queue(self._database, paths, presets, self.photos)
        self.originals = Originals(self._database, paths, self.photos)
        self.history = History(self._database, paths, presets)
        self.series = Series(self._database, paths, presets)
        self.clients = Clients(self._database)
        self.new = self._database.new
        self._file = _identity(path) if isinstance(path, Path) else None

    def close(self) -> None:
        self._database.close()

    def check(self) -> None:
        """Raises LedgerGone if the file is not the one that was opened: SQLite would write to a deleted file."""
        if isinstance(self.path, Path):
            with contextlib.suppress(OSError):
                if _identity(self.path) == self._file:
                    return
            raise LedgerGone(f"The Ledger {self.path} is gone.")

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: a thousand photos cost one fsync."""
        return self._database.transaction()


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino
