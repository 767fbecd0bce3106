"""Routes for recipes that a client brings: a Preset of its own, with its pictures, for Jobs under it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field, ValidationError

from daemon.api import uploads
from daemon.api.context import Context
from daemon.api.errors import NO_JSON
from daemon.api.schema import ErrorOut
from daemon.paths import shortened
from stylecore.images.formats import PICTURE_SUFFIXES
from stylecore.preset import Look, Preset, files_of, preset_of_json, with_files

FILE = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,5})")
SUFFIXES = {*PICTURE_SUFFIXES, ".cube"}
PACKAGED = ("oxford", "torchvision")
LARGEST_RECIPE = 100_000  # characters
FileName = Annotated[str, InPath(pattern=f"^{FILE.pattern}$", description="The sha256 of its bytes, and its suffix.")]


class RecipeIn(BaseModel):
    preset: str = Field(
        min_length=2,
        max_length=LARGEST_RECIPE,
        description="A Preset as JSON. Each of its files is its sha256 and suffix.",
    )


class RecipeOut(BaseModel):
    """``recipe``: for ``POST /v1/jobs``, once no file is ``missing``: put those, and ask again."""

    recipe: str | None
    missing: list[str]


def recipe_routes(context: Context) -> APIRouter:
    routes = APIRouter()
    store = context.layout.style_store

    @routes.put(
        "/v1/files/{name}",
        status_code=204,
        responses={
            409: {"model": ErrorOut, "description": "The bytes are others."},
            413: {"model": ErrorOut, "description": "The file is larger than the settings allow."},
            507: {"model": ErrorOut, "description": "The disk is full, or the daemon keeps too much already."},
        },
    )
    async def put_file(name: FileName, request: Request) -> None:
        """A style picture or a table."""
        if Path(name).suffix not in SUFFIXES:
            raise HTTPException(409, f"{name}: a preset has no such file.")
        limit = context.snapshot.settings.upload_limit << 20
        await to_thread.run_sync(context.make_room)
        body: AsyncIterator[bytes] = request.stream()
        path, digest = await uploads.receive(context.layout.uploads, name, body, None, limit)
        if digest != Path(name).stem:
            uploads.forget(path)
            raise HTTPException(409, f"The bytes have the sha256 {digest}: the file was changed or cut off.")
        await to_thread.run_sync(_put, path, store / name)

    @routes.post(
        "/v1/recipes",
        responses={
            **NO_JSON,
            409: {"model": ErrorOut, "description": "The Preset cannot be used from another machine."},
        },
    )
    def keep(wish: RecipeIn) -> RecipeOut:
        """Keep a Preset that is the client's own."""
        preset = _checked(wish.preset)
        missing = sorted({file.name for file in files_of(preset) if not (store / file.name).exists()})
        if missing:
            return RecipeOut(recipe=None, missing=missing)
        with context.ledger() as ledger:
            digest = ledger.queue.keep(with_files(preset, lambda file: store / file.name))
        return RecipeOut(recipe=digest, missing=[])

    return routes


def _put(path: Path, there: Path) -> None:
    there.parent.mkdir(parents=True, exist_ok=True)
    path.replace(there)
    uploads.forget(path)


def _checked(text: str) -> Preset:
    """Raises HTTPException."""
    try:
        preset = preset_of_json(text)
    except (ValidationError, ValueError, KeyError, AttributeError, RecursionError) as e:
        raise HTTPException(409, "The preset cannot be read: install the same version of Stylefolder on both.") from e
    wrong = [file for file in files_of(preset) if not FILE.fullmatch(str(file)) or file.suffix not in SUFFIXES]
    if wrong:
        raise HTTPException(409, f"{wrong[0]} is not the sha256 of a picture or a table.")
    if preset.weights not in PACKAGED:
        raise HTTPException(
            409,
            f"The preset {preset.name!r} has weights of its own, which do not travel: leave out `weights`, or add "
            "--or-here to use the machine that has them.",
        )
    if isinstance(preset, Look) and (preset.fit == "series" or preset.tables):
        raise HTTPException(
            409,
            f"The look {preset.name!r} is fitted to a series or writes a table, and does not travel: use it on the "
            "machine with the photos.",
        )
    return preset.model_copy(update={"name": uploads.plain_name(shortened(preset.name, 100))})
