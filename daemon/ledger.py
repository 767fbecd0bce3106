"""The Ledger: the SQLite record of every Job. What must survive a crash lives here and nowhere else.

A change of state is one SQL statement. Paths are kept as the bytes that the file system has, so that no name is lost.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

from stylecore.errors import StylefolderError
from stylecore.preset import Preset

State = Literal["queued", "running", "done", "failed", "cancelled"]
MAX_ATTEMPTS = 3

SCHEMA = """
CREATE TABLE IF NOT EXISTS recipes (
    digest TEXT PRIMARY KEY,             -- sha256 of the JSON
    preset TEXT NOT NULL                 -- JSON of the Preset as it was
);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    photo BLOB NOT NULL,
    preset TEXT NOT NULL,
    recipe TEXT REFERENCES recipes,      -- NULL while there is no valid preset of that name
    digest TEXT NOT NULL,                -- sha256 of the photo's bytes
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    target BLOB,                         -- the Result's file, where it was asked for by name
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- times that it was begun
    reason TEXT,
    result BLOB,
    queued_at REAL NOT NULL, started_at REAL, finished_at REAL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_job ON jobs (photo, preset, digest);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, id);
CREATE INDEX IF NOT EXISTS by_result ON jobs (result);
"""


@dataclass(frozen=True)
class Signature:
    """What tells without reading that a file is the one that was seen."""

    size: int
    mtime_ns: int
    ctime_ns: int  # changes with every write, also where mtime is set back, and with a change of rights
    inode: int


@dataclass(frozen=True)
class Job:
    """One Photo under one Preset; ``recipe`` is None while no valid preset of that name is known. Times are Unix seconds."""

    id: int
    photo: Path
    preset: str
    recipe: Preset | None
    target: Path | None
    state: State
    attempts: int
    reason: str | None
    result: Path | None
    queued_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        return None if self.started_at is None or self.finished_at is None else self.finished_at - self.started_at


class Ledger:
    """Opened by one thread; ``path`` may be ``:memory:`` for Jobs that need not survive."""

    def __init__(self, path: Path | str) -> None:
        try:
            if isinstance(path, Path):
                path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self.db.row_factory = sqlite3.Row
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = FULL")
            self.db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as e:
            raise StylefolderError(f"The Ledger {path} cannot be opened ({e}): make room or mend the folder's rights.") from e

    def close(self) -> None:
        self.db.close()

    def signatures(self, preset: str) -> dict[Path, Signature]:
        """Of all photos seen under a preset, as they were last seen."""
        rows = self.db.execute("SELECT photo, size, mtime_ns, ctime_ns, inode FROM jobs WHERE preset = ? ORDER BY id", (preset,))
        return {_path(r["photo"]): Signature(r["size"], r["mtime_ns"], r["ctime_ns"], r["inode"]) for r in rows}

    def add(
        self, photo: Path, preset: str, recipe: Preset | None, digest: str, signature: Signature,
        target: Path | None = None, reason: str | None = None,
    ) -> Job | None:  # fmt: skip
        """Queue a photo; with a ``reason`` it has failed already. None where the same bytes under that name and preset
        are known: then only the signature is brought up to date."""
        row = self.db.execute(
            "INSERT INTO jobs (photo, preset, recipe, digest, size, mtime_ns, ctime_ns, inode, target, state, reason,"
            " queued_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (photo, preset, digest) DO NOTHING RETURNING *",
            (
                os.fsencode(photo), preset, self._keep(recipe), digest, *astuple(signature),
                target and os.fsencode(target), "failed" if reason else "queued", reason, time.time(),
                time.time() if reason else None,
            ),
        ).fetchone()  # fmt: skip
        if row is None:
            self.db.execute(
                "UPDATE jobs SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE photo = ? AND preset = ? AND digest = ?",
                (*astuple(signature), os.fsencode(photo), preset, digest),
            )
            return None
        return self._job(row)

    def give_recipe(self, recipe: Preset) -> int:
        """Queue the Jobs that failed for want of a valid preset of this name. Returns how many."""
        return self.db.execute(
            "UPDATE jobs SET recipe = ?, state = 'queued', reason = NULL, finished_at = NULL"
            " WHERE preset = ? AND recipe IS NULL AND state = 'failed'",
            (self._keep(recipe), recipe.name),
        ).rowcount

    def take(self) -> Job | None:
        """The oldest queued Job, now running."""
        row = self.db.execute(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, reason = NULL"
            " WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
            (time.time(),),
        ).fetchone()
        return self._job(row) if row else None

    def finish(self, job: Job, state: Literal["done", "failed", "cancelled"], *, result: Path | None = None, reason: str | None = None) -> Job:
        row = self.db.execute(
            "UPDATE jobs SET state = ?, result = ?, reason = ?, finished_at = ? WHERE id = ? RETURNING *",
            (state, result and os.fsencode(result), reason, time.time(), job.id),
        ).fetchone()
        return self._job(row)

    def put_back(self, job: Job, *, counts: bool = False) -> None:
        """Queue a running Job again. Stopped through no fault of its own, this start does not count as an attempt."""
        self.db.execute(
            "UPDATE jobs SET state = 'queued', attempts = attempts - ?, started_at = NULL WHERE id = ?",
            (0 if counts else 1, job.id),
        )

    def recover(self) -> list[Job]:
        """After a crash: what was running is queued again, or failed after so many crashes. Returns the latter."""
        rows = self.db.execute(
            "UPDATE jobs SET finished_at = CASE WHEN attempts >= ? THEN ? END,"
            " reason = CASE WHEN attempts >= ? THEN ? END,"
            " state = CASE WHEN attempts >= ? THEN 'failed' ELSE 'queued' END WHERE state = 'running' RETURNING *",
            (
                MAX_ATTEMPTS, time.time(), MAX_ATTEMPTS,
                f"It was stopped in the middle {MAX_ATTEMPTS} times, each time by a crash: "
                "try it alone with `stylefolder apply`.",
                MAX_ATTEMPTS,
            ),
        ).fetchall()  # fmt: skip
        return [self._job(row) for row in rows if row["state"] == "failed"]

    def result_is_anothers(self, result: Path, job: Job) -> bool:
        """Whether another photo's Result has that name."""
        row = self.db.execute(
            "SELECT 1 FROM jobs WHERE result = ? AND photo <> ? AND state = 'done'", (os.fsencode(result), os.fsencode(job.photo))
        ).fetchone()
        return row is not None

    def count(self, states: Iterable[State]) -> int:
        return sum(self.counts().get(state, 0) for state in states)

    def counts(self) -> dict[str, int]:
        return {r["state"]: r["n"] for r in self.db.execute("SELECT state, count(*) AS n FROM jobs GROUP BY state")}

    def jobs(self) -> list[Job]:
        return [self._job(row) for row in self.db.execute("SELECT * FROM jobs ORDER BY id")]

    def _keep(self, recipe: Preset | None) -> str | None:
        if recipe is None:
            return None
        text = recipe.model_dump_json()
        digest = hashlib.sha256(text.encode()).hexdigest()  # of all: a preset's own digest leaves its name and paths out
        self.db.execute("INSERT OR IGNORE INTO recipes VALUES (?, ?)", (digest, text))
        return digest

    def _job(self, row: Any) -> Job:
        recipe = None
        if row["recipe"]:
            kept = self.db.execute("SELECT preset FROM recipes WHERE digest = ?", (row["recipe"],)).fetchone()
            recipe = Preset.model_validate_json(kept["preset"])
        return Job(
            id=row["id"], photo=_path(row["photo"]), preset=row["preset"], recipe=recipe,
            target=_path(row["target"]) if row["target"] else None, state=row["state"], attempts=row["attempts"],
            reason=row["reason"], result=_path(row["result"]) if row["result"] else None,
            queued_at=row["queued_at"], started_at=row["started_at"], finished_at=row["finished_at"],
        )  # fmt: skip


def _path(raw: bytes) -> Path:
    return Path(os.fsdecode(raw))
