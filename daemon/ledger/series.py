"""The tables of Looks that are fitted to a series: each is fitted once and then used for every photo."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.ledger.database import Database
from daemon.ledger.job import Job
from daemon.ledger.pinned_presets import PinnedPresets
from daemon.ledger.rows import StoredPaths

LOOKED_AT = 1000  # Jobs among which those of a series are sought


class Series:
    """``digest``: a Preset's own, which changes with each edit. Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database, paths: StoredPaths, presets: PinnedPresets) -> None:
        self._sql = database.sql
        self._paths = paths
        self._presets = presets

    def table(self, digest: str) -> bytes | None:
        rows = self._sql("SELECT lut FROM series WHERE digest = ?", (digest,))
        return bytes(rows[0]["lut"]) if rows else None

    def keep(self, digest: str, table: bytes) -> None:
        """``table``: as `stylecore.lut.to_bytes` gives it. The first one stays."""
        self._sql("INSERT OR IGNORE INTO series VALUES (?, ?)", (digest, table))

    def waiting(self, job: Job, digest: str, most: int) -> tuple[Path, ...]:
        """Photos of this Job's series: its own, and others that are complete and queued, the oldest first."""
        rows = self._sql(
            "SELECT photo, recipe FROM jobs WHERE state = 'queued' AND preset = ? AND id <> ? ORDER BY id LIMIT ?",
            (os.fsencode(job.preset), job.id, LOOKED_AT),
        )
        others = [self._paths.path(row["photo"]) for row in rows if self._presets.get(row["recipe"]).digest == digest]
        return job.photo, *others[: most - 1]
