"""What the API and ``--json`` say, as JSON: Jobs, Presets, events and the status, and back."""

from __future__ import annotations

import base64
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from daemon import events
from daemon.events import Event, LossPoint
from daemon.ledger.job import Job, Source, State

SCHEMA_VERSION = 2


class JobOut(BaseModel):
    """One Photo under one Preset. Times are Unix seconds. ``ahead``: how many Jobs are taken before it. ``notes``: what
    its Result could not keep. Only the answers about Jobs have these two."""

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
    notes: list[str] = []


class JobsOut(BaseModel):
    jobs: list[JobOut]


class RetriedOut(BaseModel):
    """``jobs``: the first of ``count``."""

    jobs: list[JobOut]
    count: int


class PresetOut(BaseModel):
    """``problem``: what is wrong with its file. An earlier version may still be in effect. A look has the photo's own
    size."""

    name: str
    transfer: Literal["painting", "look"] = "painting"
    description: str
    size: int | Literal["auto", "full"] | None
    strength: float | None
    colour: str | None
    problem: str | None


class PresetsOut(BaseModel):
    presets: list[PresetOut]


class RunningOut(BaseModel):
    """A running Job. ``size``: (width, height) of a painting's finest scale. ``share``: of the whole work, 0 to 1.
    ``seconds``: since the start. ``left``: estimated seconds to the end, if known. ``memory``: bytes that a long Job is
    estimated to need at its peak."""

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
    memory: int | None = None


class PendingOut(BaseModel):
    """A file that is not complete yet."""

    photo: str
    waits_for: str


class DeviceOut(BaseModel):
    """``use``: 0 to 1. Memory in bytes. ``temperature``: degrees Celsius. ``load``: the processor's, over a minute. All
    are null for another machine's."""

    name: str
    use: float | None
    memory_ours: int | None
    memory_others: int | None
    memory_total: int | None
    temperature: float | None
    load: float | None


class SlotOut(BaseModel):
    """A device's place for one Job. ``job``: the number of the Job that it does. ``host``: the name of the machine, if
    it is another one."""

    job: int | None
    host: str | None = None
    device: DeviceOut


class ThroughputOut(BaseModel):
    """The last hour: photos done, and the median and 95th percentile of their duration in seconds."""

    done: int
    median: float | None
    p95: float | None


class StatusOut(BaseModel):
    """``state``: degraded if there are ``problems``. ``remarks``: what is unusual, but not wrong. ``pending``: the
    first of ``pending_count`` files that are not complete yet. ``skipped``: files in the Inboxes that are no pictures.
    ``inboxes``: by Preset, how many Jobs are in each state. ``done_today``: by Preset. ``drain``: by Preset, the
    seconds until its queue is empty. ``recent``, ``failures``: what was done and what failed last.
    ``device``: of the first of the ``slots``. ``cluster``: the address where other machines can join, if they can."""

    version: int = SCHEMA_VERSION
    stylefolder: str
    state: Literal["healthy", "degraded", "paused"]
    problems: list[str]
    remarks: list[str] = []
    root: str
    pid: int
    running: list[RunningOut]
    pending: list[PendingOut]
    pending_count: int
    skipped: int = 0
    inboxes: dict[str, dict[State, int]]
    done_today: dict[str, int]
    drain: dict[str, float]
    throughput: ThroughputOut
    recent: list[JobOut]
    failures: list[JobOut]
    slots: list[SlotOut]
    cluster: str | None = None
    device: DeviceOut


class ErrorDetail(BaseModel):
    status: int
    message: str


class ErrorOut(BaseModel):
    """The one shape of all errors."""

    error: ErrorDetail


def error_out(status: int, message: str) -> dict[str, Any]:
    return ErrorOut(error=ErrorDetail(status=status, message=utf8(message))).model_dump()


def job_out(job: Job, ahead: int | None = None, notes: Sequence[str] = ()) -> JobOut:
    return JobOut(
        id=job.id,
        source=job.source,
        photo=utf8(job.photo),
        preset=utf8(job.preset),
        state=job.state,
        attempts=job.attempts,
        reason=job.reason,
        result=utf8(job.result) if job.result else None,
        queued_at=job.queued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        seconds=job.seconds,
        ahead=ahead,
        notes=[*notes],
    )


def job_in(out: JobOut) -> Job:
    fields = {field.name: getattr(out, field.name) for field in dataclasses.fields(Job)}
    return Job(**{**fields, "photo": Path(out.photo), "result": Path(out.result) if out.result else None})


def event_out(event: Event) -> dict[str, Any]:
    """``{"event": its name, "at": Unix seconds, "job": {...}, ...}``."""
    fields: dict[str, Any] = {"event": type(event).__name__, "at": round(time.time(), 3)}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Job):
            value = job_out(value, notes=getattr(event, "notes", ())).model_dump()
        elif isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif isinstance(value, str):
            value = utf8(value)
        fields[field.name] = value
    return fields


def event_in(fields: dict[str, Any]) -> Event:
    kind = getattr(events, fields["event"])
    given = {field.name: fields[field.name] for field in dataclasses.fields(kind)}
    if "job" in given:
        given["job"] = job_in(JobOut.model_validate(given["job"]))
    if "jpeg" in given:
        given["jpeg"] = base64.b64decode(given["jpeg"])
    if "curve" in given:
        given["curve"] = tuple(LossPoint(*point) for point in given["curve"])
    event: Event = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    return event


def utf8(text: str | Path) -> str:
    """JSON cannot hold invalid UTF-8: invalid bytes in a file name become escapes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
