"""Read-only queries of the Ledger: Jobs by number and state, how many there are, how long they took."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from daemon.ledger.database import Database
from daemon.ledger.job import Job, Source, State
from daemon.ledger.pinned_presets import PinnedPresets
from daemon.ledger.rows import StoredPaths, job_of
from stylecore.preset import Preset

HOUR = 3600.0
RECENT = 20  # Jobs whose durations predict the next one's
LOOKED_AT = 200  # Jobs among which they are sought
COPIED = 0.1  # seconds; a shorter Job was copied from a twin, and says nothing about the work

THEIRS = " AND (?{0} IS NULL OR id IN (SELECT job FROM owners WHERE client = ?{0}))"


@dataclass(frozen=True)
class Throughput:
    """The photos done in the last hour: how many, and the median and 95th percentile of their durations in seconds."""

    done: int
    median: float | None
    p95: float | None


class History:
    """Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database, paths: StoredPaths, presets: PinnedPresets) -> None:
        self._sql = database.sql
        self._paths = paths
        self._presets = presets

    # Jobs

    def job(self, number: int) -> Job | None:
        rows = self._sql("SELECT * FROM jobs WHERE id = ?", (number,))
        return job_of(rows[0], self._paths) if rows else None

    def jobs(self, state: State | None = None, limit: int = 100, client: int | None = None) -> Iterator[Job]:
        """The newest first. ``client``: only those of which it has sent the photo."""
        rows = self._sql(
            f"SELECT * FROM jobs WHERE (?1 IS NULL OR state = ?1){THEIRS.format(3)} ORDER BY id DESC LIMIT ?2",
            (state, limit, client),
        )
        return (job_of(row, self._paths) for row in rows)

    def notes(self, jobs: Collection[int]) -> dict[int, list[str]]:
        """What the Results of these Jobs could not keep, for those of which anything is known."""
        rows = self._sql(
            "SELECT job, sentences FROM notes WHERE job IN (SELECT value FROM json_each(?))", (json.dumps([*jobs]),)
        )
        return {row["job"]: json.loads(row["sentences"]) for row in rows}

    def ended_last(self, state: State, limit: int, client: int | None = None) -> list[Job]:
        """The newest first. Failures are those of the folders only: whoever sent a photo already knows. ``client``: as
        in ``jobs``, with failures."""
        rows = self._sql(
            "SELECT * FROM jobs WHERE state = ?1 AND finished_at > 0 AND (state <> 'failed' OR source = 'folder' OR ?3)"
            f"{THEIRS.format(3)} ORDER BY finished_at DESC LIMIT ?2",
            (state, limit, client),
        )
        return [job_of(row, self._paths) for row in rows]

    def has_result(self, path: Path) -> bool:
        """Whether this file is the Result of a Job."""
        return bool(self._sql("SELECT 1 FROM jobs WHERE result = ? LIMIT 1", (self._paths.key(path),)))

    def find(self, photo: Path, digest: str | None) -> Job | None:
        """The Job of these bytes under this name, from a folder."""
        rows = self._sql(
            "SELECT * FROM jobs WHERE photo = ? AND digest IS ? AND source = 'folder' ORDER BY id DESC LIMIT 1",
            (self._paths.key(photo), digest),
        )
        return job_of(rows[0], self._paths) if rows else None

    def twins(self, job: Job, recipe: Preset) -> list[tuple[Path, str]]:
        """The Results, each with its sha256, of Jobs with the same bytes and the same recipe, whatever the Preset's
        name. The newest comes first."""
        rows = self._sql(
            "SELECT other.result, other.result_digest, other.recipe FROM jobs other JOIN jobs this ON this.id = ?"
            " WHERE other.digest = this.digest AND other.id <> this.id AND other.state = 'done'"
            " AND other.result_digest IS NOT NULL ORDER BY other.id DESC LIMIT 100",
            (job.id,),
        )
        wanted = recipe.model_copy(update={"name": ""})
        return [
            (self._paths.path(result), digest)
            for result, digest, pinned in rows
            if self._presets.get(pinned).model_copy(update={"name": ""}) == wanted
        ]

    def interrupted(self, job: Job | None = None) -> list[tuple[Job, Path, Path, str]]:
        """The Jobs, or only this one, that are finishing, each with part, result and the Result's sha256."""
        which, values = ("", ()) if job is None else (" AND id = ?", (job.id,))
        rows = self._sql(f"SELECT * FROM jobs WHERE part IS NOT NULL{which}", values)
        return [
            (
                job_of(row, self._paths),
                self._paths.path(row["part"]),
                self._paths.path(row["result"]),
                row["result_digest"],
            )
            for row in rows
        ]

    def uploaded_to(self, folder: Path) -> Job | None:
        """The Job whose photo is in this folder of the uploads."""
        key = self._paths.key(folder)
        rows = self._sql(
            "SELECT * FROM jobs WHERE source = 'upload' AND photo >= ? AND photo < ?", (key + b"/", key + b"0")
        )
        return job_of(rows[0], self._paths) if rows else None

    def ahead(self, job: Job) -> int:
        """How many Jobs are taken before this one."""
        rows = self._sql(
            "SELECT (SELECT count(*) FROM jobs WHERE state IN ('running', 'cancelling')) +"
            " (SELECT count(*) FROM jobs WHERE state = 'queued' AND (source = 'folder', id) < (?, ?))",
            (job.source == "folder", job.id),
        )
        return int(rows[0][0])

    def presets_in_use(self) -> list[Preset]:
        """The pinned Presets of all Jobs that may still run."""
        rows = self._sql("SELECT DISTINCT recipe FROM jobs WHERE state <> 'done' AND recipe IS NOT NULL")
        return [self._presets.get(row[0]) for row in rows]

    # Counts

    def count(self, *states: State) -> int:
        marks = ", ".join("?" * len(states))
        return int(self._sql(f"SELECT count(*) FROM jobs WHERE state IN ({marks})", states)[0][0])

    def counts(self, client: int | None = None) -> dict[str, dict[State, int]]:
        """How many Jobs of each Preset are in each state: all from folders, and others only while they wait or run.
        ``client``: as in ``jobs``."""
        found: dict[str, dict[State, int]] = {}
        for preset, state, n in self._sql(
            "SELECT preset, state, count(*) FROM jobs WHERE (source = 'folder'"
            f" OR state IN ('queued', 'running', 'cancelling')){THEIRS.format(1)} GROUP BY preset, state",
            (client,),
        ):
            found.setdefault(os.fsdecode(preset), {})[state] = n
        return found

    def done_since(self, midnight: float, client: int | None = None) -> dict[str, int]:
        """How many photos are done with each Preset. ``client``: as in ``jobs``."""
        rows = self._sql(
            "SELECT preset, count(*) FROM jobs INDEXED BY by_finish WHERE finished_at > ?1 AND state = 'done'"
            f"{THEIRS.format(2)} GROUP BY preset",
            (midnight, client),
        )
        return {os.fsdecode(preset): n for preset, n in rows}

    # Durations

    def typical_seconds(self, job: Job) -> float | None:
        """The median duration of the last Jobs with the same recipe, size included. None if there are none."""
        rows = self._sql("SELECT recipe FROM jobs WHERE id = ?", (job.id,))
        took = [
            seconds
            for seconds, recipe in self._durations(job.preset, LOOKED_AT)
            if recipe == rows[0]["recipe"] and seconds > COPIED
        ]
        return statistics.median(took[:RECENT]) if took else None

    def mean_seconds(self, preset: str) -> float | None:
        """The mean duration of the Preset's last Jobs. None if there are none."""
        took = [seconds for seconds, _ in self._durations(preset, RECENT)]
        return statistics.mean(took) if took else None

    def _durations(self, preset: str, most: int) -> list[tuple[float, str]]:
        """The durations and recipes of the Preset's last Jobs, the newest first. One query for each source, because in
        the index a Preset's Jobs are in order only within their source, and sorting 100,000 takes 0.1 s."""
        one = (
            "SELECT * FROM (SELECT id, finished_at - started_at AS seconds, recipe FROM jobs"
            " WHERE preset = ?1 AND state = 'done' AND source = '{}' AND started_at IS NOT NULL"
            " ORDER BY id DESC LIMIT ?2)"
        )
        union = " UNION ALL ".join(one.format(source) for source in get_args(Source))
        rows = self._sql(
            f"SELECT seconds, recipe FROM ({union}) ORDER BY id DESC LIMIT ?2", (os.fsencode(preset), most)
        )
        return [(row["seconds"], row["recipe"]) for row in rows]

    def throughput(self, now: float) -> Throughput:
        rows = self._sql(
            "SELECT finished_at - started_at FROM jobs INDEXED BY by_finish"  # else SQLite reads all that are done
            " WHERE finished_at > ? AND state = 'done' AND started_at IS NOT NULL",
            (now - HOUR,),
        )
        took = sorted(row[0] for row in rows)
        if not took:
            return Throughput(0, None, None)
        return Throughput(len(took), statistics.median(took), took[min(len(took) - 1, int(len(took) * 0.95))])
