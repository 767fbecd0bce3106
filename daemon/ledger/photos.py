"""What is in the folders, as last seen, and which photo's Result has which name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from daemon.ledger.database import Database
from daemon.ledger.job import Job
from daemon.ledger.rows import StoredPaths
from daemon.ledger.signature import Signature, sha256


class Photos:
    """Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database, paths: StoredPaths) -> None:
        self._database = database
        self._sql = database.sql
        self._paths = paths

    def signatures(self, preset: str) -> dict[str, Signature]:
        """The photos that are present under a Preset, by absolute path."""
        rows = self._sql(
            "SELECT path, size, mtime_ns, ctime_ns, inode FROM photos WHERE preset = ? AND presence = 'present'",
            (os.fsencode(preset),),
        )
        root = str(self._paths.root)
        return {os.path.join(root, os.fsdecode(path)): Signature(*rest) for path, *rest in rows}  # noqa: PTH118

    def presets(self) -> set[str]:
        """The Presets, or Inboxes, under which photos are present."""
        rows = self._sql("SELECT DISTINCT preset FROM photos WHERE presence = 'present'")
        return {os.fsdecode(row[0]) for row in rows}

    def see(self, photo: Path, preset: str, signature: Signature, digest: str | None) -> None:
        """Record that the photo is there with these bytes."""
        key = self._paths.key(photo)
        self._sql(
            "INSERT INTO photos VALUES (?, ?, 'present', ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " presence = 'present', size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
            " inode = excluded.inode, digest = excluded.digest",
            (key, os.fsencode(preset), *signature, digest),
        )

    def gone(self, photos: Iterable[str]) -> None:
        """Record that the photos were removed. If they come back, they are checked again. Their Results are kept:
        another photo of the same name never replaces them."""
        with self._database.transaction():
            for photo in photos:
                key = self._paths.key(photo)
                self._sql("UPDATE photos SET presence = 'gone' WHERE path = ?", (key,))
                self._sql(
                    "UPDATE jobs SET keep_result = 1 WHERE photo = ?1 AND source = 'folder'"
                    " AND digest IS (SELECT digest FROM photos WHERE path = ?1)",
                    (key,),
                )

    def look_again(self, photo: Path) -> None:
        """Check the photo again at the next scan: it changed, or vanished, before its Job's turn."""
        self._sql(
            "UPDATE photos SET presence = 'changed' WHERE path = ? AND presence = 'present'", (self._paths.key(photo),)
        )

    def is_own_result(self, digest: str, preset: str) -> bool:
        """Whether these are the bytes of a Result of this Preset."""
        return bool(
            self._sql(
                "SELECT 1 FROM jobs WHERE result_digest = ? AND preset = ? AND state = 'done' LIMIT 1",
                (digest, os.fsencode(preset)),
            )
        )

    def may_write(self, path: Path, job: Job) -> Literal["free", "ours"] | None:
        """Whether this Job's Result may have that name: nothing is there (free), or the Result of an earlier version of
        this photo (ours). None for the Result of a photo that was removed, for one that someone has edited, and for
        anyone else's file."""
        key = self._paths.key(path)
        if self._sql(
            "SELECT 1 FROM jobs WHERE result = ? AND photo <> ? AND state = 'done' LIMIT 1",
            (key, self._paths.key(job.photo)),
        ):
            return None
        if not os.path.lexists(path):
            return "free"
        ours = self._sql("SELECT keep_result, result_digest FROM jobs WHERE result = ? AND state = 'done'", (key,))
        if not ours or any(keep for keep, _ in ours):
            return None
        digests = {digest for _, digest in ours}
        with contextlib.suppress(OSError):  # what cannot be read is not ours to replace
            if None in digests or sha256(path) in digests:  # None: an adopted Result, whose bytes are not known
                return "ours"
        return None
