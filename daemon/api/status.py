"""The status: how the daemon is, what it works on, what waits, what was done. One answer for the API, and so for every view."""

from __future__ import annotations

import datetime
import os
import time
from typing import TYPE_CHECKING

from daemon.api.schema import RunningOut, StatusOut, ThroughputOut, job_out, text, utf8
from daemon.ledger.ledger import Ledger

if TYPE_CHECKING:
    from daemon.api.app import Inside

RECENT, FAILURES = 12, 12


def overview(inside: Inside, ledger: Ledger, version: str) -> StatusOut:
    problems, counts, now = inside.problems(), ledger.counts(), time.time()
    midnight = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    past = ledger.history
    took = past.seconds_by_preset()
    throughput = past.throughput(now)
    return StatusOut(
        stylefolder=version, state="paused" if ledger.paused() else "degraded" if problems else "healthy",
        problems=[utf8(problem) for problem in problems], root=text(inside.root), pid=os.getpid(),
        running=[_with_time_left(running, ledger) for running in inside.running()], pending=inside.pending(), inboxes=counts,
        done_today=past.done_since(midnight),
        drain={name: seconds * counts[name].get("queued", 0) for name, seconds in took.items() if name in counts},
        throughput=ThroughputOut(done=throughput.done, median=throughput.median, p95=throughput.p95),
        recent=[job_out(job) for job in ledger.ended_last("done", RECENT)],
        failures=[job_out(job) for job in ledger.ended_last("failed", FAILURES)], device=inside.device(),
    )  # fmt: skip


def _with_time_left(running: RunningOut, ledger: Ledger) -> RunningOut:
    """At the beginning by what others took, towards the end by its own pace: by its share of the work done."""
    job = ledger.job(running.job.id)
    typical = None if job is None else ledger.history.typical_seconds(job)
    spent = 0.0 if job is None or job.started_at is None else max(0.0, time.time() - job.started_at)
    by_others = None if typical is None else max(0.0, typical - spent)
    by_pace = spent / running.share - spent if running.share > 0 else None
    if by_others is None or by_pace is None:
        left = by_pace if by_others is None else by_others
    else:
        left = by_pace * running.share + by_others * (1 - running.share)
    return running.model_copy(update={"left": left})
