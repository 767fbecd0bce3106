"""What the API answers beside each route's own: errors in one shape, Results' bytes, and the OpenAPI document of it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Route

from daemon.api import uploads
from daemon.api.auth import error_body
from daemon.api.schema import ErrorOut
from daemon.ledger.database import LedgerError
from stylecore.errors import NoRoom, PhotoError, PresetError, ResultError, StylefolderError

SECURITY = "bearer"
ERRORS: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorOut, "description": "Token, Host or Origin is missing or foreign."},
    422: {"model": ErrorOut, "description": "A parameter is wrong."},
    503: {"model": ErrorOut, "description": "The Ledger cannot be used at present."},
}
NO_JOB: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorOut, "description": "There is no such Job, or no Result."}
}
TOO_LATE: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorOut, "description": "The Job's state does not allow it."}
}
ANY_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events; `data` is JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
PICTURES = ("application/octet-stream", "image/*")


def result_response(path: Path) -> Response:
    """A file, or the samples of raw pixels with their shape in headers."""
    if path.suffix != ".npy":
        return FileResponse(path)
    import numpy as np

    samples = np.load(path, mmap_mode="r", allow_pickle=False)  # (height, width, channels)
    height, width, channels = samples.shape
    headers = {
        "Stylefolder-Width": str(width), "Stylefolder-Height": str(height), "Stylefolder-Channels": str(channels),
        "Stylefolder-Bits": str(samples.dtype.itemsize * 8),
    }  # fmt: skip
    return Response(samples.tobytes(), media_type="application/octet-stream", headers=headers)


def errors_in_one_shape(app: FastAPI) -> None:
    """Every error in the one shape."""

    def answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse(error_body(status, message), status, headers=dict(headers or {}))

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, e: StarletteHTTPException) -> JSONResponse:
        if e.status_code == 405:  # Starlette names the methods of the first route of that path only
            return answer(405, str(e.detail), {"Allow": ", ".join(_methods(app, request))})
        return answer(e.status_code, str(e.detail), e.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, e: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in e.errors())
        return answer(422, wrong)

    @app.exception_handler(StylefolderError)
    async def ours(_: Request, e: StylefolderError) -> JSONResponse:
        kinds = (
            (uploads.TooLarge, 413),
            (NoRoom, 507),
            (LedgerError, 503),
            (uploads.WrongLength, 409),
            (PhotoError, 400),
            (PresetError, 404),
            (ResultError, 507),
        )
        return answer(next((status for kind, status in kinds if isinstance(e, kind)), 500), str(e))


def _methods(app: FastAPI, request: Request) -> list[str]:
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def document_security(app: FastAPI) -> None:
    """The guard stands before the application; the OpenAPI document says so."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
        document["security"] = [{SECURITY: []}]
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
