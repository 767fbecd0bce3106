"""Short words for what each test of the Ledger does."""

from __future__ import annotations

from pathlib import Path

from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import Signature

SEEN, TOUCHED = Signature(10, 20, 25, 30), Signature(10, 99, 26, 30)
PHOTO = Path("/oil/a.jpg")


def take(ledger: Ledger) -> Job:
    taken = ledger.queue.take()
    assert taken is not None
    return taken[0]


def finish(ledger: Ledger, job: Job, result: Path, digest: str = "of a Result") -> Job:
    ledger.queue.finishing(job, result.with_name("part"), result, digest)
    return ledger.queue.done(job)


def state(ledger: Ledger, job: Job) -> str | None:
    found = ledger.history.job(job.id)
    return found.state if found else None
