"""Errors in one shape, and in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import BaseRoute, Match, Route

from daemon.api.schema import ErrorOut, error_out
from daemon.api.without_paths import words_without_paths
from daemon.errors import LedgerError, UploadLength, UploadTooLarge
from stylecore.errors import NoRoom, PhotoError, PresetError, ResultError, StylefolderError
from stylecore.yamlfile import words_of

SECURITY = "bearer"
Responses = dict[int | str, dict[str, Any]]

ANY_ROUTE: Responses = {
    403: {"model": ErrorOut, "description": "The token is missing or wrong, or the Host or Origin is foreign."},
    422: {"model": ErrorOut, "description": "A parameter is wrong."},
    500: {"model": ErrorOut, "description": "An unexpected error."},
    503: {"model": ErrorOut, "description": "The Ledger cannot be used at the moment."},
}
NO_JOB: Responses = {404: {"model": ErrorOut, "description": "There is no such Job, or no Result."}}
NOT_YOURS: Responses = {403: {"model": ErrorOut, "description": "Only for the user, or a client paired with --full."}}
NO_JSON: Responses = {400: {"model": ErrorOut, "description": "The body is not JSON in UTF-8."}}
NOT_AT_HOME: Responses = {403: {"model": ErrorOut, "description": "Only for the user at the daemon's machine."}}
WRONG_STATE: Responses = {409: {"model": ErrorOut, "description": "The Job's state does not allow it."}}

STATUSES = (
    (UploadTooLarge, 413),
    (UploadLength, 409),
    (NoRoom, 507),
    (LedgerError, 503),
    (PhotoError, 400),
    (PresetError, 404),
    (ResultError, 507),
)


def errors_in_one_shape(app: FastAPI, routes: Sequence[BaseRoute], root: Path) -> None:
    """``root``: where the daemon's files are, which only the user at its machine learns."""

    def answer(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        caller = getattr(request.state, "caller", None)
        if caller is None or caller.client is not None:
            message = words_without_paths(message, root / "any")
        return JSONResponse(error_out(status, message), status, headers=dict(headers or {}))

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, e: StarletteHTTPException) -> JSONResponse:
        if e.status_code == 405:  # Starlette names only the methods of the path's first route
            return answer(request, 405, str(e.detail), {"Allow": ", ".join(_methods(routes, request))})
        return answer(request, e.status_code, str(e.detail), e.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, e: RequestValidationError) -> JSONResponse:
        wrong = {str(error["loc"][1]) if error["loc"][1:] else "request": error for error in reversed(e.errors())}
        return answer(request, 422, " ".join(f"{name}: {words_of(error)}" for name, error in sorted(wrong.items())))

    @app.exception_handler(StylefolderError)
    async def ours(request: Request, e: StylefolderError) -> JSONResponse:
        return answer(request, next((status for kind, status in STATUSES if isinstance(e, kind)), 500), str(e))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, e: Exception) -> JSONResponse:
        return answer(request, 500, f"Unexpected error, {type(e).__name__}: {e}. Report it as a bug.")


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def document_security(app: FastAPI) -> None:
    """``Auth`` stands in front of the application; the OpenAPI document says so."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
        document["security"] = [{SECURITY: []}]
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
