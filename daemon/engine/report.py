"""What the worker and the daemon tell each other during a Job: its progress, how long a phase may take, and that
someone cancelled it."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from daemon.engine.messages import Controls, Phase, Preview, Stepped

if TYPE_CHECKING:
    from stylecore.progress import Progress

REPORT_EVERY = 0.1  # seconds between two Stepped
PREVIEW_EVERY = 1.0
PREVIEW_EDGE = 384

# How long each phase may take on a slow machine. A shorter limit would kill work that is still going on.
SHORTEST = 300.0  # seconds
READ_RATE = 200_000  # bytes a second
DECODE = 300.0  # seconds for a photo of a series, whose size nobody has looked at
DOWNLOAD = 3 * 3600.0  # seconds for 548 MB of weights
ENLARGE, ENCODE = 20.0, 60.0  # seconds a megapixel; AVIF is the slowest encoder


class Cancelled(Exception):
    """Someone cancelled this Job."""


@dataclass(frozen=True)
class Daemon:
    """The daemon as the worker sees it: a pipe to it, and the memory that both share."""

    pipe: Connection
    controls: Controls

    def check(self, job: int) -> None:
        """Raises EOFError if the daemon is gone, and Cancelled."""
        if self.pipe.poll():  # during a Job the daemon says nothing: all there is to read is the pipe's end
            raise EOFError
        if self.controls.cancelled.value == job:
            raise Cancelled


class Report:
    """Tells the daemon about Progress, but not about every step."""

    def __init__(self, daemon: Daemon, job: int, last_steps: tuple[int, ...], megapixels: float) -> None:
        self.daemon = daemon
        self.job = job
        self.last_steps = last_steps  # of each scale
        self.megapixels = megapixels
        self._reported = self._shown = 0.0

    def progress(self, event: Progress) -> None:
        pipe, now = self.daemon.pipe, time.monotonic()
        if now - self._reported >= REPORT_EVERY or event.step == event.steps:
            self._reported = now
            loss = event.losses.total
            pipe.send(
                Stepped(self.job, event.step, event.steps, event.scale, event.scales, loss, event.share, event.seconds)
            )
        if self.daemon.controls.previews.value and now - self._shown >= PREVIEW_EVERY:
            self._shown = now
            pipe.send(Preview(self.job, _jpeg(event)))
        if event.step == event.steps:
            pipe.send(Phase(self.job, "finishing", SHORTEST + ENLARGE * self.megapixels))
        elif event.step in self.last_steps:
            pipe.send(Phase(self.job, "preparing", SHORTEST))


def megapixels(size: tuple[int, int]) -> float:
    width, height = size
    return width * height / 1e6


def _jpeg(progress: Progress) -> bytes:

    from PIL import Image

    image = Image.fromarray((progress.preview() * 255).round().astype("uint8"))
    image.thumbnail((PREVIEW_EDGE, PREVIEW_EDGE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
