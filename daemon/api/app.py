"""The local API: FastAPI routes over the Ledger, which is all that they share with the loop that runs the Jobs."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from pydantic import Field

from daemon.api import uploads
from daemon.api.errors import (
    ANY_BYTES,
    ERRORS,
    NO_JOB,
    PICTURES,
    STREAM,
    TOO_LATE,
    document_security,
    errors_in_one_shape,
    result_response,
)
from daemon.api.event_stream import EventStream, Hub
from daemon.api.leases import Leases
from daemon.api.schema import (
    DeviceOut,
    ErrorOut,
    JobOut,
    JobsOut,
    PendingOut,
    PresetOut,
    PresetsOut,
    RunningOut,
    StatusOut,
    job_out,
    utf8,
)
from daemon.api.status import overview
from daemon.api.thumbnails import thumbnail_of
from daemon.events import Event, JobCancelled, JobQueued
from daemon.folders.completeness import look
from daemon.ledger.database import LedgerError
from daemon.ledger.job import FINISHED, Job, State
from daemon.ledger.ledger import Ledger
from stylecore.preset import MAX_STEPS, Colour, Preset

MAX_ID = 2**63 - 1
VERSION = importlib.metadata.version("stylefolder")


@dataclass(frozen=True)
class Inside:
    """What the API sees of the daemon. The functions may be called by any thread and return at once."""

    root: Path
    spool: Path
    hub: Hub
    open_ledger: Callable[[], Ledger]
    presets: Callable[[], Mapping[str, Preset]]
    preset_errors: Callable[[], Mapping[str, str]]
    running: Callable[[], list[RunningOut]]
    pending: Callable[[], list[PendingOut]]
    problems: Callable[[], list[str]]
    device: Callable[[], DeviceOut]
    upload_limit: Callable[[], int]  # bytes
    cancel: Callable[[int], None]
    wake: Callable[[], None]
    tell: Callable[[Event], None]


PixelSize = Annotated[int, Field(ge=32, le=16384)]
JOB_BEAT = 1.0  # seconds
JobId = Annotated[int, InPath(ge=1, le=MAX_ID, description="A Job's number.")]


class _At:
    """Where the routes look things up. The Ledger is opened in the server's thread, when it starts."""

    ledger: Ledger

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.leases = Leases(self.cancel)

    def cancel(self, number: int) -> Job | None:
        """None where it is finished, or there is none."""
        cancelled = self.ledger.cancel(number)
        if cancelled is not None and cancelled.started_at is not None:
            self.inside.cancel(number)
        elif cancelled is not None:
            self.inside.tell(JobCancelled(cancelled))
        return cancelled

    def job(self, number: int) -> Job:
        job = self.ledger.job(number)
        if job is None:
            raise HTTPException(404, f"There is no Job {number}.")
        return job

    def out(self, job: Job) -> JobOut:
        return job_out(job, self.ledger.ahead(job) if job.state == "queued" else None)


def create_app(inside: Inside) -> FastAPI:
    """The application, without its guard."""
    at = _At(inside)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        at.ledger = inside.open_ledger()
        inside.hub.attach()
        try:
            yield
        finally:
            inside.hub.detach()
            at.ledger.close()

    app = FastAPI(
        title="Stylefolder", version=VERSION, docs_url=None, redoc_url=None, responses=ERRORS, lifespan=lifespan
    )
    _route_state(app, inside, at)
    _route_new_jobs(app, inside, at)
    _route_jobs(app, inside, at)
    _route_controls(app, inside, at)
    errors_in_one_shape(app)
    document_security(app)
    return app


