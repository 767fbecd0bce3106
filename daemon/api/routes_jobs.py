"""Routes about Jobs: send a picture, follow it, fetch its Result, cancel and retry."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, StringConstraints

from daemon.api import uploads
from daemon.api.auth import Asks, Caller, controls
from daemon.api.context import Context
from daemon.api.errors import NO_JOB, NOT_YOURS, WRONG_STATE
from daemon.api.leases import Leases
from daemon.api.schema import ErrorOut, JobOut, JobsOut, RetriedOut
from daemon.errors import LedgerError
from daemon.events import ENDS, JobQueued
from daemon.ledger.job import FINISHED, Job, State
from daemon.ledger.signature import look
from stylecore.errors import PresetError
from stylecore.limits import MAX_DPI, MAX_PRINT, MAX_SIZE, MAX_STEPS, MIN_DPI, MIN_SIZE
from stylecore.limits import MAX_EDGE as RESULT_EDGE
from stylecore.output import OutputFormat
from stylecore.preset import Look, Preset, files_of, with_options, with_output
from stylecore.recipe import Colour

JOB_EVERY = 1.0  # seconds of silence
RETRIED_SHOWN = 100
MAX_EDGE = 100_000  # pixels of a picture that is sent as samples
Ticket = Annotated[str, StringConstraints(min_length=8, max_length=100)]
JobId = Annotated[int, InPath(ge=1, le=2**63 - 1, description="A Job's number.")]
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
PICTURES = ("application/octet-stream", "image/*")


class JobQuery(BaseModel):
    """The options for a picture that is sent. None keeps the preset's value."""

    preset: str | None = Field(None, min_length=1, max_length=200, description="A preset's name.")
    kept: str | None = Field(
        None, min_length=64, max_length=64, description="In place of a name: a recipe that `POST /v1/recipes` keeps."
    )
    name: str = Field("picture", min_length=1, max_length=200, description="The picture's name, for people.")
    strength: float | None = Field(None, ge=0, le=100)
    size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)] | Literal["full"] | None = Field(
        None, description="The long edge, in pixels, at which the optimiser works; full: the picture's own."
    )
    steps: int | None = Field(
        None, ge=1, le=MAX_STEPS, description="Of the scales with all layers; the finish follows in proportion."
    )
    seed: int | None = Field(None, ge=0, lt=2**32, description="Each number gives a different painting.")
    colour: Colour | None = Field(None, description="Whose colours the Result gets.")
    format: OutputFormat | None = Field(None, description="The Result's format.")
    quality: int | None = Field(None, ge=1, le=100)
    long_edge: int | None = Field(None, ge=MIN_SIZE, le=RESULT_EDGE, description="The Result's long edge, in pixels.")
    print: float | None = Field(
        None, ge=1, le=MAX_PRINT, description="The Result's long edge on paper, in centimetres."
    )
    dpi: int | None = Field(None, ge=MIN_DPI, le=MAX_DPI, description="Dots per inch of the Result.")
    width: int | None = Field(None, ge=1, le=MAX_EDGE, description="For bare samples, with height, channels and bits.")
    height: int | None = Field(None, ge=1, le=MAX_EDGE)
    channels: Literal["1", "2", "3", "4"] | None = Field(None, description="Grey, grey + alpha, RGB, RGB + alpha.")
    bits: Literal["8", "16"] | None = Field(None, description="Bits per sample; 16 means little-endian.")
    ticket: Ticket | None = Field(
        None,
        description="A client's own name for the Job. A picture that is sent again under this name is no second Job:"
        " the answer is the first one.",
    )
    lease: float | None = Field(
        None, gt=0, le=3600, description="Seconds after which the Job is cancelled, unless its events are being read."
    )

    def recipe(self, preset: Preset) -> Preset:
        """Raises HTTPException (409) for options that the preset's transfer does not have."""
        output = self.model_dump(include={"format", "quality", "long_edge", "print", "dpi"})
        if isinstance(preset, Look):
            output["lut"] = "none"  # nobody could fetch it
        elif self.width is not None:  # bare samples come back in the size in which they were sent
            preset = preset.model_copy(update={"output": type(preset.output)()})
        options = self.model_dump(include={"strength", "size", "steps", "seed", "colour"})
        try:
            return with_options(with_output(preset, **output), **options)
        except PresetError as e:
            raise HTTPException(409, str(e)) from e

    def pixels(self) -> uploads.Pixels | None:
        """None if an image file is sent. Raises HTTPException (409)."""
        if self.width and self.height and self.channels and self.bits:
            return uploads.Pixels(self.width, self.height, int(self.channels), int(self.bits))
        if any((self.width, self.height, self.channels, self.bits)):
            raise HTTPException(409, "Bare samples need all four of width, height, channels and bits.")
        return None


