"""What the local API and ``--json`` say: Jobs, Presets, events and the status as JSON. The one door out, and in again."""

from __future__ import annotations

import base64
import dataclasses
import os
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from daemon import events
from daemon.events import Event
from daemon.ledger.job import Job, Signature, Source, State

SCHEMA_VERSION = 1


class JobOut(BaseModel):
    """One Photo under one Preset. Times are Unix seconds. ``ahead``: Jobs that are taken before it."""

    id: int
    source: Source
    photo: str
    preset: str
    state: State
    attempts: int
    reason: str | None
    result: str | None
    queued_at: float
    started_at: float | None
    finished_at: float | None
    seconds: float | None
    ahead: int | None = None


class JobsOut(BaseModel):
    jobs: list[JobOut]


class PresetOut(BaseModel):
    """``problem``: what is wrong with its file; an earlier version may be in force nevertheless."""

    name: str
    description: str
    size: int | Literal["auto", "full"] | None
    strength: float | None
    colour: str | None
    problem: str | None


class PresetsOut(BaseModel):
    presets: list[PresetOut]


class RunningOut(BaseModel):
    """A Job at work; ``size`` is (width, height) of the finest scale, ``share`` 0..1 of the whole work; ``left`` seconds,
    by its pace and by what others of its preset and size took."""

    job: JobOut
    device: str | None = None
    size: tuple[int, int] | None = None
    step: int = 0
    steps: int | None = None
    scale: int | None = None
    scales: int | None = None
    loss: float | None = None
    share: float = 0.0
    seconds: float = 0.0
    left: float | None = None


class PendingOut(BaseModel):
    """A file that is not complete yet."""

    photo: str
    waits_for: str


class DeviceOut(BaseModel):
    """``use`` 0..1, memory in bytes, ``temperature`` in degrees Celsius, ``load`` the processor's over a minute."""

    name: str
    use: float | None
    memory_ours: int
    memory_others: int
    memory_total: int
    temperature: float | None
    load: float | None


class ThroughputOut(BaseModel):
    """Of the last hour: photos done; median and 95th percentile of their seconds."""

    done: int
    median: float | None
    p95: float | None


class StatusOut(BaseModel):
    """``state``: degraded where there are ``problems``. ``inboxes``: how many Jobs of each preset are in which state;
    ``done_today``, and ``drain``, the seconds in which its queue would be done, by preset. ``recent`` and ``failures``:
    what was done and what failed last."""

    version: int = SCHEMA_VERSION
    stylefolder: str
    state: Literal["healthy", "degraded", "paused"]
    problems: list[str]
    root: str
    pid: int
    running: list[RunningOut]
    pending: list[PendingOut]
    inboxes: dict[str, dict[State, int]]
    done_today: dict[str, int]
    drain: dict[str, float]
    throughput: ThroughputOut
    recent: list[JobOut]
    failures: list[JobOut]
    device: DeviceOut


class ErrorDetail(BaseModel):
    status: int
    message: str


class ErrorOut(BaseModel):
    """The one shape of all errors."""

    error: ErrorDetail


def text(path: Path) -> str:
    """JSON holds no broken UTF-8: such bytes appear as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def job_out(job: Job, ahead: int | None = None) -> JobOut:
    return JobOut(
        id=job.id, source=job.source, photo=text(job.photo), preset=utf8(job.preset), state=job.state, attempts=job.attempts,
        reason=job.reason, result=text(job.result) if job.result else None, queued_at=job.queued_at,
        started_at=job.started_at, finished_at=job.finished_at, seconds=job.seconds, ahead=ahead,
    )  # fmt: skip


def event_out(event: Event) -> dict[str, Any]:
    """``{"event": its name, "at": Unix seconds, "job": {...}, ...}``."""
    fields: dict[str, Any] = {"event": type(event).__name__, "at": round(time.time(), 3)}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Job):
            value = job_out(value).model_dump()
        elif isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif isinstance(value, str):
            value = utf8(value)
        fields[field.name] = value
    return fields


def event_in(fields: dict[str, Any]) -> Event:
    """The event again, as far as a view needs it: the Job knows no recipe."""
    kind = getattr(events, fields["event"])
    given = {field.name: fields[field.name] for field in dataclasses.fields(kind)}
    if "job" in given:
        given["job"] = _job_in(JobOut.model_validate(given["job"]))
    if "jpeg" in given:
        given["jpeg"] = base64.b64decode(given["jpeg"])
    event: Event = kind(**{name: _as_tuple(value) for name, value in given.items()})
    return event


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def _job_in(out: JobOut) -> Job:
    return Job(
        id=out.id, source=out.source, photo=Path(out.photo), preset=out.preset, recipe=None, digest="",
        signature=Signature(0, 0, 0, 0), target=None, state=out.state, attempts=out.attempts, reason=out.reason,
        result=Path(out.result) if out.result else None, original=None, queued_at=out.queued_at,
        started_at=out.started_at, finished_at=out.finished_at,
    )  # fmt: skip


def utf8(string: str) -> str:
    """As ``text``, of a name or a sentence with one."""
    return os.fsencode(string).decode("utf-8", "backslashreplace") if not string.isascii() else string