def _route_state(app: FastAPI, inside: Inside, at: _At) -> None:
    @app.get("/v1/status")
    async def status() -> StatusOut:
        """How the daemon is, what it works on, and what waits."""
        return overview(inside, at.ledger, VERSION)

    @app.get("/v1/presets")
    async def presets() -> PresetsOut:
        """All presets in force, and what is wrong with others."""
        known, errors = inside.presets(), inside.preset_errors()
        return PresetsOut(
            presets=[_preset_out(name, known.get(name), errors.get(name)) for name in sorted({*known, *errors})]
        )

    @app.get(
        "/v1/presets/{name}/thumbnail", response_class=Response,
        responses={
            200: {"description": "A small JPEG of its first style picture.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
            404: {"model": ErrorOut, "description": "There is no such preset, or no thumbnail of its picture."},
        },
    )  # fmt: skip
    async def thumbnail(name: Annotated[str, InPath(min_length=1, max_length=200)]) -> Response:
        """To choose a style by looking."""
        preset = inside.presets().get(name)
        if preset is None:
            raise HTTPException(404, f"There is no preset {name!r}.")
        try:
            return Response(await to_thread.run_sync(thumbnail_of, preset.style[0].picture), media_type="image/jpeg")
        except OSError as e:
            raise HTTPException(404, f"The style picture of {name!r} has no thumbnail ({e}).") from e

    @app.get("/v1/events", response_class=Response, responses=STREAM)
    async def events(
        previews: Annotated[bool, Query(description="Small pictures of the running Job as well.")] = False,
    ) -> Response:
        """What happens, as it happens. A reader that falls behind is dropped."""
        return EventStream(inside.hub, previews)


def _route_new_jobs(app: FastAPI, inside: Inside, at: _At) -> None:
    @app.post(
        "/v1/jobs", status_code=201,
        responses={
            400: {"model": ErrorOut, "description": "The body is empty."},
            409: {"model": ErrorOut, "description": "Width, height, channels and bits are not all given, or the body is not as long as they say."},
            404: {"model": ErrorOut, "description": "There is no such preset."},
            413: {"model": ErrorOut, "description": "The picture is larger than the settings allow."},
            507: {"model": ErrorOut, "description": "There is no room for it."},
        },
        openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(PICTURES, ANY_BYTES)}},
    )  # fmt: skip
    async def post_job(
        request: Request,
        preset: Annotated[str, Query(min_length=1, max_length=200, description="A preset's name.")],
        name: Annotated[
            str, Query(min_length=1, max_length=200, description="The picture's name, for people.")
        ] = "picture",
        strength: Annotated[float | None, Query(ge=0, le=100)] = None,
        size: Annotated[
            PixelSize | Literal["full"] | None,
            Query(description="Long edge at which the optimiser works; full: the picture's own."),
        ] = None,
        steps: Annotated[int | None, Query(ge=1, le=MAX_STEPS, description="In all.")] = None,
        seed: Annotated[int | None, Query(ge=0, lt=2**32, description="Another painting of the same picture.")] = None,
        colour: Annotated[Colour | None, Query(description="Whose colours.")] = None,
        format: Annotated[
            Literal["same", "jpeg", "png", "tiff", "webp", "avif", "heic"] | None, Query(description="Of the Result.")
        ] = None,
        quality: Annotated[int | None, Query(ge=1, le=100)] = None,
        width: Annotated[
            int | None, Query(ge=1, le=100_000, description="Of raw pixels; as are height, channels and bits.")
        ] = None,
        height: Annotated[int | None, Query(ge=1, le=100_000)] = None,
        channels: Annotated[
            Literal["1", "2", "3", "4"] | None, Query(description="Grey, grey + alpha, RGB, RGB + alpha.")
        ] = None,
        bits: Annotated[Literal["8", "16"] | None, Query(description="A sample; 16 are little-endian.")] = None,
        lease: Annotated[
            float | None,
            Query(gt=0, le=3600, description="Seconds after which it is cancelled, unless its events are being read."),
        ] = None,
    ) -> JobOut:
        """Queue the picture in the body, ahead of the folders' photos: an image file, or, where width, height, channels
        and bits are all given, raw sRGB samples, whose Result is raw samples as well, RGB or RGB + alpha."""
        recipe = inside.presets().get(preset)
        if recipe is None:
            raise HTTPException(404, inside.preset_errors().get(preset) or f"There is no preset {preset!r}.")
        given = {"strength": strength, "size": size, "seed": seed, "colour": colour}
        recipe = _with_options(recipe, steps, given, {"format": format, "quality": quality})
        raw = (width, height, channels, bits)
        pixels = None
        if width and height and channels and bits:
            pixels = uploads.Pixels(width, height, int(channels), int(bits))
        elif any(raw):
            raise HTTPException(409, "Raw pixels want width, height, channels and bits, all four.")
        path, digest = await uploads.receive(inside.spool, name, request.stream(), pixels, inside.upload_limit())
        try:
            job = at.ledger.ask("upload", path, recipe, digest, look(path), leased=lease is not None)
        except LedgerError:
            uploads.forget(path)
            raise
        if lease is not None:
            at.leases.grant(job.id, lease)
        inside.tell(JobQueued(job))
        inside.wake()
        return at.out(job)


