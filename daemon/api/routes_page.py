"""The page for browsers, and what it alone needs: pictures that every browser can show, and all Results as one file."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Annotated, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response, StreamingResponse

from daemon.api.archive import distinct, zipped
from daemon.api.auth import Asks
from daemon.api.context import BINARY, Context, JobId
from daemon.api.errors import NO_JOB
from daemon.api.schema import ErrorOut
from daemon.api.shown import EDGE, shown
from daemon.ledger.job import Job
from stylecore.errors import PhotoError

PAGE = Path(__file__).parent / "page"
FILES = {path.name: path for path in PAGE.iterdir() if path.is_file()}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
KEPT = {**HEADERS, "Cache-Control": "private, max-age=86400"}
MOST = 1000  # Results in one file


def page_routes(context: Context) -> APIRouter:
    routes = APIRouter()
    decoders = CapacityLimiter(2)  # a page may ask for hundreds of pictures: other routes' threads are not for that

    @routes.get("/", include_in_schema=False)
    def index() -> Response:
        return _file("index.html")

    @routes.get("/page/{name}", include_in_schema=False)
    def file(name: str) -> Response:
        return _file(name)

    @routes.get(
        "/v1/jobs/{number}/picture",
        response_class=Response,
        responses={200: {"description": "A JPEG.", "content": {"image/jpeg": BINARY}}, **NO_JOB},
    )
    async def picture(
        number: JobId,
        caller: Asks,
        of: Annotated[Literal["photo", "result"], Query(description="Which picture.")] = "photo",
        edge: Annotated[int, Query(ge=16, le=EDGE, description="Its long edge in pixels, at most.")] = EDGE,
    ) -> Response:
        """The photo or the Result in a format and at a size for looking at it."""
        job = await to_thread.run_sync(context.job, number, caller)
        path = job.photo if of == "photo" else job.result
        if path is None or not path.exists():
            raise HTTPException(404, f"Job {number} has no {of} any more, or not yet.")
        try:
            jpeg = await to_thread.run_sync(shown, path, edge, limiter=decoders)
            return Response(jpeg, media_type="image/jpeg", headers=KEPT)
        except PhotoError as e:
            raise HTTPException(404, f"The {of} of Job {number} cannot be shown.") from e

    @routes.get(
        "/v1/results.zip",
        response_class=Response,
        responses={
            200: {"description": "A ZIP.", "content": {"application/zip": BINARY}},
            404: {"model": ErrorOut, "description": "There is no Result."},
        },
    )
    def results(
        caller: Asks,
        job: Annotated[
            list[Annotated[int, Query(ge=1, le=2**63 - 1)]],
            Query(description="The Jobs' numbers; all that were sent, without any.", max_length=MOST),
        ] = [],  # noqa: B006 - FastAPI copies it
    ) -> Response:
        """The Results of Jobs that are done, in one file."""
        with context.reading() as ledger:
            done = ledger.history.jobs("done", MOST, caller.only)
        found = [one for one in done if one.id in job or (not job and one.source == "upload")]
        files = [(_download_name(one), one.result) for one in found if one.result is not None and one.result.exists()]
        if not files:
            raise HTTPException(404, "There is no Result to download.")
        names = distinct(name for name, _ in files)
        chunks = zipped(zip(names, (path for _, path in files), strict=True))
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="stylefolder.zip"'}
        return StreamingResponse(chunks, media_type="application/zip", headers=headers)

    return routes


def _file(name: str) -> Response:
    path = FILES.get(name)
    if path is None:
        raise HTTPException(404, "There is no such page.")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(path.read_bytes(), media_type=kind, headers=HEADERS)


def _download_name(job: Job) -> str:
    """The photo's name with the style, and the Result's format."""
    suffix = job.result.suffix if job.result is not None else ""
    return f"{job.photo.stem} ({job.preset}){suffix}"
