"""The Ledger: the SQLite record of every Job. What must survive a crash lives here and nowhere else.

A change of state is one SQL statement. Paths are kept as the bytes that the file system has, so that no name is lost.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from daemon.folders.completeness import sha256
from daemon.ledger.database import Database, LedgerGone
from daemon.ledger.history import History
from daemon.ledger.job import MAX_ATTEMPTS, REFUSED, Job, Original, Signature, Source, State
from daemon.ledger.pinned_presets import TABLE, Recipes
from stylecore.preset import Preset

VERSION = 5
GONE, OUTDATED = -1, -2  # for an inode: the photo is no longer there; other bytes are, or it must be looked at anew
SCHEMA = f"""{TABLE.strip()};
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- no number is given twice: someone may hold it yet
    source TEXT NOT NULL CHECK (source IN {get_args(Source)}),
    photo BLOB NOT NULL,                 -- paths: within the Root relative to it
    preset BLOB NOT NULL,                -- a folder's name
    recipe TEXT REFERENCES recipes,      -- NULL while there is no valid preset of that name
    digest TEXT NOT NULL,                -- sha256 of the photo's bytes
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    target BLOB,                         -- the Result's file, where it was asked for by name
    state TEXT NOT NULL CHECK (state IN {get_args(State)}),
    attempts INTEGER NOT NULL DEFAULT 0, -- times that it was begun
    reason TEXT,
    mendable INTEGER NOT NULL DEFAULT 0, -- failed through no fault of the photo
    result BLOB,
    result_digest TEXT,                  -- sha256 of the Result's bytes
    leased INTEGER NOT NULL DEFAULT 0,   -- nobody wants it when who asked for it is gone
    original TEXT,                       -- what is still to be done with the photo: move or trash
    queued_at REAL NOT NULL, started_at REAL,
    finished_at REAL                     -- of a cancelled one NULL until the worker has left it
);
CREATE TABLE switches (name TEXT PRIMARY KEY);
CREATE UNIQUE INDEX one_job ON jobs (photo, preset, digest) WHERE source = 'folder';
CREATE INDEX by_state ON jobs (state, source = 'folder', id);
CREATE INDEX uploads ON jobs (photo) WHERE source = 'upload';
CREATE INDEX by_digest ON jobs (digest);
CREATE INDEX by_preset ON jobs (preset, state);
CREATE INDEX by_result ON jobs (result) WHERE result IS NOT NULL;
CREATE INDEX by_finish ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX by_result_digest ON jobs (result_digest) WHERE result_digest IS NOT NULL
"""


class Ledger:
    """Opened by one thread. Paths within ``root`` are kept relative to it, so that a Root may be moved; ``path`` may be
    ``:memory:`` for Jobs that need not survive. Every method raises a LedgerError where SQLite cannot."""

    def __init__(self, path: Path | str, root: Path = Path("/")) -> None:
        self.path = path
        self.root = root
        self._prefix = os.fsencode(root).rstrip(b"/") + b"/"
        self._db = Database(path, SCHEMA, VERSION)
        self._sql = self._db.sql
        self.history = History(self._db)
        self._recipes = Recipes(self._db, lambda path: Path(os.fsdecode(self.key(path))), root.joinpath)
        self._inode = path.stat().st_ino if isinstance(path, Path) else None

    def close(self) -> None:
        self._db.close()

    def check(self) -> None:
        """Raises LedgerGone where the file is not the one that was opened: SQLite would write on into nothing."""
        if isinstance(self.path, Path):
            with contextlib.suppress(OSError):
                if self.path.stat().st_ino == self._inode:
                    return
            raise LedgerGone(f"The Ledger {self.path} is gone.")

    @contextlib.contextmanager
    def all_at_once(self) -> Iterator[None]:
        """What is done within is one transaction: a thousand photos cost one fsync."""
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._recipes.rolled_back()
            raise

    # Entering

    def signatures(self, preset: str) -> dict[str, Signature]:
        """Of all photos seen under a preset, as they were last seen; by their whole paths."""
        rows = self._sql(
            "SELECT photo, size, mtime_ns, ctime_ns, inode FROM jobs WHERE preset = ? AND source = 'folder' AND inode >= 0",
            (os.fsencode(preset),),
        )
        root = str(self.root)
        return {os.path.join(root, os.fsdecode(photo)): Signature(*rest) for photo, *rest in rows}  # noqa: PTH118

    def gone(self, preset: str, photos: Iterable[str]) -> None:
        """These lie there no more: should they come back, they are looked at anew, and no other photo of that name takes
        the place of their Results."""
        with self.all_at_once():
            for photo in photos:
                self._sql(
                    "UPDATE jobs SET inode = ? WHERE photo = ? AND preset = ? AND source = 'folder' AND inode >= 0",
                    (GONE, self.key(Path(photo)), os.fsencode(preset)),
                )

    def add(
        self, photo: Path, preset: str, recipe: Preset | None, digest: str, signature: Signature,
        *, reason: str | None = None, anew: bool = False,
    ) -> Job | None:  # fmt: skip
        """Queue a photo from a folder; with a ``reason`` it has failed already. None where the same bytes under that name
        and preset are known: then only the signature is brought up to date. What failed or was cancelled, or was
        replaced by other bytes meanwhile, is queued anew: so a touch is another try. ``anew``: what is done, too."""
        key = (self.key(photo), os.fsencode(preset), digest)
        with self.all_at_once():
            kept = None if recipe is None else self._recipes.keep(recipe)
            self._sql(
                "UPDATE jobs SET inode = ? WHERE photo = ? AND preset = ? AND digest <> ? AND source = 'folder' AND inode >= 0",
                (OUTDATED, *key),
            )
            if rows := self._insert("folder", key, kept, signature, None, reason):
                return self._job(rows[0])
            self._sql(
                "DELETE FROM jobs WHERE photo = ?1 AND preset = ?2 AND digest = ?3 AND source = 'folder'"
                " AND finished_at IS NOT NULL"
                " AND (?4 OR state <> 'done' OR id < (SELECT max(id) FROM jobs WHERE photo = ?1 AND preset = ?2 AND source = 'folder'))",
                (*key, anew),
            )
            rows = self._insert("folder", key, kept, signature, None, reason)
            if not rows:
                self._sql(
                    "UPDATE jobs SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?"
                    " WHERE photo = ? AND preset = ? AND digest = ? AND source = 'folder'"
                    " AND (state <> 'cancelled' OR finished_at IS NOT NULL)",
                    (*signature, *key),
                )
        return self._job(rows[0]) if rows else None

    def ask(
        self, source: Source, photo: Path, recipe: Preset, digest: str, signature: Signature, target: Path | None = None,
        *, reason: str | None = None, leased: bool = False,
    ) -> Job:  # fmt: skip
        """Queue a photo that someone waits for: ahead of the folders'. ``leased``: not worth going on with after a
        restart, when nobody waits any more."""
        key = (self.key(photo), os.fsencode(recipe.name), digest)
        return self._job(self._insert(source, key, self._recipes.keep(recipe), signature, target, reason, leased)[0])

    def _insert(
        self, source: Source, key: tuple[bytes, bytes, str], recipe: str | None, signature: Signature, target: Path | None,
        reason: str | None, leased: bool = False,
    ) -> list[Any]:  # fmt: skip
        now = time.time()
        return self._sql(
            "INSERT INTO jobs (source, photo, preset, digest, recipe, size, mtime_ns, ctime_ns, inode, target, state, reason,"
            " leased, queued_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (photo, preset, digest) WHERE source = 'folder' DO NOTHING RETURNING *",
            (
                source, *key, recipe, *signature, target and self.key(target), "failed" if reason else "queued",
                reason and _text(reason), leased, now, now if reason else None,
            ),
        )  # fmt: skip

    def adopt(self, job: Job, result: Path) -> None:
        """After the loss of a Ledger: this Result is the photo's."""
        self._sql(
            "UPDATE jobs SET state = 'done', result = ?, finished_at = queued_at WHERE id = ?",
            (self.key(result), job.id),
        )

    def find(self, photo: Path, preset: str, digest: str) -> Job | None:
        rows = self._sql(
            "SELECT * FROM jobs WHERE photo = ? AND preset = ? AND digest = ? AND source = 'folder'",
            (self.key(photo), os.fsencode(preset), digest),
        )
        return self._job(rows[0]) if rows else None

    def is_own_result(self, digest: str, preset: str) -> bool:
        """Whether these are the bytes of a Result of that preset."""
        return bool(
            self._sql(
                "SELECT 1 FROM jobs WHERE result_digest = ? AND preset = ? LIMIT 1", (digest, os.fsencode(preset))
            )
        )

    # Presets that come and go

    def give_recipe(self, recipe: Preset) -> None:
        """A preset of this name is in force: queue the Jobs that failed for want of one, and those held while it was gone."""
        name = os.fsencode(recipe.name)
        wanting = f"preset = ? AND recipe IS NULL AND state = 'failed' AND digest NOT LIKE '{REFUSED}%'"
        if self._sql(f"SELECT 1 FROM jobs WHERE {wanting} LIMIT 1", (name,)):  # noqa: S608
            self._sql(
                f"UPDATE jobs SET recipe = ?, state = 'queued', reason = NULL, finished_at = NULL WHERE {wanting}",  # noqa: S608
                (self._recipes.keep(recipe), name),
            )
        if self._sql("SELECT 1 FROM jobs WHERE preset = ? AND state = 'waiting' LIMIT 1", (name,)):
            self._sql("UPDATE jobs SET state = 'queued', reason = NULL WHERE preset = ? AND state = 'waiting'", (name,))

    def presets_queued(self) -> set[str]:
        """Those with Jobs from folders in the queue."""
        return {
            os.fsdecode(row[0])
            for row in self._sql("SELECT DISTINCT preset FROM jobs WHERE state = 'queued' AND source = 'folder'")
        }

    def hold(self, preset: str) -> int:
        """The preset was removed: its queued Jobs wait until it is back. Returns how many."""
        reason = f"The preset {preset!r} was removed: put it back, and this goes on; or cancel it."
        return len(self._sql(
            "UPDATE jobs SET state = 'waiting', reason = ? WHERE preset = ? AND state = 'queued' AND source = 'folder' RETURNING id",
            (_text(reason), os.fsencode(preset)),
        ))  # fmt: skip

    # Running

    def has_queued(self) -> bool:
        return bool(self._sql(f"SELECT 1 FROM jobs WHERE state = 'queued' AND {_NOT_PAUSED} LIMIT 1"))  # noqa: S608

    def take(self) -> Job | None:
        """The next queued Job, now running: what someone waits for, then the folders' oldest. None while paused."""
        if not self.has_queued():
            return None  # without the cost of a write
        rows = self._sql(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, reason = NULL"  # noqa: S608
            f" WHERE {_NOT_PAUSED} AND id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY source = 'folder', id LIMIT 1)"
            " RETURNING *",
            (time.time(),),
        )
        return self._job(rows[0]) if rows else None

    def twin(self, job: Job) -> tuple[Path, str] | None:
        """The Result, and its digest, of a Job with the same bytes and the same recipe."""
        rows = self._sql(
            "SELECT other.result, other.result_digest FROM jobs other JOIN jobs this ON this.id = ?"
            " WHERE other.digest = this.digest AND other.recipe = this.recipe AND other.id <> this.id"
            " AND other.state = 'done' AND other.result_digest IS NOT NULL ORDER BY other.id DESC LIMIT 1",
            (job.id,),
        )
        return (self._path(rows[0][0]), rows[0][1]) if rows else None

    def done(self, job: Job, result: Path, result_digest: str | None = None, original: Original = "keep") -> Job:
        """Also where it was cancelled, or queued again, meanwhile: the Result is there. ``original``: what is to be done with the photo yet."""
        rows = self._sql(
            "UPDATE jobs SET state = 'done', result = ?, reason = NULL, mendable = 0, result_digest = ?, original = ?, finished_at = ?"
            " WHERE id = ? RETURNING *",
            (self.key(result), result_digest, None if original == "keep" else original, time.time(), job.id),
        )
        return self._job(rows[0])

    def failed(self, job: Job, reason: str, *, mendable: bool = False) -> Job | None:
        """``mendable``: through no fault of the photo (no device, no weights, no room); ``recover`` tries it again. None where
        it was queued again meanwhile."""
        return self._finish(job, "failed", _text(reason), mendable)

    def dropped(self, job: Job, reason: str | None) -> Job | None:
        """Cancelled by someone; or, with a ``reason``, by what happened to the photo, which is looked at anew if it is there.
        None where it was queued again meanwhile."""
        if reason is not None:
            self._sql("UPDATE jobs SET inode = ? WHERE id = ? AND inode >= 0", (OUTDATED, job.id))
        return self._finish(job, "cancelled", reason and _text(reason), False)

    def _finish(self, job: Job, state: State, reason: str | None, mendable: bool) -> Job | None:
        """Without a Result."""
        rows = self._sql(
            "UPDATE jobs SET state = ?, result = NULL, reason = ?, mendable = ?, result_digest = NULL, original = NULL, finished_at = ?"
            " WHERE id = ? AND state IN ('running', 'cancelled') RETURNING *",
            (state, reason, mendable, time.time(), job.id),
        )
        return self._job(rows[0]) if rows else None

    def put_back(self, job: Job, *, counts: bool = False) -> None:
        """Queue a running Job again. Stopped through no fault of its own, this start does not count as an attempt."""
        self._sql(
            "UPDATE jobs SET state = 'queued', attempts = attempts - ?, started_at = NULL WHERE id = ? AND state = 'running'",
            (0 if counts else 1, job.id),
        )

    def recover(self) -> list[Job]:
        """At the start: what was running at a crash is queued again, or failed after so many crashes; what failed for
        want of something that may be there now is queued again; what was leased is cancelled. Returns the Jobs that failed."""
        reason = f"It was stopped in the middle {MAX_ATTEMPTS} times, each time by a crash: try it alone with `stylefolder apply`."
        with self._db.transaction():
            self._sql("UPDATE jobs SET state = 'cancelled' WHERE leased AND state IN ('queued', 'running')")
            self._sql(
                "UPDATE jobs SET finished_at = ? WHERE state = 'cancelled' AND finished_at IS NULL", (time.time(),)
            )
            self._sql(
                "UPDATE jobs SET state = 'queued', attempts = 0, reason = NULL, started_at = NULL, finished_at = NULL"
                " WHERE state = 'failed' AND mendable AND NOT leased"
            )
            rows = self._sql(
                "UPDATE jobs SET state = 'failed', reason = ?, finished_at = ? WHERE state = 'running' AND attempts >= ? RETURNING *",
                (reason, time.time(), MAX_ATTEMPTS),
            )
            self._sql("UPDATE jobs SET state = 'queued', started_at = NULL WHERE state = 'running'")
        return [self._job(row) for row in rows]

    def original_due(self, job: Job, original: Original) -> Job:
        """A photo that is done was dropped again."""
        return self._job(self._sql("UPDATE jobs SET original = ? WHERE id = ? RETURNING *", (original, job.id))[0])

    def original_settled(self, job: Job, *, gone: bool) -> None:
        self._sql("UPDATE jobs SET original = NULL WHERE id = ?", (job.id,))
        if gone:
            self.gone(job.preset, [str(job.photo)])

    def originals_to_settle(self) -> list[Job]:
        return [self._job(row) for row in self._sql("SELECT * FROM jobs WHERE original IS NOT NULL AND state = 'done'")]

    # What people ask for

    def cancel(self, number: int) -> Job | None:
        """None where it is finished already, or there is none."""
        rows = self._sql(
            "UPDATE jobs SET state = 'cancelled', reason = NULL, finished_at = CASE state WHEN 'running' THEN NULL ELSE ? END WHERE id = ?"
            " AND state IN ('waiting', 'queued', 'running') RETURNING *",
            (time.time(), number),
        )
        return self._job(rows[0]) if rows else None

    def retry(self, number: int | None) -> list[Job]:
        """Queue a failed or cancelled Job again; None: all that failed."""
        which = (
            "state = 'failed' AND source = 'folder'"
            if number is None
            else "state IN ('failed', 'cancelled') AND id = ?"
        )
        rows = self._sql(
            "UPDATE jobs SET state = 'queued', attempts = 0, reason = NULL, started_at = NULL, finished_at = NULL"  # noqa: S608
            f" WHERE {which} AND recipe IS NOT NULL AND digest NOT LIKE '{REFUSED}%' RETURNING *",
            () if number is None else (number,),
        )
        return [self._job(row) for row in rows]

    def pause(self, on: bool) -> None:
        self._sql(
            "INSERT OR IGNORE INTO switches VALUES ('paused')" if on else "DELETE FROM switches WHERE name = 'paused'"
        )

    def paused(self) -> bool:
        return bool(self._sql("SELECT 1 FROM switches WHERE name = 'paused'"))

    # Reading

    def job(self, number: int) -> Job | None:
        rows = self._sql("SELECT * FROM jobs WHERE id = ?", (number,))
        return self._job(rows[0]) if rows else None

    def uploaded_to(self, folder: Path) -> Job | None:
        """The Job whose photo lies in this folder of the spool."""
        rows = self._sql(
            "SELECT * FROM jobs WHERE source = 'upload' AND photo >= ? AND photo < ?",
            (self.key(folder) + b"/", self.key(folder) + b"0"),
        )
        return self._job(rows[0]) if rows else None

    def jobs(self, state: State | None = None, limit: int = 100) -> Iterator[Job]:
        """The newest first."""
        rows = self._sql("SELECT * FROM jobs WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2", (state, limit))
        return map(self._job, rows)

    def ended_last(self, state: State, limit: int) -> list[Job]:
        """The newest first; of failures the folders': who sent a photo knows."""
        return [self._job(row) for row in self.history.ended_last(state, limit)]

    def recipes_in_use(self) -> list[Preset]:
        """Of all Jobs that may run yet."""
        rows = self._sql("SELECT DISTINCT recipe FROM jobs WHERE state <> 'done' AND recipe IS NOT NULL")
        return [self._recipes.get(row[0]) for row in rows]

    def state(self, job: Job) -> State | None:
        rows = self._sql("SELECT state FROM jobs WHERE id = ?", (job.id,))
        return rows[0][0] if rows else None

    def ahead(self, job: Job) -> int:
        """How many Jobs are taken before this one."""
        rows = self._sql(
            "SELECT count(*) FROM jobs WHERE state = 'running' OR (state = 'queued' AND (source = 'folder', id) < (?, ?))",
            (job.source == "folder", job.id),
        )
        return int(rows[0][0])

    def may_write(self, path: Path, job: Job) -> bool:
        """Whether this Job's Result may have that name: nothing lies there, or the Result of an earlier version of this
        photo, of which it takes the place. Not that of a photo that was taken away, nor one that someone has worked on
        since, nor a file of someone else's."""
        if self.is_anothers_result(path, job):
            return False
        if not os.path.lexists(path):
            return True
        own = self._sql("SELECT inode, result_digest FROM jobs WHERE result = ? AND state = 'done'", (self.key(path),))
        if not own or any(inode == GONE for inode, _ in own):
            return False
        digests = {digest for _, digest in own}
        with contextlib.suppress(OSError):  # what cannot be read is not ours to replace
            return None in digests or sha256(path) in digests  # of an adopted one it is not known
        return False

    def is_anothers_result(self, path: Path, job: Job) -> bool:
        """Whether another photo's Result has that name."""
        return bool(self._sql(
            "SELECT 1 FROM jobs WHERE result = ? AND photo <> ? AND state = 'done' LIMIT 1", (self.key(path), self.key(job.photo))
        ))  # fmt: skip

    def count(self, *states: State) -> int:
        marks = ", ".join("?" * len(states))
        return int(self._sql(f"SELECT count(*) FROM jobs WHERE state IN ({marks})", states)[0][0])  # noqa: S608

    def counts(self) -> dict[str, dict[State, int]]:
        """How many Jobs of each preset are in each state: the folders', and others while they wait and run."""
        found: dict[str, dict[State, int]] = {}
        for preset, state, n in self._sql(
            "SELECT preset, state, count(*) FROM jobs WHERE source = 'folder' OR state IN ('queued', 'running') GROUP BY preset, state"
        ):
            found.setdefault(os.fsdecode(preset), {})[state] = n
        return found

    # Rows and paths

    def key(self, path: Path) -> bytes:
        """A path as it is kept."""
        return os.fsencode(path).removeprefix(self._prefix)

    def _path(self, raw: bytes) -> Path:
        return self.root / os.fsdecode(raw)

    def _job(self, row: Any) -> Job:
        return Job(
            id=row["id"], source=row["source"], photo=self._path(row["photo"]), preset=os.fsdecode(row["preset"]),
            recipe=self._recipes.get(row["recipe"]) if row["recipe"] else None, digest=row["digest"],
            signature=Signature(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"]),
            target=self._path(row["target"]) if row["target"] else None, state=row["state"], attempts=row["attempts"],
            reason=row["reason"], result=self._path(row["result"]) if row["result"] else None, original=row["original"],
            queued_at=row["queued_at"], started_at=row["started_at"], finished_at=row["finished_at"],
        )  # fmt: skip


_NOT_PAUSED = "NOT EXISTS (SELECT 1 FROM switches WHERE name = 'paused')"


def _text(reason: str) -> str:
    """SQLite's texts are UTF-8: what a file's name has beside it becomes escapes."""
    return reason.encode("utf-8", "backslashreplace").decode()
