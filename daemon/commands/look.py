"""``stylefolder look``: the look of a picture, or of a table, on photos, without a preset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.commands.apply import apply_here, place_for
from daemon.engine.tables import NOT_WRITTEN
from daemon.errors import UsageError
from daemon.events import Event, JobCancelled, JobDone, JobFailed, Listener
from daemon.paths import printable
from stylecore.preset_file import look_like
from stylecore.recipe import MAX_PICTURES


@dataclass(frozen=True)
class Request:
    """``like``: pictures whose look is wanted, or ``lut``: a table's file. ``cube``, ``hald``: where to write the
    table. ``series``: one table for all photos."""

    like: tuple[Path, ...]
    lut: Path | None
    cube: Path | None
    hald: Path | None
    strength: float
    series: bool


def look(photos: Sequence[Path], request: Request, out: Path | None, device: str, show: Listener) -> int:
    """Returns how many failed. Raises UsageError, PresetError, LutError."""
    tables = _tables(photos, request, out)
    preset = look_like(request.like, request.lut, strength=request.strength, series=request.series, tables=tables)
    failed = 0

    def hear(event: Event) -> None:
        nonlocal failed
        failed += isinstance(event, (JobFailed, JobCancelled))
        failed += isinstance(event, JobDone) and any(note.startswith(NOT_WRITTEN) for note in event.notes)
        show(event)

    absolute = list(dict.fromkeys(photo.absolute() for photo in photos))
    place = place_for(photos, out)
    apply_here(absolute, preset, place.result_path, device, hear, place.file)
    return failed


def _tables(photos: Sequence[Path], request: Request, out: Path | None) -> tuple[Path, ...]:
    if len(request.like) > MAX_PICTURES:
        raise UsageError(f"There are {len(request.like)} pictures with --like: name {MAX_PICTURES} at most.")
    if request.series and request.lut is not None:
        raise UsageError("--lut is one table for all photos already: leave out --series.")
    if bool(request.like) == (request.lut is not None):
        raise UsageError("Name either a picture with --like or a table with --lut.")
    wanted = {path: suffix for path, suffix in ((request.cube, ".cube"), (request.hald, ".png")) if path is not None}
    if wanted and request.like and len(photos) > 1 and not request.series:
        raise UsageError("Each photo has a table of its own: add --series to fit one table to all of them.")
    for path, suffix in wanted.items():
        if path.suffix.lower() != suffix:
            raise UsageError(f"{printable(path.name)}: give this file a name that ends in {suffix}.")
        sources = [*photos, *request.like, *([request.lut] if request.lut else [])]
        if os.path.exists(path) and any(os.path.exists(source) and path.samefile(source) for source in sources):
            raise UsageError(f"{printable(path)} is one of your own pictures or tables: give another name.")
        if os.path.isdir(path) or not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            raise UsageError(f"{printable(path)} cannot be written: give another name, or check the folder.")
        if out is not None and path.absolute() == out.absolute():
            raise UsageError(f"{printable(path)} is where the Result goes: give the table another name.")
    return tuple(wanted)
