"""What the Ledger tells of the past: how long photos take, how many are done in an hour, what ended last."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from typing import Any

from daemon.ledger.database import Database
from daemon.ledger.job import Job

HOUR = 3600.0
LATELY = 20  # Jobs whose duration foretells the next one's


@dataclass(frozen=True)
class Throughput:
    """Of the photos done in the last hour: how many, and the median and 95th percentile of their seconds, None without any."""

    done: int
    median: float | None
    p95: float | None


class History:
    """Reads only."""

    def __init__(self, db: Database) -> None:
        self._sql = db.sql

    def typical_seconds(self, job: Job) -> float | None:
        """The median of the last Jobs under the same recipe, size included; None while there are none. What was copied
        from a twin took no time and is left out."""
        rows = self._sql(
            "SELECT finished_at - started_at FROM jobs WHERE preset = ? AND state = 'done'"
            " AND recipe = (SELECT recipe FROM jobs WHERE id = ?) AND finished_at - started_at > 0.1 ORDER BY id DESC LIMIT ?",
            (os.fsencode(job.preset), job.id, LATELY),
        )
        return statistics.median(row[0] for row in rows) if rows else None

    def seconds_by_preset(self) -> dict[str, float]:
        """The mean of what was lately done under each preset with Jobs in the queue."""
        rows = self._sql(
            "SELECT preset, (SELECT avg(s) FROM (SELECT finished_at - started_at AS s FROM jobs WHERE preset = waiting.preset AND"
            " state = 'done' ORDER BY id DESC LIMIT ?)) FROM (SELECT DISTINCT preset FROM jobs WHERE state = 'queued') AS waiting",
            (LATELY,),
        )
        return {os.fsdecode(preset): seconds for preset, seconds in rows if seconds is not None}

    def throughput(self, now: float) -> Throughput:
        rows = self._sql(
            "SELECT finished_at - started_at FROM jobs WHERE finished_at > ? AND state = 'done' AND started_at IS NOT NULL",
            (now - HOUR,),
        )
        took = sorted(row[0] for row in rows)
        if not took:
            return Throughput(0, None, None)
        return Throughput(len(took), statistics.median(took), took[min(len(took) - 1, int(len(took) * 0.95))])

    def done_since(self, midnight: float) -> dict[str, int]:
        """How many of each preset."""
        rows = self._sql(
            "SELECT preset, count(*) FROM jobs WHERE finished_at > ? AND state = 'done' GROUP BY preset", (midnight,)
        )
        return {os.fsdecode(preset): n for preset, n in rows}

    def ended_last(self, state: str, limit: int) -> list[Any]:
        """Rows, the newest first."""
        return self._sql(
            "SELECT * FROM jobs WHERE state = ? AND finished_at > 0 AND (state <> 'failed' OR source = 'folder') ORDER BY finished_at DESC LIMIT ?",
            (state, limit),
        )
