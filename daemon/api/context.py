"""What the routes know: a snapshot of the daemon's loop, and a Ledger of their own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

from fastapi import HTTPException
from fastapi import Path as InPath

from daemon.api import uploads
from daemon.api.auth import Caller
from daemon.api.event_stream import EventStream, Reader
from daemon.api.outside import Outside
from daemon.api.schema import JobOut, PendingOut, RunningOut
from daemon.events import Event, JobCancelled, JobDone, JobFailed
from daemon.folders.layout import Layout
from daemon.ledger.clients import SEEN_EVERY
from daemon.ledger.job import FINISHED, Job
from daemon.ledger.ledger import Ledger
from daemon.settings import Settings
from stylecore.preset import Preset

JobId = Annotated[int, InPath(ge=1, le=2**63 - 1, description="A Job's number.")]
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
"""A picture, in the API's description."""


class SlotNow(NamedTuple):
    """``device``: as requested (auto, cuda:1, ...). ``words``: the device that the worker reported. ``worker``: its
    process ID. ``job``: the number of the Job that it does. ``host``: the other machine that it is on, if any."""

    device: str
    words: str | None
    worker: int | None
    job: int | None
    host: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """The loop as it was after its last turn. ``remarks``: what is unusual, but not wrong. ``skipped``: files in the
    Inboxes that are no pictures. ``pending``: the first of ``pending_count``. ``cluster``: the address where other
    machines can join, if they can."""

    presets: Mapping[str, Preset]
    preset_errors: Mapping[str, str]
    running: tuple[RunningOut, ...]
    pending: tuple[PendingOut, ...]
    pending_count: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    skipped: int
    slots: tuple[SlotNow, ...]
    cluster: str | None
    settings: Settings


class Loop(Protocol):
    """The daemon's loop, as the API sees it. Any thread may call these; all return at once."""

    @property
    def snapshot(self) -> Snapshot: ...

    def cancel(self, job: int) -> None:
        """The worker leaves this Job before its next step."""

    def want_previews(self, wanted: bool) -> None: ...

    def wake(self) -> None:
        """There may be something to do."""

    def announce_later(self, event: Event) -> None: ...


class _Shared:
    """A Ledger for several threads, one at a time."""

    def __init__(self, layout: Layout, loops: Ledger) -> None:
        assert isinstance(loops.path, Path)
        self._ledger = Ledger(loops.path, layout.root, loops.journal, loops.locks)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with self._lock:
            yield self._ledger


class Context:
    """Shared by all routes, which run in several threads: a Ledger is for one at a time. Routes that only read share a
    separate Ledger, so that they do not wait for a writer that another program may hold up."""

    def __init__(self, layout: Layout, loop: Loop, loops_ledger: Ledger) -> None:
        self.layout = layout
        self.loop = loop
        self.stream = EventStream(loop.want_previews)
        self.outside: Outside | None = None  # where other machines reach it
        self._unwanted: set[int] = set()  # uploads to remove when their Job is finished
        self._writing = _Shared(layout, loops_ledger)
        self._reading = _Shared(layout, loops_ledger)
        self.owners = loops_ledger.clients.owners()  # as in the Ledger, for each event

    @property
    def snapshot(self) -> Snapshot:
        return self.loop.snapshot

    def ledger(self) -> AbstractContextManager[Ledger]:
        """The Ledger for routes that write."""
        return self._writing.ledger()

    def reading(self) -> AbstractContextManager[Ledger]:
        return self._reading.ledger()

    def close(self) -> None:
        for shared in (self._writing, self._reading):
            with shared.ledger() as ledger:
                ledger.close()

    def sees(self, caller: Caller, job: int) -> bool:
        """As the Ledger says, but at once: for each event."""
        return caller.may_see(self.owners.get(job))

    def reader(self, caller: Caller) -> Reader | None:
        """None for the user, who reads about everything."""
        if caller.client is None:
            return None
        return Reader(caller.client.id, lambda job: self.sees(caller, job))

    def client(self, token: str) -> Caller | None:
        """Who has this token."""
        with self.reading() as ledger:
            client = ledger.clients.by_token(token)
        if client is None:
            return None
        if time.time() - client.seen_at > SEEN_EVERY:
            with self.ledger() as ledger:
                ledger.clients.see(client)
        return Caller(client)

    def job(self, number: int, caller: Caller) -> Job:
        """Raises HTTPException (404) if there is none, or if it is not the caller's business."""
        with self.reading() as ledger:
            job = ledger.history.job(number)
            if job is None or not caller.may_see(ledger.clients.owner(number)):
                raise HTTPException(404, f"There is no Job {number}.")
        return job

    def out(self, job: Job, caller: Caller) -> JobOut:
        with self.reading() as ledger:
            ahead = ledger.history.ahead(job) if job.state == "queued" else None
            notes = ledger.history.notes([job.id]).get(job.id, ())
        return caller.shown(job, ahead, notes)

    def paused(self) -> bool:
        with self.reading() as ledger:
            return ledger.queue.paused()

    def hear(self, event: Event) -> None:
        """Receives what the loop announces. Call this only in the loop's thread."""
        self.stream.publish(event)
        if isinstance(event, (JobDone, JobFailed, JobCancelled)) and event.job.id in self._unwanted:
            self._unwanted.discard(event.job.id)
            uploads.forget(event.job.photo)

    def forget(self, job: Job) -> None:
        """Remove an upload and its Result, once its Job is finished."""
        self._unwanted.add(job.id)
        if self.job(job.id, Caller()).state in FINISHED:  # nothing more will be announced about it
            self._unwanted.discard(job.id)
            uploads.forget(job.photo)

    def make_room(self) -> None:
        """For an upload. Raises NoRoom."""
        with self.reading() as ledger:
            quota = self.snapshot.settings.upload_quota << 20
            uploads.make_room(self.layout.uploads, self.layout.style_store, ledger, quota)

    def cancel(self, number: int) -> Job | None:
        """None if it is finished, or unknown."""
        with self.ledger() as ledger:
            cancelled = ledger.queue.cancel(number)
        if cancelled is not None and cancelled.state == "cancelling":
            self.loop.cancel(number)
        elif cancelled is not None:
            self.loop.announce_later(JobCancelled(cancelled))
        return cancelled
