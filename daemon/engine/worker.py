"""The worker: a process that styles one Photo after another and keeps the network and style targets between them.

In the daemon, torch is imported only here.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.engine.messages import Assignment, Chosen, Controls, Finished, Phase, Ready, Waiting
from daemon.engine.report import (
    DECODE,
    DOWNLOAD,
    ENCODE,
    READ_RATE,
    SHORTEST,
    Cancelled,
    Daemon,
    Report,
    megapixels,
)
from daemon.engine.tables import wants_table
from daemon.events import LossPoint
from daemon.ledger.job import Order
from daemon.ledger.signature import look, same
from daemon.lifetime import die_with_parent, stop_signals
from stylecore.errors import (
    DeviceError,
    EncodeError,
    NoRoom,
    PhotoError,
    PhotoGone,
    ResultError,
    StylefolderError,
    WeightsError,
)
from stylecore.images.formats import EXTENSIONS, LARGEST_EDGE
from stylecore.preset import Look, Painting, Preset

if TYPE_CHECKING:
    from stylecore.colour import Floats
    from stylecore.device import Device
    from stylecore.images.photo import Photo

CURVE_POINTS = 200
SPIN = "3000"  # iterations that a waiting OpenMP thread spins; the default slows a busy machine down tenfold
ROOM_EVERY = 2.0  # seconds between two tries on a full disk


def run(pipe: Connection, device: str, sharers: int, controls: Controls) -> None:
    """The body of the process. ``sharers``: how many Slots are on this device."""
    for number in stop_signals():  # ctrl-C and systemd reach the whole group; the daemon decides
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # before torch, which reads it once
    daemon = Daemon(pipe, controls)
    try:
        import torch

        import stylecore.transfer  # noqa: F401
        from stylecore.device import all_gpus
        from stylecore.memory import reuse_memory, trim_memory

        reuse_memory()
        torch.set_num_threads(max(1, torch.get_num_threads() // sharers))
        pipe.send(Ready(tuple(all_gpus())))
        while True:
            finished = do(pipe.recv(), device, daemon, sharers)
            _send_finished(daemon, finished)
            if finished.ends:
                return
            trim_memory()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def do(assignment: Assignment, device: str, daemon: Daemon, sharers: int = 1) -> Finished:
    """Style the photo. Every error but the daemon's end becomes an outcome."""
    import torch

    order = assignment.order
    try:
        return _style(assignment, device, daemon, sharers)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Cancelled:
        return Finished(order.job, "cancelled")
    except PhotoGone as e:
        if os.path.lexists(order.photo):  # then it is a style picture that is gone
            reason = f"{e} Touch the photo to style it with the preset as it is now."
            return Finished(order.job, "failed", reason=reason)
        return Finished(order.job, "cancelled", reason="The photo was removed before its turn.")
    except EncodeError as e:
        return Finished(order.job, "failed", reason=str(e))
    except (DeviceError, WeightsError, ResultError) as e:
        return Finished(order.job, "failed", reason=str(e), blame="system")
    except StylefolderError as e:
        return Finished(order.job, "failed", reason=str(e))
    except torch.AcceleratorError as e:  # the process cannot use the device any more
        reason = f"The GPU failed ({str(e).splitlines()[0]})"
        return Finished(order.job, "again", reason=reason, blame="system", ends=True, device_lost=True)
    except Exception as e:  # fails one Job by name; a new process takes the next, in case this one is damaged
        return Finished(order.job, "failed", reason=_unexpected(e), ends=True)


