"""What happens, as small facts: the Engine and the watcher tell them; the views, the API and its clients read them."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.ledger.job import Job

CurvePoint = tuple[int, int, float, float, float]


@dataclass(frozen=True)
class Note:
    """A sentence for the user; ``warning`` where something wants mending."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Heartbeat:
    """Nothing else was to be told for a while: how many photos are queued, done and failed."""

    queued: int
    done: int
    failed: int


@dataclass(frozen=True)
class JobQueued:
    job: Job


@dataclass(frozen=True)
class JobStarted:
    job: Job


@dataclass(frozen=True)
class JobChosen:
    """The device in words and the (width, height) at which the optimiser will work at last."""

    job: Job
    device: str
    size: tuple[int, int]


@dataclass(frozen=True)
class JobStepped:
    job: Job
    step: int
    steps: int
    scale: int
    scales: int
    loss: float
    share: float  # of the whole work, 0..1
    seconds: float


@dataclass(frozen=True)
class JobPreview:
    """The picture so far, as a small JPEG; only while someone wants to see it."""

    job: Job
    jpeg: bytes


@dataclass(frozen=True)
class JobDone:
    """``notes``: what could not be kept; ``curve``: (step, scale, total, content and style loss), 200 of them at most;
    ``timings``: seconds for reading, optimising, enlarging, writing; ``copied``: from the Result of the same bytes
    under the same recipe."""

    job: Job
    notes: tuple[str, ...]
    curve: tuple[CurvePoint, ...]
    timings: dict[str, float]
    copied: bool = False


@dataclass(frozen=True)
class JobFailed:
    job: Job


@dataclass(frozen=True)
class JobCancelled:
    job: Job


Event = (
    Note | Heartbeat | JobQueued | JobStarted | JobChosen | JobStepped | JobPreview | JobDone | JobFailed | JobCancelled
)
