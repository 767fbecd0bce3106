"""The worker: a process that styles one Photo after another, keeping network and style targets between them.

It speaks over one pipe: Ready once; then an Order in; Chosen, Stepped and then Finished out. A closed pipe means that
the daemon is gone: the worker ends at the next step. Only here is torch imported.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from daemon.events import CurvePoint
from stylecore.errors import DeviceError, NoRoom, PhotoError, PhotoGone, ResultError, StylefolderError, WeightsError
from stylecore.preset import Preset

if TYPE_CHECKING:
    from daemon.ledger.job import Signature
    from stylecore.transfer import Progress

REPORT_EVERY = 0.1  # seconds between two Stepped
PREVIEW_EVERY = 1.0
CURVE_POINTS = 200
PREVIEW_EDGE = 384
SPIN = (
    "3000"  # turns for which an OpenMP thread waits awake; by default so many that a busy machine slows it down tenfold
)
ROOM_EVERY = 2.0  # seconds between two tries where the disk is full


@dataclass(frozen=True)
class Order:
    """Style ``photo``, which had this ``signature``; the Result goes to ``target``, whatever is there, or, where that is
    None, to the path that ``names`` gives by its extension: in the place of what is there now, and of nothing that comes
    meanwhile. ``waits``: for room, where the disk is full."""

    job: int
    photo: Path
    signature: Signature
    preset: Preset
    target: Path | None
    names: dict[str, Path]
    waits: bool


@dataclass(frozen=True)
class Ready:
    """What takes seconds to import is there."""


@dataclass(frozen=True)
class Chosen:
    """The device that was chosen, in words, and the size of the finest scale. Sent once for each Job."""

    job: int
    device: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Stepped:
    job: int
    step: int
    steps: int
    scale: int
    scales: int
    loss: float
    share: float  # of the whole work, 0..1
    seconds: float


@dataclass(frozen=True)
class Preview:
    job: int
    jpeg: bytes


@dataclass(frozen=True)
class Waiting:
    """The Result is finished and cannot be written yet, for this reason."""

    job: int
    reason: str


@dataclass(frozen=True)
class Finished:
    """``result`` and the sha256 of its bytes, or the ``reason`` why there is none. ``outcome`` cancelled: by someone, or
    for the photo is gone or another one now; again: the worker, or its device, died of it. ``mendable`` where the photo is not
    to blame for a failure; ``ends`` where the worker does not go on. ``curve``, ``timings``: as in JobDone."""

    job: int
    outcome: Literal["done", "failed", "cancelled", "again"]
    result: Path | None = None
    digest: str | None = None
    reason: str | None = None
    mendable: bool = False
    ends: bool = False
    device_lost: bool = False
    notes: tuple[str, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    copied: bool = False


Message = Ready | Chosen | Stepped | Preview | Waiting | Finished


@dataclass(frozen=True)
class Controls:
    """Shared memory, so that a wish reaches the worker before its next step: the Job not to go on with, and whether
    someone wants previews. ``ctypes`` values of ``multiprocessing``."""

    cancelled: Any
    previews: Any


class Cancelled(Exception):
    """Someone cancelled this Job."""


def run(pipe: Connection, device: str, controls: Controls) -> None:
    """The process's body."""
    for number in (signal.SIGINT, signal.SIGTERM):  # ctrl-C and systemd reach the whole group; the daemon decides
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # before torch, which reads it once
    try:
        import stylecore.transfer  # noqa: F401

        pipe.send(Ready())
        while True:
            finished = _obey(pipe.recv(), device, pipe, controls)
            pipe.send(finished)
            if finished.ends:
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _obey(order: Order, device: str, pipe: Connection, controls: Controls) -> Finished:
    import torch

    try:
        return style(order, device, pipe, controls)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Cancelled:
        return Finished(order.job, "cancelled")
    except PhotoGone as e:
        if os.path.lexists(order.photo):  # a style picture, then
            return Finished(
                order.job, "failed", reason=f"{e} Touch the photo: then it is styled by the preset as it is now."
            )
        return Finished(order.job, "cancelled", reason="The photo was taken away before its turn.")
    except (DeviceError, WeightsError, ResultError) as e:
        return Finished(order.job, "failed", reason=str(e), mendable=True)
    except StylefolderError as e:
        return Finished(order.job, "failed", reason=str(e))
    except torch.AcceleratorError as e:  # it sticks to the process
        reason = f"The GPU failed ({str(e).splitlines()[0]})"
        return Finished(order.job, "again", reason=reason, mendable=True, ends=True, device_lost=True)
    except Exception as e:  # fails one Job, with its name; it may stick to the process, so a new one goes on
        return Finished(order.job, "failed", reason=_unexpected(e), ends=True)


