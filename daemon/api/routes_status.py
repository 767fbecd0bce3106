"""Routes about the daemon as a whole: its status, Presets and events; pause and resume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi import Path as InPath
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from daemon.api.auth import Asks, controls
from daemon.api.context import BINARY, Context
from daemon.api.errors import NOT_YOURS
from daemon.api.schema import ErrorOut, PresetOut, PresetsOut, StatusOut, utf8
from daemon.api.status import status
from daemon.api.thumbnails import thumbnail_of
from stylecore.errors import PhotoError
from stylecore.preset import Painting, Preset


def status_routes(context: Context) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/status")
    def get_status(caller: Asks) -> StatusOut:
        """The daemon's state, what it is working on, and what is waiting. A client sees its own Jobs only."""
        return status(context, caller)

    @routes.post("/v1/pause", status_code=204, responses=NOT_YOURS, dependencies=[Depends(controls)])
    def pause() -> None:
        """The running Job is finished; no other is started."""
        with context.ledger() as ledger:
            ledger.queue.pause()

    @routes.post("/v1/resume", status_code=204, responses=NOT_YOURS, dependencies=[Depends(controls)])
    def resume() -> None:
        with context.ledger() as ledger:
            ledger.queue.resume()
        context.loop.wake()

    @routes.get("/v1/events", response_class=EventSourceResponse)
    async def events(
        caller: Asks,
        previews: Annotated[bool, Query(description="Include small pictures of the running Job.")] = False,
    ) -> AsyncIterator[ServerSentEvent]:
        """What happens, as it happens. A reader that falls far behind is dropped."""
        with context.stream.subscribed(previews, reader=context.reader(caller)) as subscriber:
            yield ServerSentEvent(comment="welcome")
            while not subscriber.ended:
                if event := await subscriber.next():
                    yield event

    _preset_routes(routes, context)
    return routes


def _preset_routes(routes: APIRouter, context: Context) -> None:
    @routes.get("/v1/presets")
    def presets(caller: Asks) -> PresetsOut:
        """All presets that can be used, and what is wrong with others."""
        known, errors = context.snapshot.presets, context.snapshot.preset_errors
        names = sorted({*known, *errors})
        if caller.client is not None:  # what is wrong names files
            errors = dict.fromkeys(errors, "Its file on the daemon's machine is broken.")
        return PresetsOut(presets=[_preset_out(name, known.get(name), errors.get(name)) for name in names])

    @routes.get(
        "/v1/presets/{name}/thumbnail",
        response_class=Response,
        responses={
            200: {"description": "A small JPEG of its first style picture.", "content": {"image/jpeg": BINARY}},
            404: {"model": ErrorOut, "description": "There is no such preset, or no thumbnail of its picture."},
        },
    )
    def thumbnail(name: Annotated[str, InPath(min_length=1, max_length=200)]) -> Response:
        """A small picture, to help choose a style."""
        preset = context.snapshot.presets.get(name)
        if preset is None:
            raise HTTPException(404, f"There is no preset {name!r}.")
        if not preset.style:
            raise HTTPException(404, f"The preset {name!r} has a table, and no picture.")
        try:
            return Response(thumbnail_of(preset.style[0].picture), media_type="image/jpeg")
        except PhotoError as e:
            raise HTTPException(404, f"The style picture of {name!r} has no thumbnail. {e}") from e


def _preset_out(name: str, preset: Preset | None, problem: str | None) -> PresetOut:
    return PresetOut(
        name=utf8(name),
        description=preset.description if preset else "",
        transfer=preset.transfer if preset else "painting",
        size=None if preset is None else preset.size if isinstance(preset, Painting) else "full",
        strength=preset.strength if preset else None,
        colour=None if preset is None else preset.colour if isinstance(preset, Painting) else "style",
        problem=problem and utf8(problem),
    )