def job_routes(context: Context, leases: Leases) -> APIRouter:
    routes = APIRouter()
    _new_job_route(routes, context, leases)
    _reading_routes(routes, context)
    _changing_routes(routes, context)
    _event_route(routes, context, leases)
    return routes


def _new_job_route(routes: APIRouter, context: Context, leases: Leases) -> None:
    @routes.post(
        "/v1/jobs",
        status_code=201,
        responses={
            400: {"model": ErrorOut, "description": "The body is empty."},
            404: {"model": ErrorOut, "description": "There is no such preset."},
            409: {
                "model": ErrorOut,
                "description": "There is neither preset nor kept, or both; some of width, height, channels and bits "
                "are missing; the body's length is wrong; or the preset is a look, which has no size, steps, seed or "
                "colour.",
            },
            413: {"model": ErrorOut, "description": "The picture is larger than the settings allow."},
            507: {"model": ErrorOut, "description": "The disk is full, or the daemon keeps too much already."},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {kind: {"schema": {**BINARY["schema"], "minLength": 1}} for kind in PICTURES},
            }
        },
    )
    async def post_job(request: Request, query: Annotated[JobQuery, Query()], caller: Asks) -> JobOut:
        """Queue the picture in the body, ahead of the folders' photos: an image file or, with width, height, channels
        and bits, bare sRGB samples, whose Result is bare samples too, RGB or RGB + alpha."""
        preset = await to_thread.run_sync(_preset, context, query, caller)
        recipe, pixels, body = query.recipe(preset), query.pixels(), request.stream()
        limit = context.snapshot.settings.upload_limit << 20
        await to_thread.run_sync(context.make_room)
        path, digest = await uploads.receive(context.layout.uploads, query.name, body, pixels, limit)
        job = await to_thread.run_sync(_ask, context, path, recipe, digest, query, caller)
        if query.lease is not None:
            leases.grant(job.id, query.lease)
        if job.photo == path:  # else it was sent before
            context.loop.announce_later(JobQueued(job))
        return await to_thread.run_sync(context.out, job, caller)


def _preset(context: Context, query: JobQuery, caller: Caller) -> Preset:
    """Raises HTTPException (404, 409)."""
    if (query.preset is None) == (query.kept is None):
        raise HTTPException(409, "preset: name one, or a recipe that is kept.")
    if query.kept is not None:
        with context.reading() as ledger:
            preset = ledger.queue.kept(query.kept)
        if preset is None or not all(file.exists() for file in files_of(preset)):
            raise HTTPException(404, "The recipe is no longer here: send it again.")
        return preset
    name, snapshot = query.preset or "", context.snapshot
    if (preset := snapshot.presets.get(name)) is None:
        why = snapshot.preset_errors.get(name) if caller.client is None else None
        raise HTTPException(404, why or f"There is no preset {name!r}.")
    return preset


def _ask(context: Context, photo: Path, recipe: Preset, digest: str, query: JobQuery, caller: Caller) -> Job:
    client, ticket = caller.client, query.ticket
    try:
        with context.ledger() as ledger, ledger.transaction():
            known = ledger.clients.with_ticket(client, ticket) if client is not None and ticket is not None else None
            if known is not None and (before := ledger.history.job(known)) is not None:
                uploads.forget(photo)
                return before
            job = ledger.queue.ask("upload", photo, recipe, digest, look(photo), leased=query.lease is not None)
            if client is not None:
                ledger.clients.own(client, job.id, ticket)
                context.owners[job.id] = client.id
            return job
    except (LedgerError, OSError):
        uploads.forget(photo)
        raise


def _reading_routes(routes: APIRouter, context: Context) -> None:
    @routes.get("/v1/jobs")
    def jobs(
        caller: Asks,
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        ticket: Annotated[Ticket | None, Query(description="Only the Job that this client calls so.")] = None,
    ) -> JobsOut:
        """The newest first."""
        with context.reading() as ledger:
            if ticket is not None:
                number = None if caller.client is None else ledger.clients.with_ticket(caller.client, ticket)
                job = None if number is None else ledger.history.job(number)
                return JobsOut(jobs=[] if job is None else [caller.shown(job)])
            return JobsOut(jobs=[caller.shown(job) for job in ledger.history.jobs(state, limit, caller.only)])

    @routes.get("/v1/jobs/{number}", responses=NO_JOB)
    def get_job(number: JobId, caller: Asks) -> JobOut:
        return context.out(context.job(number, caller), caller)

    @routes.get(
        "/v1/jobs/{number}/result",
        response_class=Response,
        responses={
            200: {"description": "The file, or bare samples.", "content": dict.fromkeys(PICTURES, BINARY)},
            **NO_JOB,
            **WRONG_STATE,
        },
    )
    def result(number: JobId, caller: Asks) -> Response:
        """The Result's bytes. If bare samples were sent, bare samples come back, and the headers Stylefolder-Width,
        -Height, -Channels and -Bits give their shape."""
        job = context.job(number, caller)
        if job.state != "done" or job.result is None:
            raise HTTPException(409, f"Job {number} is {job.state}" + (f": {job.reason}" if job.reason else "."))
        try:
            file = job.result.open("rb")
        except OSError as e:
            raise HTTPException(404, f"The Result of Job {number} was removed.") from e
        if job.result.suffix == ".npy":
            return _sent(file, "application/octet-stream", uploads.shape_headers(file))
        return _sent(file, mimetypes.guess_type(job.result)[0] or "application/octet-stream", {})


