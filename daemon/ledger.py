"""The Ledger: the SQLite record of every Job. What must survive a crash lives here and nowhere else.

A change of state is one SQL statement. Paths are kept as the bytes that the file system has, so that no name is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
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
    photo BLOB NOT NULL,                 -- paths: within the Root relative to it
    preset BLOB NOT NULL,                -- a folder's name
    recipe TEXT REFERENCES recipes,      -- NULL while there is no valid preset of that name
    digest TEXT NOT NULL,                -- sha256 of the photo's bytes
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    target BLOB,                         -- the Result's file, where it was asked for by name
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- times that it was begun
    reason TEXT,
    mendable INTEGER NOT NULL DEFAULT 0, -- failed through no fault of the photo
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
    """Opened by one thread. Paths within ``root`` are kept relative to it, so that a Root may be moved; ``path`` may be
    ``:memory:`` for Jobs that need not survive. Every method raises StylefolderError where SQLite cannot (disk full)."""

    def __init__(self, path: Path | str, root: Path = Path("/")) -> None:
        self.path = path
        self.root = root
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
        rows = self._sql(
            "SELECT photo, size, mtime_ns, ctime_ns, inode FROM jobs WHERE preset = ? ORDER BY id", (os.fsencode(preset),)
        )
        return {self._path(r["photo"]): Signature(r["size"], r["mtime_ns"], r["ctime_ns"], r["inode"]) for r in rows}

    def add(
        self, photo: Path, preset: str, recipe: Preset | None, digest: str, signature: Signature,
        target: Path | None = None, reason: str | None = None,
    ) -> Job | None:  # fmt: skip
        """Queue a photo; with a ``reason`` it has failed already. None where the same bytes under that name and preset
        are known: then only the signature is brought up to date. What failed, or was replaced by other bytes
        meanwhile, is queued anew: so a touch is another try."""
        key = (self._bytes(photo), os.fsencode(preset), digest)
        kept = self._keep(recipe)
        with self._transaction():
            self._sql(
                "DELETE FROM jobs WHERE photo = ?1 AND preset = ?2 AND digest = ?3 AND state NOT IN ('queued', 'running')"
                " AND (state = 'failed' OR id < (SELECT max(id) FROM jobs WHERE photo = ?1 AND preset = ?2))",
                key,
            )
            rows = self._sql(
                "INSERT INTO jobs (photo, preset, digest, recipe, size, mtime_ns, ctime_ns, inode, target, state, reason,"
                " queued_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (photo, preset, digest) DO NOTHING RETURNING *",
                (
                    *key, kept, *astuple(signature), target and self._bytes(target), "failed" if reason else "queued",
                    reason and _text(reason), time.time(), time.time() if reason else None,
                ),
            )  # fmt: skip
            if not rows:
                self._sql(
                    "UPDATE jobs SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE photo = ? AND preset = ? AND digest = ?",
                    (*astuple(signature), *key),
                )
        return self._job(rows[0]) if rows else None

    def give_recipe(self, recipe: Preset) -> None:
        """Queue the Jobs that failed for want of a valid preset of this name."""
        name = os.fsencode(recipe.name)
        if self._sql("SELECT 1 FROM jobs WHERE preset = ? AND recipe IS NULL AND state = 'failed' LIMIT 1", (name,)):
            self._sql(
                "UPDATE jobs SET recipe = ?, state = 'queued', reason = NULL, finished_at = NULL"
                " WHERE preset = ? AND recipe IS NULL AND state = 'failed'",
                (self._keep(recipe), name),
            )

    def take(self) -> Job | None:
        """The oldest queued Job, now running."""
        if not self._sql("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1"):
            return None  # without the cost of a write
        rows = self._sql(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, reason = NULL"
            " WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
            (time.time(),),
        )
        return self._job(rows[0]) if rows else None

    def done(self, job: Job, result: Path) -> Job:
        return self._finish(job, "done", self._bytes(result), None, False)

    def failed(self, job: Job, reason: str, *, mendable: bool = False) -> Job:
        """``mendable``: through no fault of the photo (no device, no weights, no room); ``recover`` tries it again."""
        return self._finish(job, "failed", None, _text(reason), mendable)

    def _finish(self, job: Job, state: State, result: bytes | None, reason: str | None, mendable: bool) -> Job:
        rows = self._sql(
            "UPDATE jobs SET state = ?, result = ?, reason = ?, mendable = ?, finished_at = ? WHERE id = ? RETURNING *",
            (state, result, reason, mendable, time.time(), job.id),
        )
        return self._job(rows[0])

    def put_back(self, job: Job, *, counts: bool = False) -> None:
        """Queue a running Job again. Stopped through no fault of its own, this start does not count as an attempt."""
        self._sql(
            "UPDATE jobs SET state = 'queued', attempts = attempts - ?, started_at = NULL WHERE id = ?",
            (0 if counts else 1, job.id),
        )

    def recover(self) -> list[Job]:
        """At the start: what was running at a crash is queued again, or failed after so many crashes; what failed for
        want of something that may be there now is queued again. Returns the Jobs that failed."""
        self._sql(
            "UPDATE jobs SET state = 'queued', attempts = 0, reason = NULL, finished_at = NULL WHERE state = 'failed' AND mendable"
        )
        reason = (
            f"It was stopped in the middle {MAX_ATTEMPTS} times, each time by a crash: try it alone with `stylefolder apply`."
        )
        rows = self._sql(
            "UPDATE jobs SET state = 'failed', reason = ?, finished_at = ? WHERE state = 'running' AND attempts >= ? RETURNING *",
            (reason, time.time(), MAX_ATTEMPTS),
        )
        self._sql("UPDATE jobs SET state = 'queued', started_at = NULL WHERE state = 'running'")
        return [self._job(row) for row in rows]

    def is_anothers_result(self, path: Path, job: Job) -> bool:
        """Whether another photo's Result has that name."""
        rows = self._sql(
            "SELECT 1 FROM jobs WHERE result = ? AND photo <> ? AND state = 'done' LIMIT 1",
            (self._bytes(path), self._bytes(job.photo)),
        )
        return bool(rows)

    def count(self, *states: State) -> int:
        marks = ", ".join("?" * len(states))
        return int(self._sql(f"SELECT count(*) AS n FROM jobs WHERE state IN ({marks})", states)[0]["n"])  # noqa: S608

    def _keep(self, recipe: Preset | None) -> str | None:
        if recipe is None:
            return None
        text = recipe.model_dump_json()
        digest = hashlib.sha256(text.encode()).hexdigest()  # of all: a preset's own digest leaves its name and paths out
        self._sql("INSERT OR IGNORE INTO recipes VALUES (?, ?)", (digest, text))
        return digest

    def _job(self, row: Any) -> Job:
        recipe = None
        if row["recipe"]:
            kept = self._sql("SELECT preset FROM recipes WHERE digest = ?", (row["recipe"],))
            recipe = Preset.model_validate_json(kept[0]["preset"])
        return Job(
            id=row["id"], photo=self._path(row["photo"]), preset=os.fsdecode(row["preset"]), recipe=recipe,
            target=self._path(row["target"]) if row["target"] else None, state=row["state"], attempts=row["attempts"],
            reason=row["reason"], result=self._path(row["result"]) if row["result"] else None,
            queued_at=row["queued_at"], started_at=row["started_at"], finished_at=row["finished_at"],
        )  # fmt: skip

    def _sql(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement: the one door to SQLite."""
        try:
            return self.db.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise StylefolderError(f"The Ledger {self.path} cannot be used ({e}): make room on its disk, then start again.") from e

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.rollback()
            raise
        self._sql("COMMIT")

    def _bytes(self, path: Path) -> bytes:
        return os.fsencode(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _path(self, raw: bytes) -> Path:
        return self.root / os.fsdecode(raw)


def _text(reason: str) -> str:
    """SQLite's texts are UTF-8: what a file's name has beside it becomes escapes."""
    return reason.encode("utf-8", "backslashreplace").decode()