def _route_jobs(app: FastAPI, inside: Inside, at: _At) -> None:
    @app.get("/v1/jobs")
    async def jobs(
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> JobsOut:
        """The newest first."""
        return JobsOut(jobs=[job_out(job) for job in at.ledger.jobs(state, limit)])

    @app.get("/v1/jobs/{number}", responses=NO_JOB)
    async def get_job(number: JobId) -> JobOut:
        return at.out(at.job(number))

    @app.get(
        "/v1/jobs/{number}/result", response_class=Response,
        responses={
            200: {"description": "The file, or raw samples.", "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES}},
            **NO_JOB, **TOO_LATE,
        },
    )  # fmt: skip
    async def result(number: JobId) -> Response:
        """The Result's bytes. Raw pixels were sent: raw samples come, their shape in the headers Stylefolder-Width,
        -Height, -Channels and -Bits."""
        job = at.job(number)
        if job.state != "done" or job.result is None:
            raise HTTPException(409, f"Job {number} is {job.state}" + (f": {job.reason}" if job.reason else "."))
        if not job.result.is_file():
            raise HTTPException(404, f"The Result of Job {number} was taken away.")
        return result_response(job.result)

    @app.delete("/v1/jobs/{number}", responses=NO_JOB)
    async def delete_job(number: JobId) -> JobOut:
        """Cancel it; the worker leaves it before its next step. What was sent for a finished one is forgotten, and its Result."""
        job = at.job(number)
        cancelled = at.cancel(number)
        if cancelled is None and job.source == "upload" and job.state in FINISHED:
            uploads.forget(job.photo)
        return at.out(cancelled or at.job(number))

    @app.get("/v1/jobs/{number}/events", response_class=Response, responses={**STREAM, **NO_JOB})
    async def job_events(
        number: JobId,
        previews: Annotated[bool, Query(description="Small pictures of it as well.")] = False,
        cancel_on_close: Annotated[
            bool, Query(description="Cancel the Job when this stream is closed before its end.")
        ] = False,
    ) -> Response:
        """What happens to one Job, until its end. Every second of silence an event `Job` says how it is, with how many
        are ahead of it, and whether work is paused."""
        at.job(number)
        at.leases.hold(number)

        def beat() -> list[bytes | None]:
            job = at.out(at.job(number))
            line = f"event: Job\ndata: {json.dumps({'event': 'Job', 'paused': at.ledger.paused(), 'job': job.model_dump()})}\n\n".encode()
            return [line, None] if job.state in FINISHED else [line]

        def closed() -> None:
            if cancel_on_close:
                at.leases.grant(number, 0)

        return EventStream(inside.hub, previews, number, beat, JOB_BEAT, closed)


def _route_controls(app: FastAPI, inside: Inside, at: _At) -> None:
    @app.post("/v1/jobs/{number}/retry", responses={**NO_JOB, **TOO_LATE})
    async def retry(number: JobId) -> JobOut:
        """Queue a failed or cancelled Job again."""
        job = at.job(number)
        if job.source == "upload" and not job.photo.exists():
            raise HTTPException(409, f"What was sent for Job {number} is no longer here: send it again.")
        again = at.ledger.retry(number)
        if not again:
            raise HTTPException(
                409,
                f"Job {number} is {job.state}"
                + (f": {job.reason}" if job.reason else "; only what failed or was cancelled is tried again."),
            )
        inside.wake()
        return at.out(again[0])

    @app.post("/v1/retry")
    async def retry_failed() -> JobsOut:
        """Queue all failed Jobs again."""
        again = at.ledger.retry(None)
        inside.wake()
        return JobsOut(jobs=[job_out(job) for job in again])

    @app.post("/v1/pause", status_code=204)
    async def pause() -> None:
        """The running Job is finished; no other is begun."""
        at.ledger.pause(True)

    @app.post("/v1/resume", status_code=204)
    async def resume() -> None:
        at.ledger.pause(False)
        inside.wake()


def _with_options(recipe: Preset, steps: int | None, given: Mapping[str, Any], output: Mapping[str, Any]) -> Preset:
    """None leaves what the Preset says."""
    if steps is not None:
        recipe = recipe.with_steps(steps)
    update, out = ({key: value for key, value in values.items() if value is not None} for values in (given, output))
    return recipe.model_copy(update={**update, "output": recipe.output.model_copy(update=out)})


def _preset_out(name: str, preset: Preset | None, problem: str | None) -> PresetOut:
    name, problem = utf8(name), problem and utf8(problem)
    if preset is None:
        return PresetOut(name=name, description="", size=None, strength=None, colour=None, problem=problem)
    return PresetOut(
        name=name,
        description=preset.description,
        size=preset.size,
        strength=preset.strength,
        colour=preset.colour,
        problem=problem,
    )
