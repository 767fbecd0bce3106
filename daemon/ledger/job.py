"""A Job as everyone sees it, and an Order as the worker needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from daemon.ledger.signature import Signature
from stylecore.preset import Preset

State = Literal["waiting", "queued", "running", "cancelling", "done", "failed", "cancelled"]
Source = Literal["folder", "command", "upload"]
Original = Literal["keep", "move", "trash"]
Blame = Literal["photo", "preset", "system", "kind"]
"""What must change before a failed Job is worth another try: the photo itself; the Preset, which is missing or broken;
the system (no device, weights or room), which may be fine at the next start; or nothing can, because the file is of a
kind that is never styled (a symbolic link, a FIFO)."""

FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Job:
    """One Photo under one Preset. Times are Unix seconds."""

    id: int
    source: Source
    photo: Path
    preset: str
    state: State
    attempts: int
    reason: str | None
    result: Path | None
    queued_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        return None if self.started_at is None or self.finished_at is None else self.finished_at - self.started_at


@dataclass(frozen=True)
class Order:
    """What a worker needs to do a Job. ``signature``: the photo must still have it when its turn comes. ``target``:
    the Result's file if someone named one; it replaces whatever is there. For a Look with ``fit: series``, its
    ``table``, or else the photos of the ``series`` to which it is fitted."""

    job: int
    photo: Path
    recipe: Preset
    signature: Signature
    target: Path | None
    table: bytes | None = None
    series: tuple[Path, ...] = ()


class Failure(NamedTuple):
    """Why a Job failed, in a sentence, and what is to blame."""

    blame: Blame
    reason: str


class OriginalDue(NamedTuple):
    """A photo whose Result is done and which the settings say to move or trash. ``signature``: the photo's when it was
    painted."""

    job: Job
    action: Original
    signature: Signature