def _sent(file: BinaryIO, kind: str, headers: dict[str, str]) -> Response:
    """The rest of the file, a megabyte at a time. (A FileResponse would answer a wrong Range in a different shape.)"""

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(uploads.CHUNK):
                yield chunk

    left = os.fstat(file.fileno()).st_size - file.tell()
    return StreamingResponse(chunks(), media_type=kind, headers={**headers, "Content-Length": str(left)})


def _changing_routes(routes: APIRouter, context: Context) -> None:
    @routes.delete("/v1/jobs/{number}", responses=NO_JOB)
    def delete_job(number: JobId, caller: Asks) -> JobOut:
        """Cancel the Job; the worker stops before its next step. If its picture was sent, and it is already finished
        or cancelled, delete the picture and its Result, immediately or once the worker has stopped."""
        job = context.job(number, caller)
        if job.source == "upload" and job.state in ("cancelling", *FINISHED):
            context.forget(job)
            with context.ledger() as ledger:
                ledger.clients.forget(number)
        return context.out(context.cancel(number) or context.job(number, caller), caller)

    @routes.post("/v1/jobs/{number}/retry", responses={**NO_JOB, **WRONG_STATE})
    def retry(number: JobId, caller: Asks) -> JobOut:
        """Queue a failed or cancelled Job again."""
        job = context.job(number, caller)
        if job.source == "upload" and not job.photo.exists():
            raise HTTPException(409, f"The picture of Job {number} is no longer here: send it again.")
        with context.ledger() as ledger:
            again = ledger.queue.retry(number)
        if not again:
            why = f": {job.reason}" if job.reason else "; you can retry only what failed or was cancelled."
            raise HTTPException(409, f"Job {number} is {job.state}{why}")
        context.loop.wake()
        return context.out(again[0], caller)

    @routes.post("/v1/retry", responses=NOT_YOURS, dependencies=[Depends(controls)])
    def retry_failed(caller: Asks) -> RetriedOut:
        """Queue the folders' failed Jobs again."""
        with context.ledger() as ledger:
            again = ledger.queue.retry(None)
        context.loop.wake()
        return RetriedOut(jobs=[caller.shown(job) for job in again[:RETRIED_SHOWN]], count=len(again))


def _event_route(routes: APIRouter, context: Context, leases: Leases) -> None:
    def known(number: JobId, caller: Asks) -> None:
        context.job(number, caller)  # before the stream starts: an error needs a status of its own

    def now(number: int, caller: Caller) -> tuple[ServerSentEvent, bool]:
        job = context.out(context.job(number, caller), caller)
        data = {"event": "Job", "paused": context.paused(), "job": job.model_dump()}
        return ServerSentEvent(event="Job", data=data), job.state in FINISHED

    @routes.get(
        "/v1/jobs/{number}/events",
        response_class=EventSourceResponse,
        responses=NO_JOB,
        dependencies=[Depends(known)],
    )
    async def job_events(
        number: JobId,
        caller: Asks,
        previews: Annotated[bool, Query(description="Include small pictures of the painting.")] = False,
        cancel_on_close: Annotated[
            bool, Query(description="Cancel the Job if this stream is closed before the Job's end.")
        ] = False,
    ) -> AsyncIterator[ServerSentEvent]:
        """What happens to one Job, until its end. After every second of silence, an event `Job` gives its state, how
        many are ahead of it, and whether work is paused."""
        leases.hold(number)
        try:
            with context.stream.subscribed(previews, number, context.reader(caller)) as subscriber:
                yield ServerSentEvent(comment="welcome")
                event, finished = await to_thread.run_sync(now, number, caller)
                while not subscriber.ended:
                    yield event
                    if finished:
                        return
                    if news := await subscriber.next(JOB_EVERY):
                        event, finished = news, news.event in ENDS
                    else:
                        event, finished = await to_thread.run_sync(now, number, caller)
        finally:
            if cancel_on_close:
                leases.grant(number, 0)
            else:
                leases.resume(number)