def _style(assignment: Assignment, device: str, daemon: Daemon, sharers: int) -> Finished:
    from stylecore.device import choose_device
    from stylecore.images.encode import Result
    from stylecore.lut import from_bytes
    from stylecore.transfer import stylize

    order, recipe = assignment.order, assignment.order.recipe
    clock = time.monotonic()
    photo = _read(assignment, daemon)
    if photo is None:
        reason = "The photo changed before its turn, and will be checked again."
        return Finished(order.job, "cancelled", reason=reason)
    timings = {"read": time.monotonic() - clock, "optimise": 0.0}
    kind = _output_kind(assignment, photo)
    chosen = choose_device(device, sharers)
    series = _series(order, daemon)
    size, steps = _work(photo, recipe, chosen)
    needs = _needs(photo, recipe, chosen)
    daemon.pipe.send(Chosen(order.job, chosen.words, size, *needs))
    allowed = DOWNLOAD if recipe.weights == "torchvision" else SHORTEST
    daemon.pipe.send(Phase(order.job, "preparing", allowed))
    curve: list[LossPoint] = []
    report = Report(
        daemon, order.job, tuple(itertools.accumulate(steps)), megapixels(recipe.output.size_of(photo.size))
    )
    table = None if order.table is None else from_bytes(order.table)
    for event in stylize(photo, recipe, chosen, table, series):
        daemon.check(order.job)
        if isinstance(event, Result):
            timings["enlarge"] = event.seconds - timings["optimise"]
            return _write(assignment, daemon, event, kind, tuple(curve), timings)
        timings["optimise"] = event.seconds
        if event.step == event.steps or event.step % -(-event.steps // CURVE_POINTS) == 0:
            losses = event.losses
            curve.append(LossPoint(event.step, event.scale, losses.total, losses.content, losses.style))
        report.progress(event)
    raise AssertionError("stylize ended without a Result")


def _read(assignment: Assignment, daemon: Daemon) -> Photo | None:
    """None if it is no longer the photo that was queued."""
    from stylecore.images.decode import load_photo

    order = assignment.order
    allowed = SHORTEST + order.signature.size / READ_RATE
    daemon.pipe.send(Phase(order.job, "reading", allowed))
    photo = load_photo(order.photo)
    try:
        return photo if same(look(order.photo), order.signature) else None
    except FileNotFoundError as e:
        raise PhotoGone(str(order.photo)) from e


def _work(photo: Photo, recipe: Preset, device: Device) -> tuple[tuple[int, int] | None, tuple[int, ...]]:
    """The (width, height) of a painting's finest scale, and the steps at each scale."""
    from stylecore import look
    from stylecore.scales import scales_of

    if isinstance(recipe, Painting):
        scales = scales_of(photo.size, recipe, device)
        return scales[-1].size, tuple(scale.steps for scale in scales)
    return None, (look.STEPS,)


def _needs(photo: Photo, recipe: Preset, device: Device) -> tuple[float, int] | tuple[None, None]:
    """Seconds, and bytes of memory, of a long painting."""
    from stylecore.estimate import estimate

    expected = None
    if isinstance(recipe, Painting):
        expected = estimate(photo.size, recipe, device, photo.pixels.itemsize)
    return (None, None) if expected is None else (expected.seconds, expected.memory)


def _series(order: Order, daemon: Daemon) -> list[Floats]:
    """The photos of the Order's series, as its fit sees them. Those that only wait may be damaged: their own Jobs will
    say so. Raises PhotoError for one that the Preset names."""
    from stylecore.images.decode import load_photo
    from stylecore.look import PIXELS_OF_SEVERAL, small

    named = order.recipe.photos if isinstance(order.recipe, Look) else ()
    pictures = []
    for photo in order.series:
        daemon.check(order.job)
        daemon.pipe.send(Phase(order.job, "reading", SHORTEST + DECODE))
        with contextlib.nullcontext() if photo in named else contextlib.suppress(PhotoError):
            pictures.append(small(load_photo(photo), PIXELS_OF_SEVERAL))
    return pictures


def _output_kind(assignment: Assignment, photo: Photo) -> str:
    """The Result's format. Raises PhotoError, before hours of work, if it cannot hold so many pixels."""
    from stylecore.images.encode import output_format

    kind = output_format(photo.format, assignment.order.recipe.output, assignment.order.target)
    if (edge := max(assignment.order.recipe.output.size_of(photo.size))) > LARGEST_EDGE.get(kind, edge):
        raise PhotoError(
            f"{kind} can hold {LARGEST_EDGE[kind]} pixels per side, but the Result has {edge}: "
            "choose tiff or png as the preset's output format."
        )
    return kind


def _write(
    assignment: Assignment,
    daemon: Daemon,
    result: object,
    kind: str,
    curve: tuple[LossPoint, ...],
    timings: dict[str, float],
) -> Finished:
    """Write the Result to a temporary file."""
    from stylecore.images.encode import Result, encode
    from stylecore.lut import to_bytes

    assert isinstance(result, Result)
    order, clock = assignment.order, time.monotonic()
    daemon.pipe.send(Phase(order.job, "writing", SHORTEST + ENCODE * megapixels(result.size)))
    data, notes = encode(result, kind, order.recipe.output.quality)
    part = _write_when_there_is_room(assignment.path(EXTENSIONS[kind]), data, assignment, daemon)
    timings["write"] = time.monotonic() - clock
    return Finished(
        order.job,
        "done",
        part,
        EXTENSIONS[kind],
        hashlib.sha256(data).hexdigest(),
        notes=(*result.photo.notes, *notes),
        curve=curve,
        timings=timings,
        table=to_bytes(result.table) if result.table and (order.series or wants_table(order.recipe)) else None,
    )


def _write_when_there_is_room(path: Path, data: bytes, assignment: Assignment, daemon: Daemon) -> Path:
    """On a full disk, keep the finished Result in memory until there is space: it took minutes."""
    from stylecore.images.atomic_write import write_part

    job = assignment.order.job
    while True:
        try:
            return write_part(path, data)
        except NoRoom as e:
            if not assignment.waits:  # someone is there to be told
                raise
            daemon.pipe.send(Waiting(job, f"{e} The Result is written as soon as there is space."))
            until = time.monotonic() + ROOM_EVERY
            while time.monotonic() < until:
                daemon.check(job)
                time.sleep(0.05)


def _send_finished(daemon: Daemon, finished: Finished) -> None:
    try:
        daemon.pipe.send(finished)
    except OSError:  # the daemon is gone, and nobody else may give the Result its name
        if finished.part is not None:
            finished.part.unlink(missing_ok=True)
        raise


def _unexpected(e: Exception) -> str:
    import traceback

    from stylecore.memory import is_out_of_memory

    if isinstance(e, MemoryError) or (isinstance(e, RuntimeError) and is_out_of_memory(e)):
        remedy = "choose a smaller `size` in the preset or with --size, or a smaller photo."
        return f"The device has too little memory for this size: {remedy}"
    where = traceback.extract_tb(e.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return f"Unexpected error, {type(e).__name__}: {e} ({place}). Report it as a bug."