def style(order: Order, device: str, pipe: Connection, controls: Controls) -> Finished:
    from daemon.folders.completeness import look
    from stylecore.device import choose_device
    from stylecore.images.decode import load_photo
    from stylecore.images.encode import EXTENSIONS, LARGEST_EDGE, Result, encode, output_format
    from stylecore.transfer import stylize, working_sizes

    clock = time.monotonic()
    photo = load_photo(order.photo)
    timings = {"read": time.monotonic() - clock, "optimise": 0.0}
    try:
        if look(order.photo) != order.signature:
            return Finished(order.job, "cancelled", reason="It was changed before its turn: it is looked at anew.")
    except FileNotFoundError as e:
        raise PhotoGone(str(order.photo)) from e
    kind = output_format(photo.format, order.preset.output, order.target)
    if (edge := max(photo.size)) > LARGEST_EDGE.get(kind, edge):  # before hours of work, and for good
        raise PhotoError(
            f"{kind} holds {LARGEST_EDGE[kind]} pixels a side, and the photo has {edge}: choose tiff or png in the preset's output."
        )
    replaced = {path for path in order.names.values() if os.path.lexists(path)}
    chosen = choose_device(device)
    pipe.send(Chosen(order.job, chosen.words, working_sizes(photo.size, order.preset, chosen)[-1]))
    told = shown = 0.0
    curve: list[CurvePoint] = []
    for event in stylize(photo, order.preset, chosen):
        _go_on(order, pipe, controls)
        if isinstance(event, Result):
            timings["enlarge"], clock = event.seconds - timings["optimise"], time.monotonic()
            target = order.target or order.names[EXTENSIONS[kind]]
            data, notes = encode(event, kind, order.preset.output.quality)
            target = _save(data, target, target in replaced or order.target is not None, order, pipe, controls)
            digest = hashlib.sha256(data).hexdigest()
            timings["write"] = time.monotonic() - clock
            return Finished(
                order.job, "done", target, digest, notes=(*photo.notes, *notes), curve=tuple(curve), timings=timings
            )
        timings["optimise"] = event.seconds
        if event.step == event.steps or event.step % -(-event.steps // CURVE_POINTS) == 0:
            curve.append((event.step, event.scale, event.losses.total, event.losses.content, event.losses.style))
        now = time.monotonic()
        if now - told >= REPORT_EVERY or event.step == event.steps:
            told = now
            pipe.send(
                Stepped(
                    order.job,
                    event.step,
                    event.steps,
                    event.scale,
                    event.scales,
                    event.losses.total,
                    event.share,
                    event.seconds,
                )
            )
        if controls.previews.value and now - shown >= PREVIEW_EVERY:
            shown = now
            pipe.send(Preview(order.job, _jpeg(event)))
    raise AssertionError("stylize ended without a Result")


def _go_on(order: Order, pipe: Connection, controls: Controls) -> None:
    if pipe.poll():  # in mid-Job the daemon says nothing: what can be read is the pipe's end
        raise EOFError
    if controls.cancelled.value == order.job:
        raise Cancelled


def _save(data: bytes, target: Path, replace: bool, order: Order, pipe: Connection, controls: Controls) -> Path:
    """Returns the path at last. Where the disk is full, the finished Result is kept in memory until there is room: it cost
    minutes."""
    from daemon import paths
    from stylecore.images.atomic_write import Taken, write_whole

    while True:
        try:
            write_whole(target, data, replace=replace)
            return target
        except Taken:
            target = paths.free(target, os.path.lexists)
        except NoRoom as e:
            if not order.waits:  # someone is there who can be told
                raise
            pipe.send(Waiting(order.job, f"{e} It goes on by itself when there is."))
            until = time.monotonic() + ROOM_EVERY
            while time.monotonic() < until:
                _go_on(order, pipe, controls)
                time.sleep(0.05)


def _jpeg(progress: Progress) -> bytes:
    import io

    from PIL import Image

    image = Image.fromarray((progress.preview() * 255).round().astype("uint8"))
    image.thumbnail((PREVIEW_EDGE, PREVIEW_EDGE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _unexpected(e: Exception) -> str:
    import traceback

    where = traceback.extract_tb(e.__traceback__)[-1]
    if "out of memory" in str(e) or "can't allocate memory" in str(e) or isinstance(e, MemoryError):
        return "The device's memory is not enough for this size: give a smaller `size` in the preset or with --size."
    return (
        f"An unforeseen error, {type(e).__name__}: {e} ({Path(where.filename).name}:{where.lineno}). Please report it."
    )
