"""What happens, as small facts. The Engine and the watcher announce them; views, the API and its clients read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from daemon.ledger.job import Job


class LossPoint(NamedTuple):
    """The weighted losses after a step."""

    step: int
    scale: int
    total: float
    content: float
    style: float


@dataclass(frozen=True)
class Note:
    """A sentence for the user. ``warning``: something needs attention."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Heartbeat:
    """Nothing else happened for a while. How many photos are queued, done and failed."""

    queued: int
    done: int
    failed: int


@dataclass(frozen=True)
class JobQueued:
    job: Job


@dataclass(frozen=True)
class JobStarted:
    """``left``: estimated seconds to the end, from earlier Jobs like this one; None if there were none."""

    job: Job
    left: float | None = None


@dataclass(frozen=True)
class JobChosen:
    """The device in words, and the (width, height) of a painting's finest scale. ``left``: as of JobStarted, or as the
    worker estimates it. ``memory``: that the Job will need at its peak, in bytes, if it is a long one."""

    job: Job
    device: str
    size: tuple[int, int] | None
    left: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class JobStepped:
    """``share``: of all the work, 0 to 1. ``seconds``: since the start. ``left``: estimated seconds to the end, if
    known."""

    job: Job
    step: int
    steps: int
    scale: int
    scales: int
    loss: float
    share: float
    seconds: float
    left: float | None


@dataclass(frozen=True)
class JobPreview:
    """The picture so far, as a small JPEG. Only while someone wants to see it."""

    job: Job
    jpeg: bytes


@dataclass(frozen=True)
class JobDone:
    """``notes``: what could not be kept. ``curve``: the losses, 200 points at most. ``timings``: seconds for reading,
    optimising, enlarging and writing. ``copied``: the Result was copied from one of the same bytes and recipe."""

    job: Job
    notes: tuple[str, ...]
    curve: tuple[LossPoint, ...]
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
"""Everything but Note and Heartbeat is about one ``job``."""

Listener = Callable[[Event], None]

ENDS = tuple(kind.__name__ for kind in (JobDone, JobFailed, JobCancelled))
"""The names of the events after which nothing more happens to a Job."""
