"""What the Engine and a worker say to each other, over one pipe.

The worker says Ready once. Then, for each Assignment that it gets: Phase, Chosen, Stepped, Preview and Waiting as they
apply, and finally Finished. A closed pipe means that the daemon is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from daemon.events import LossPoint
from daemon.ledger.job import Blame, Order


@dataclass(frozen=True)
class Assignment:
    """Do this Order, and put the Result into a temporary file beside ``result``, its name without an extension: only
    the daemon gives Results their names. ``waits``: on a full disk, wait for space."""

    order: Order
    result: Path
    waits: bool

    def path(self, extension: str) -> Path:
        """What a Result in this format would be called if nothing else had that name."""
        return self.order.target or self.result.with_name(self.result.name + extension)


@dataclass(frozen=True)
class Ready:
    """The modules that take seconds to import are loaded. ``gpus``: the names of this machine's CUDA devices."""

    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Phase:
    """The worker is about to be silent, for ``seconds`` at most on a slow machine."""

    job: int
    name: Literal["reading", "preparing", "finishing", "writing"]
    seconds: float


@dataclass(frozen=True)
class Chosen:
    """The device in words and the (width, height) of a painting's finest scale. Once for each Job. ``seconds`` and
    ``memory`` (bytes): estimates of what it takes, if that may be more than a minute."""

    job: int
    device: str
    size: tuple[int, int] | None
    seconds: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Stepped:
    """As in ``events.JobStepped``."""

    job: int
    step: int
    steps: int
    scale: int
    scales: int
    loss: float
    share: float
    seconds: float


@dataclass(frozen=True)
class Preview:
    """The picture so far."""

    job: int
    jpeg: bytes


@dataclass(frozen=True)
class Waiting:
    """The Result is finished but cannot be written yet, for this reason."""

    job: int
    reason: str


@dataclass(frozen=True)
class Finished:
    """How a Job ended.

    ``outcome``: done; failed; cancelled, by a person or because the photo changed; again, because the worker or its
    device failed. A Result is in the temporary file ``part``, has this ``extension`` and sha256 ``digest``.
    ``counts``: whether an ``again`` is one of the Job's attempts.
    ``ends``: this worker process takes no other Job. ``table``: of a Look, as `stylecore.lut.to_bytes` gives it, if it
    is to be kept. ``curve``, ``timings``, ``copied``: as in ``events.JobDone``.
    """

    job: int
    outcome: Literal["done", "failed", "cancelled", "again"]
    part: Path | None = None
    extension: str = ""
    digest: str = ""
    reason: str | None = None
    blame: Blame = "photo"
    counts: bool = True
    ends: bool = False
    device_lost: bool = False
    notes: tuple[str, ...] = ()
    curve: tuple[LossPoint, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    copied: bool = False
    table: bytes | None = None


Message = Ready | Phase | Chosen | Stepped | Preview | Waiting | Finished


@dataclass(frozen=True)
class Controls:
    """Shared memory, so that a request reaches the worker before its next step: the Job to leave, and whether someone
    wants previews. ``ctypes`` values of ``multiprocessing``."""

    cancelled: Any
    previews: Any
