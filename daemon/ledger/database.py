"""SQLite as the Ledger needs it: one door for statements, errors told apart, a damaged file set aside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stylecore.errors import StylefolderError

FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class LedgerError(StylefolderError):
    """SQLite cannot use the file."""


class LedgerFull(LedgerError):
    """No room on the Ledger's disk: nothing was changed, and the same may be asked again later."""


class LedgerDamaged(LedgerError):
    """The file is no sound database."""


class LedgerOld(LedgerError):
    """Of an older stylefolder, in another shape."""


class LedgerGone(LedgerError):
    """The file was taken away, with its folder perhaps."""


class Database:
    """A connection for one thread; ``path`` may be ``:memory:``. Every method raises a LedgerError where SQLite cannot."""

    def __init__(self, path: Path | str, schema: str, version: int) -> None:
        self.path = path
        try:
            if isinstance(path, Path):
                path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        except (OSError, sqlite3.Error) as e:
            raise LedgerError(f"The Ledger {path} cannot be opened ({e}): mend the folder's rights.") from e
        self.connection.row_factory = sqlite3.Row
        try:
            self._prepare(schema, version)
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, schema: str, version: int) -> None:
        self.sql("PRAGMA journal_mode = WAL")
        self.sql("PRAGMA synchronous = FULL")
        known = self.sql("PRAGMA user_version")[0][0]
        if known > version:
            raise LedgerError(f"The Ledger {self.path} was written by a newer stylefolder: bring this one up to date.")
        empty = not self.sql("SELECT 1 FROM sqlite_master LIMIT 1")
        if 0 < known < version:
            raise LedgerOld(f"The Ledger {self.path} was written by an older stylefolder.")
        if not empty and (known < version or self.sql("PRAGMA quick_check(1)")[0][0] != "ok"):
            raise LedgerDamaged(f"The Ledger {self.path} is damaged.")
        if empty:
            with self.transaction():
                for statement in schema.split(";\n"):
                    self.sql(statement)
                self.sql(f"PRAGMA user_version = {version}")

    def sql(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise self._told(e) from e

    def _told(self, e: sqlite3.Error) -> LedgerError:
        code = getattr(e, "sqlite_errorcode", 0)
        if isinstance(self.path, Path) and not os.path.exists(self.path):  # noqa: PTH110  # of a dead mount it says no, and does not raise
            return LedgerGone(f"The Ledger {self.path} is gone.")
        if code in FULL:
            return LedgerFull(
                f"There is no room for the Ledger {self.path}: make room on its disk; then it goes on by itself."
            )
        if code & 0xFF in DAMAGED:
            return LedgerDamaged(f"The Ledger {self.path} is damaged ({e}).")
        return LedgerError(
            f"The Ledger {self.path} cannot be used ({e}): mend its rights or its disk, then start again."
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; within another one, a part of it."""
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


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, with its log; returns where it lies now."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            part.replace(aside.with_name(aside.name + suffix))
    return aside
