"""SQLite as the Ledger needs it: one way to run statements, errors told apart, numbered migrations."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daemon.errors import LedgerBusy, LedgerDamaged, LedgerError, LedgerFull, LedgerGone, LedgerNewer, LedgerOutdated
from daemon.ledger.place import Journal
from daemon.ledger.schema import FIRST_VERSION, MIGRATIONS, SCHEMA, VERSION

FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC)
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
BUSY_TIMEOUT = 30  # seconds


class Database:
    """A connection for one thread at a time. Every method raises a LedgerError if SQLite fails."""

    def __init__(self, path: Path | str, journal: Journal = "WAL", *, locks: bool = True) -> None:
        self.path = path
        try:
            if isinstance(path, Path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if journal != "WAL":
                    _leave_wal(path, journal)
            name = path if locks else f"file:{quote(os.fspath(path))}?vfs=unix-dotfile"
            self.connection = sqlite3.connect(
                name, isolation_level=None, timeout=BUSY_TIMEOUT, check_same_thread=False, uri=not locks
            )
        except (OSError, sqlite3.Error) as e:
            raise LedgerError(f"The Ledger {path} cannot be opened ({e}): check the folder's permissions.") from e
        self.connection.row_factory = sqlite3.Row
        self.new = False  # the tables were created just now
        try:
            self._prepare(journal)
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, journal: Journal) -> None:
        self.sql(f"PRAGMA journal_mode = {journal}")
        self.sql("PRAGMA synchronous = FULL")
        if not self.sql("SELECT 1 FROM sqlite_master LIMIT 1"):
            self._run(SCHEMA, VERSION)
            self.new = True
            return
        version = self.sql("PRAGMA user_version")[0][0]
        if version > VERSION:
            raise LedgerNewer(f"A newer version of Stylefolder wrote the Ledger {self.path}: update Stylefolder.")
        if 0 < version < FIRST_VERSION:
            raise LedgerOutdated(f"The Ledger {self.path} is from a version of Stylefolder that is too old to convert.")
        if version == 0 or self.sql("PRAGMA quick_check(1)")[0][0] != "ok":
            raise LedgerDamaged(f"The Ledger {self.path} is damaged.")
        for number in range(version + 1, VERSION + 1):
            self._run(MIGRATIONS[number], number)

    def _run(self, script: str, version: int) -> None:
        with self.transaction():
            for statement in script.split(";\n"):
                self.sql(statement)
            self.sql(f"PRAGMA user_version = {version}")

    def sql(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise self._error(e) from e

    def _error(self, e: sqlite3.Error) -> LedgerError:
        code = getattr(e, "sqlite_errorcode", 0)
        # os.path.exists returns False for a dead mount, where Path.exists raises.
        if isinstance(self.path, Path) and not os.path.exists(self.path):
            return LedgerGone(f"The Ledger {self.path} is gone.")
        if code & 0xFF in BUSY:
            return LedgerBusy(f"Another program locks the Ledger {self.path}: close that program, and work continues.")
        if code in FULL:
            return LedgerFull(f"The disk of the Ledger {self.path} is full: free some space, and work continues.")
        if code & 0xFF in DAMAGED:
            return LedgerDamaged(f"The Ledger {self.path} is damaged ({e}).")
        return LedgerError(
            f"The Ledger {self.path} cannot be used ({e}): check its permissions and its disk, then start again."
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another transaction, part of that one."""
        if self.connection.in_transaction:
            yield
            return
        self.sql("BEGIN IMMEDIATE")
        try:
            yield
            self.sql("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
                self.connection.rollback()
            raise

    def close(self) -> None:
        self.connection.close()


def _leave_wal(path: Path, journal: Journal) -> None:
    """Bring a database that was written with a write-ahead log to another journal. In exclusive mode, which must come
    before everything else, SQLite needs no shared memory for that."""
    try:
        with path.open("rb") as file:
            if (
                file.read(20)[18:19] != b"\2"
            ):  # the file format's version: a write-ahead log (SQLite, Database File Format)
                return
    except FileNotFoundError:
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with contextlib.suppress(sqlite3.DatabaseError):  # damage is found when the Ledger is opened
            connection.execute(f"PRAGMA journal_mode = {journal}")


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, together with its log. Returns its new path."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            part.replace(aside.with_name(aside.name + suffix))
    return aside
