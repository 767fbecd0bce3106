"""Routes about Jobs: send a picture, follow it, fetch its Result, cancel and retry."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from daemon.api import uploads
from daemon.api.auth import Asks, Caller, controls
from daemon.api.context import BINARY, Context, JobId
from daemon.api.errors import NO_JOB, NOT_YOURS, WRONG_STATE
from daemon.api.job_query import JobQuery, Ticket
from daemon.api.leases import Leases
from daemon.api.schema import ErrorOut, JobOut, JobsOut, RetriedOut
from daemon.errors import LedgerError
from daemon.events import ENDS, JobQueued
from daemon.ledger.job import FINISHED, Job, State
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look
from stylecore.preset import Preset, files_of

JOB_EVERY = 1.0  # seconds of silence
RETRIED_SHOWN = 100
PICTURES = ("application/octet-stream", "image/*")


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
            if (before := _with_ticket(ledger, caller, ticket)) is not None:
                if uploads.is_here(before):
                    uploads.forget(photo)
                    return before
                ledger.clients.forget(before.id)
            job = ledger.queue.ask("upload", photo, recipe, digest, look(photo), leased=query.lease is not None)
            if client is not None:
                ledger.clients.own(client, job.id, ticket)
                context.owners[job.id] = client.id
            return job
    except (LedgerError, OSError):
        uploads.forget(photo)
        raise


def _with_ticket(ledger: Ledger, caller: Caller, ticket: str | None) -> Job | None:
    if caller.client is None or ticket is None:
        return None
    number = ledger.clients.with_ticket(caller.client, ticket)
    return None if number is None else ledger.history.job(number)


def _reading_routes(routes: APIRouter, context: Context) -> None:
    @routes.get("/v1/jobs")
    def jobs(
        caller: Asks,
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        ticket: Annotated[Ticket | None, Query(description="Only the Job that this client calls so.")] = None,
    ) -> JobsOut:
        """The newest first. For a client, without those whose pictures were removed."""
        with context.reading() as ledger:
            if ticket is not None:
                job = _with_ticket(ledger, caller, ticket)
                found = [] if job is None else [job]
            else:
                found = list(ledger.history.jobs(state, limit, caller.only))
            notes = ledger.history.notes([job.id for job in found])
        here = [job for job in found if caller.client is None or uploads.is_here(job)]
        return JobsOut(jobs=[caller.shown(job, notes=notes.get(job.id, ())) for job in here])

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
