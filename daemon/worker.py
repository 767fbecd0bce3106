"""The worker: a process that styles one Photo after another, keeping network and style targets between them.

It speaks over one pipe: an Order in; Chosen, Stepped and then Finished out. A closed pipe means that the daemon is
gone: the worker ends at the next step. Only here is torch imported.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from stylecore.errors import DeviceError, ResultError, StylefolderError, WeightsError
from stylecore.preset import Preset

REPORT_EVERY = 0.1  # seconds between two Stepped


@dataclass(frozen=True)
class Order:
    """Style ``photo``; the Result goes to ``target``, or, where that is None, to the path that ``names`` gives by
    its extension."""

    job: int
    photo: Path
    preset: Preset
    target: Path | None
    names: dict[str, Path]


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
class Finished:
    """``result``, or the ``reason`` why there is none; ``mendable`` where the photo is not to blame for it; ``ends``
    where the worker does not go on. ``curve``: (step, total loss) at intervals."""

    job: int
    result: Path | None = None
    reason: str | None = None
    mendable: bool = False
    ends: bool = False
    notes: tuple[str, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()


def run(pipe: Connection, device: str) -> None:
    """The process's body."""
    for number in (signal.SIGINT, signal.SIGTERM):  # ctrl-C and systemd reach the whole group; the daemon decides
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            finished = _obey(pipe.recv(), device, pipe)
            pipe.send(finished)
            if finished.ends:
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _obey(order: Order, device: str, pipe: Connection) -> Finished:
    try:
        return style(order, device, pipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except (DeviceError, WeightsError, ResultError) as e:
        return Finished(order.job, reason=str(e), mendable=True)
    except StylefolderError as e:
        return Finished(order.job, reason=str(e))
    except Exception as e:  # fails one Job, with its name; a GPU's error may stick to the process, so a new one goes on
        return Finished(order.job, reason=_unexpected(e), ends=True)


def style(order: Order, device: str, pipe: Connection) -> Finished:
    from stylecore.decode import load_photo
    from stylecore.device import choose_device
    from stylecore.result import EXTENSIONS, Result, output_format, save_result
    from stylecore.transfer import stylize, working_sizes

    photo = load_photo(order.photo)
    kind = output_format(photo.format, order.preset.output, order.target)
    chosen = choose_device(device)
    pipe.send(Chosen(order.job, chosen.words, working_sizes(photo.size, order.preset, chosen)[-1]))
    told = 0.0
    curve: list[tuple[int, float]] = []
    for event in stylize(photo, order.preset, chosen):
        if isinstance(event, Result):
            target = order.target or order.names[EXTENSIONS[kind]]
            notes = save_result(event, target, order.preset.output, kind)
            return Finished(order.job, target, notes=(*photo.notes, *notes), curve=tuple(curve))
        if pipe.poll():  # in mid-Job the daemon says nothing: what can be read is the pipe's end
            raise EOFError
        if event.step in (1, event.steps) or event.step % max(1, event.steps // 10) == 0:
            curve.append((event.step, event.losses.total))
        if time.monotonic() - told >= REPORT_EVERY or event.step == event.steps:
            told = time.monotonic()
            pipe.send(Stepped(order.job, event.step, event.steps, event.scale, event.scales, event.losses.total, event.share, event.seconds))
    raise AssertionError("stylize ended without a Result")


def _unexpected(e: Exception) -> str:
    import traceback

    where = traceback.extract_tb(e.__traceback__)[-1]
    if "out of memory" in str(e) or isinstance(e, MemoryError):
        return "The device's memory is not enough for this size: give a smaller `size` in the preset or with --size."
    return f"An unforeseen error, {type(e).__name__}: {e} ({Path(where.filename).name}:{where.lineno}). Please report it."
