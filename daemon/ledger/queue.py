"""The work to do: Jobs enter, run and end. A change of state is one SQL statement."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from daemon.ledger.database import Database
from daemon.ledger.job import MAX_ATTEMPTS, Blame, Failure, Job, Order, Original, Source
from daemon.ledger.photos import Photos
from daemon.ledger.pinned_presets import PinnedPresets
from daemon.ledger.rows import StoredPaths, as_text, job_of, order_of
from daemon.ledger.signature import Signature
from stylecore.preset import Preset

NOT_PAUSED = "NOT EXISTS (SELECT 1 FROM switches WHERE name = 'paused')"
TO_TAKE = (  # a Job whose twin, the same bytes under the same recipe, is running waits for its Result
    f"state = 'queued' AND {NOT_PAUSED} AND id NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1"
    " FROM jobs twin WHERE twin.digest = jobs.digest AND twin.recipe = jobs.recipe"
    " AND twin.state IN ('running', 'cancelling'))"
)
ANOTHER_TRY = (
    "UPDATE jobs SET state = 'queued', attempts = 0, blame = NULL, reason = NULL, started_at = NULL, finished_at = NULL"
)


class Queue:
    """Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database, paths: StoredPaths, presets: PinnedPresets, photos: Photos) -> None:
        self._database = database
        self._sql = database.sql
        self._paths = paths
        self._presets = presets
        self._photos = photos

    # Jobs enter

    def add(
        self,
        photo: Path,
        preset: str,
        recipe: Preset | None,
        digest: str | None,
        signature: Signature,
        *,
        failure: Failure | None = None,
        again: bool = False,
    ) -> Job | None:
        """Queue a photo from a folder, or, with a ``failure``, record that it has failed.

        Returns None if the same bytes under that name are known. A photo that failed, was cancelled, or whose Result
        another version has replaced is queued again, so touching it retries it; with ``again``, one that is done is as
        well.
        """
        key = self._paths.key(photo)
        with self._database.transaction():
            known = self._sql(
                "SELECT id, state, finished_at IS NOT NULL AS finished,"
                " EXISTS (SELECT 1 FROM jobs later WHERE later.photo = jobs.photo AND later.id > jobs.id"
                "  AND later.state = 'done' AND later.result = jobs.result) AS replaced"
                " FROM jobs WHERE photo = ? AND digest IS ? AND source = 'folder' ORDER BY id DESC LIMIT 1",
                (key, digest),
            )
            if known and known[0]["state"] == "cancelling":
                return None  # a later scan sees it again, once the worker has stopped
            self._photos.see(photo, preset, signature, digest)
            if known and not _is_worth_another_try(known[0], again):
                self._sql(
                    "UPDATE jobs SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, keep_result = 0 WHERE id = ?",
                    (*signature, known[0]["id"]),
                )
                return None
            if known:
                self._sql("DELETE FROM jobs WHERE id = ?", (known[0]["id"],))
            return self._insert("folder", photo, preset, recipe, digest, signature, failure=failure)

    def ask(
        self,
        source: Source,
        photo: Path,
        recipe: Preset,
        digest: str | None,
        signature: Signature,
        target: Path | None = None,
        *,
        failure: Failure | None = None,
        leased: bool = False,
    ) -> Job:
        """Queue a photo that someone waits for, ahead of the folders' photos. ``leased``: worthless after a restart,
        when nobody waits any more."""
        with self._database.transaction():
            return self._insert(source, photo, recipe.name, recipe, digest, signature, target, failure, leased)

    def _insert(
        self,
        source: Source,
        photo: Path,
        preset: str,
        recipe: Preset | None,
        digest: str | None,
        signature: Signature,
        target: Path | None = None,
        failure: Failure | None = None,
        leased: bool = False,
    ) -> Job:
        now = time.time()
        rows = self._sql(
            "INSERT INTO jobs (source, photo, preset, recipe, digest, size, mtime_ns, ctime_ns, inode, target, state,"
            " blame, reason, leased, queued_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " RETURNING *",
            (
                source,
                self._paths.key(photo),
                os.fsencode(preset),
                recipe and self._presets.keep(recipe),
                digest,
                *signature,
                target and self._paths.key(target),
                "failed" if failure else "queued",
                failure and failure.blame,
                failure and as_text(failure.reason),
                leased,
                now,
                now if failure else None,
            ),
        )
        return self._job(rows[0])

    def keep(self, recipe: Preset) -> str:
        """For Jobs to come: ``kept`` gives it back."""
        return self._presets.keep(recipe)

    def kept(self, digest: str) -> Preset | None:
        return self._presets.find(digest)

    def adopt(self, job: Job, result: Path) -> None:
        """After the loss of a Ledger: this Result belongs to the photo."""
        self._sql(
            "UPDATE jobs SET state = 'done', result = ?, finished_at = queued_at WHERE id = ?",
            (self._paths.key(result), job.id),
        )

    # Presets come and go

    def release(self, preset: Preset) -> None:
        """A Preset of this name is available: queue the Jobs that failed without one, and those that waited for it."""
        name = os.fsencode(preset.name)
        wanting = "preset = ? AND state = 'failed' AND blame = 'preset' AND source = 'folder'"
        if self._sql(f"SELECT 1 FROM jobs WHERE {wanting} LIMIT 1", (name,)):
            with self._database.transaction():
                self._sql(
                    f"UPDATE jobs SET recipe = ?, state = 'queued', blame = NULL, reason = NULL, finished_at = NULL"
                    f" WHERE {wanting}",
                    (self._presets.keep(preset), name),
                )
        if self._sql("SELECT 1 FROM jobs WHERE preset = ? AND state = 'waiting' LIMIT 1", (name,)):
            self._sql("UPDATE jobs SET state = 'queued', reason = NULL WHERE preset = ? AND state = 'waiting'", (name,))

    def presets_queued(self) -> set[str]:
        """The Presets of the folders' queued Jobs."""
        rows = self._sql("SELECT DISTINCT preset FROM jobs WHERE state = 'queued' AND source = 'folder'")
        return {os.fsdecode(row[0]) for row in rows}

    def hold(self, preset: str) -> None:
        """The Preset was removed: its queued Jobs wait until it is back."""
        reason = f"The preset {preset!r} was removed: put it back to continue, or cancel this Job."
        self._sql(
            "UPDATE jobs SET state = 'waiting', reason = ? WHERE preset = ? AND state = 'queued' AND source = 'folder'",
            (as_text(reason), os.fsencode(preset)),
        )

    # Jobs run

    def queued(self, most: int, besides: Collection[int] = ()) -> int:
        """How many Jobs there are to take, counted up to ``most``, without those in ``besides``. Always 0 while
        paused."""
        rows = self._sql(
            f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {TO_TAKE} LIMIT ?2)", (json.dumps([*besides]), most)
        )
        return int(rows[0][0])

    def take(self, besides: Collection[int] = ()) -> tuple[Job, Order] | None:
        """The next queued Job, which is now running: first what someone is waiting for, then the folders' oldest.
        Those in ``besides`` stay queued."""
        if not self.queued(1, besides):
            return None  # without the cost of a write
        with self._database.transaction():  # a Job whose recipe cannot be read just now stays queued
            rows = self._sql(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?2, reason = NULL"
                f" WHERE id = (SELECT id FROM jobs WHERE {TO_TAKE} ORDER BY source = 'folder', id LIMIT 1)"
                " RETURNING *",
                (json.dumps([*besides]), time.time()),
            )
            if not rows:
                return None
            return self._job(rows[0]), order_of(rows[0], self._presets.get(rows[0]["recipe"]), self._paths)

    # Jobs end

    def finishing(self, job: Job, part: Path, result: Path, digest: str) -> None:
        """Record that the Job's Result is in the temporary file ``part`` and is about to be renamed to ``result``."""
        self._sql(
            "UPDATE jobs SET part = ?, result = ?, result_digest = ? WHERE id = ?",
            (self._paths.key(part), self._paths.key(result), digest, job.id),
        )

    def done(self, job: Job, original: Original = "keep", notes: Sequence[str] = ()) -> Job:
        """Record that the Job's Result is in place, as ``finishing`` announced, even if the Job was cancelled, or
        cancelled and queued again, in the meantime. ``original``: what is still to be done with the photo. ``notes``:
        what the Result could not keep."""
        with self._database.transaction():
            rows = self._sql(
                "UPDATE jobs SET state = 'done', part = NULL, blame = NULL, reason = NULL, original = ?, finished_at ="
                " ?, started_at = coalesce(started_at, ?) WHERE id = ? RETURNING *",
                (None if original == "keep" else original, time.time(), job.started_at, job.id),
            )
            if notes:
                sentences = json.dumps([as_text(note) for note in notes])
                self._sql("INSERT OR REPLACE INTO notes VALUES (?, ?)", (job.id, sentences))
        return self._job(rows[0])

    def failed(self, job: Job, failure: Failure) -> Job | None:
        """Returns None if the Job was queued again in the meantime."""
        return self._end(job, "failed", failure.blame, as_text(failure.reason))

    def dropped(self, job: Job, reason: str | None) -> Job | None:
        """Cancel a Job, for a person or, with a ``reason``, because the photo changed: then it is checked again.
        Returns None if the Job was queued again in the meantime."""
        if reason is not None:
            self._photos.look_again(job.photo)
        return self._end(job, "cancelled", None, reason and as_text(reason))

    def _end(self, job: Job, state: str, blame: Blame | None, reason: str | None) -> Job | None:
        """End a Job without a Result."""
        rows = self._sql(
            "UPDATE jobs SET state = ?, blame = ?, reason = ?, part = NULL, result = NULL, result_digest = NULL,"
            " original = NULL, finished_at = ? WHERE id = ? AND state IN ('running', 'cancelling') RETURNING *",
            (state, blame, reason, time.time(), job.id),
        )
        return self._job(rows[0]) if rows else None

    def put_back(self, job: Job, *, counts: bool = False) -> Job | None:
        """Queue a running Job again, or cancel it if someone has asked for that. ``counts``: count this start as an
        attempt, because we did not stop it. Returns None if the Job was queued again in the meantime."""
        rows = self._sql(
            "UPDATE jobs SET state = CASE state WHEN 'running' THEN 'queued' ELSE 'cancelled' END,"
            " finished_at = CASE state WHEN 'running' THEN NULL ELSE ? END, attempts = attempts - ?, started_at = NULL,"
            " part = NULL, result = NULL, result_digest = NULL WHERE id = ? AND state IN ('running', 'cancelling')"
            " RETURNING *",
            (time.time(), 0 if counts else 1, job.id),
        )
        return self._job(rows[0]) if rows else None

    def recover(self) -> list[Job]:
        """Call this at startup. A Job that was running at a crash is queued again, or fails after MAX_ATTEMPTS crashes.
        Failures caused by the system are queued again. Leased Jobs are cancelled. Returns the Jobs that failed."""
        reason = f"It crashed Stylefolder {MAX_ATTEMPTS} times: try this photo alone with `stylefolder apply`."
        now = time.time()
        with self._database.transaction():
            self._sql(
                "UPDATE jobs SET state = 'cancelled', part = NULL, result = NULL, result_digest = NULL, finished_at = ?"
                " WHERE state = 'cancelling' OR (leased AND state IN ('queued', 'running'))",
                (now,),
            )
            self._sql(f"{ANOTHER_TRY} WHERE state = 'failed' AND blame = 'system' AND NOT leased")
            rows = self._sql(
                "UPDATE jobs SET state = 'failed', blame = 'photo', reason = ?, finished_at = ?, part = NULL,"
                " result = NULL, result_digest = NULL WHERE state = 'running' AND attempts >= ? RETURNING *",
                (reason, now, MAX_ATTEMPTS),
            )
            self._sql(
                "UPDATE jobs SET state = 'queued', started_at = NULL, part = NULL, result = NULL, result_digest = NULL"
                " WHERE state = 'running'"
            )
        return [self._job(row) for row in rows]

    # What people ask for

    def cancel(self, number: int) -> Job | None:
        """Returns the Job, cancelled or, until its worker leaves it, cancelling. None if it is finished or unknown."""
        rows = self._sql(
            "UPDATE jobs SET state = CASE WHEN state IN ('running', 'cancelling') THEN 'cancelling' ELSE 'cancelled'"
            " END, reason = NULL, finished_at = CASE WHEN state IN ('running', 'cancelling') THEN NULL ELSE ? END"
            " WHERE id = ? AND state IN ('waiting', 'queued', 'running', 'cancelling') RETURNING *",
            (time.time(), number),
        )
        return self._job(rows[0]) if rows else None

    def retry(self, number: int | None) -> list[Job]:
        """Queue a failed or cancelled Job again; with None, all the folders' photos that failed."""
        which = (
            "state = 'failed' AND source = 'folder'"
            if number is None
            else "state IN ('failed', 'cancelling', 'cancelled') AND id = ?"
        )
        rows = self._sql(
            f"{ANOTHER_TRY} WHERE {which} AND recipe IS NOT NULL AND blame IS NOT 'kind' RETURNING *",
            () if number is None else (number,),
        )
        return [self._job(row) for row in rows]

    def pause(self) -> None:
        self._sql("INSERT OR IGNORE INTO switches VALUES ('paused')")

    def resume(self) -> None:
        self._sql("DELETE FROM switches WHERE name = 'paused'")

    def paused(self) -> bool:
        return bool(self._sql("SELECT 1 FROM switches WHERE name = 'paused'"))

    def _job(self, row: Any) -> Job:
        return job_of(row, self._paths)


def _is_worth_another_try(known: Any, again: bool) -> bool:
    if known["state"] == "done":
        return again or bool(known["replaced"])
    return bool(known["finished"])
