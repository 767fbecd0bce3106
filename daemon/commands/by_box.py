"""Photos painted by the daemon of another machine, over a network that may fail: each is sent, followed and fetched,
whatever connection is lost in between. Its ticket makes sure that a photo that is sent twice is painted once."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.api.client import Client
from daemon.api.schema import JobOut, RunningOut, job_in
from daemon.commands.apply_by_daemon import ResultPath
from daemon.errors import NoDaemon, Refused
from daemon.events import (
    Event,
    JobCancelled,
    JobChosen,
    JobDone,
    JobFailed,
    JobQueued,
    JobStarted,
    JobStepped,
    Listener,
    Note,
)
from daemon.ledger.job import Job
from stylecore.errors import StylefolderError, cause
from stylecore.images.atomic_write import write_whole

LOOK_EVERY = 1.0  # seconds
AGAIN = 3.0  # seconds between two tries while the other machine does not answer
SPARE = 2  # photos sent ahead for each Slot there, at most: a Slot never waits, and the disk there holds few copies


@dataclass
class Errand:
    """One photo on its way. ``query``: of ``POST /v1/jobs``, with its ticket."""

    photo: Path
    query: dict[str, Any]
    job: int | None = None
    seen: set[str] = field(default_factory=set)  # events that were shown


def paint(
    client: Client,
    errands: Sequence[Errand],
    result_path: ResultPath,
    show: Listener,
    *,
    patient: bool,
    cancels: bool,
) -> None:
    """``show`` gets what happens to each photo. ``patient``: wait for ever while the other machine is away; otherwise,
    raise NoDaemon. ``cancels``: on ctrl-C, take back what is not done."""
    waiting, sent, away = deque(errands), list[Errand](), False
    try:
        while waiting or sent:
            try:
                for event in _turn(client, waiting, sent, result_path):
                    show(event)
            except NoDaemon:
                if not patient:
                    raise
                if not away:
                    show(Note(f"{client.address.host} is away. Waiting for it; to stop, press Ctrl+C.", warning=True))
                away = True
                time.sleep(AGAIN)
            else:
                if away:
                    show(Note(f"{client.address.host} is back."))
                away = False
                time.sleep(LOOK_EVERY if sent else 0)
    except BaseException:
        for errand in sent if cancels else ():
            _forget(client, errand)
        raise


def _turn(
    client: Client,
    waiting: deque[Errand],
    sent: list[Errand],
    result_path: ResultPath,
) -> Iterator[Event]:
    status = client.ask("GET", "/v1/status")
    while waiting and len(sent) < SPARE * max(1, len(status["slots"])):
        yield from _send(client, waiting, sent)
    running = {one["job"]["id"]: RunningOut.model_validate(one) for one in status["running"]}
    for errand in list(sent):
        try:
            news = list(_news(client, errand, running, result_path))
        except Refused as e:  # someone removed the Job there
            news = [JobFailed(_unsent(errand, str(e)))]
        for event in news:
            yield event
            if isinstance(event, (JobDone, JobFailed, JobCancelled)):
                sent.remove(errand)
                _forget(client, errand)


def _send(client: Client, waiting: deque[Errand], sent: list[Errand]) -> Iterator[JobFailed]:
    """The next one. It stays in ``waiting`` if the other machine does not answer. Raises NoDaemon."""
    errand = waiting[0]
    try:
        known = client.ask("GET", "/v1/jobs", ticket=errand.query["ticket"])["jobs"]
        if known:
            job = known[0]
            if job["state"] in ("failed", "cancelled"):  # asked for again
                job = client.ask("POST", f"/v1/jobs/{job['id']}/retry")
        else:
            with errand.photo.open("rb") as file:
                job = client.ask("POST", "/v1/jobs", file, name=errand.photo.name, **errand.query)
    except (OSError, UnicodeError) as e:
        yield JobFailed(_unsent(errand, f"It cannot be read ({cause(e)}): check its name and its permissions."))
    except Refused as e:
        yield JobFailed(_unsent(errand, str(e)))
    else:
        errand.job = job["id"]
        sent.append(errand)
    waiting.popleft()


def _news(
    client: Client,
    errand: Errand,
    running: dict[int, RunningOut],
    result_path: ResultPath,
) -> Iterator[Event]:
    assert errand.job is not None
    if (now := running.get(errand.job)) is not None:
        yield from _steps(errand, now)
        return
    out = JobOut.model_validate(client.ask("GET", f"/v1/jobs/{errand.job}"))
    job = dataclasses.replace(job_in(out), photo=errand.photo, source="command")
    if job.state == "queued" and "queued" not in errand.seen:
        errand.seen.add("queued")
        yield JobQueued(job)
    elif job.state == "failed":
        yield JobFailed(job)
    elif job.state == "cancelled":
        yield JobCancelled(job)
    elif job.state == "done" and job.result is not None:
        data = client.fetch(f"/v1/jobs/{job.id}/result")
        try:
            path = result_path(errand.photo, job.preset, job.result.suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except (StylefolderError, OSError) as e:
            yield JobFailed(dataclasses.replace(job, state="failed", result=None, reason=str(e)))
            return
        yield JobDone(dataclasses.replace(job, result=path), tuple(out.notes), (), {})


def _steps(errand: Errand, now: RunningOut) -> Iterator[Event]:
    job = dataclasses.replace(job_in(now.job), photo=errand.photo, source="command")
    if "started" not in errand.seen:
        errand.seen.add("started")
        yield JobStarted(job, now.left)
    if now.device is not None and "chosen" not in errand.seen:
        errand.seen.add("chosen")
        yield JobChosen(job, now.device, now.size, now.left, now.memory)
    if now.step and now.steps and now.scale and now.scales and now.loss is not None:
        yield JobStepped(job, now.step, now.steps, now.scale, now.scales, now.loss, now.share, now.seconds, now.left)


def _unsent(errand: Errand, reason: str) -> Job:
    preset = str(errand.query.get("preset") or "")
    return Job(0, "command", errand.photo, preset, "failed", 0, reason, None, time.time(), None, time.time())


def _forget(client: Client, errand: Errand) -> None:
    """The first request cancels the Job if it is not finished; the second removes the picture there."""
    for _ in range(2):
        with contextlib.suppress(StylefolderError):
            client.ask("DELETE", f"/v1/jobs/{errand.job}")
