"""A Job and its Photo's signature, as the Ledger gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from stylecore.preset import Preset

State = Literal["waiting", "queued", "running", "done", "failed", "cancelled"]
Source = Literal["folder", "command", "upload"]
Original = Literal["keep", "move", "trash"]
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")
MAX_ATTEMPTS = 3
REFUSED = "refused:"  # begins the digest of what is no regular file


class Signature(NamedTuple):
    """What tells without reading that a file is the one that was seen."""

    size: int
    mtime_ns: int
    ctime_ns: int  # changes with every write, also where mtime is set back, and with a change of rights
    inode: int


@dataclass(frozen=True)
class Job:
    """One Photo under one Preset; ``recipe`` is None while no valid preset of that name is known. Times are Unix seconds."""

    id: int
    source: Source
    photo: Path
    preset: str
    recipe: Preset | None
    digest: str
    signature: Signature
    target: Path | None
    state: State
    attempts: int
    reason: str | None
    result: Path | None
    original: Original | None
    queued_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        return None if self.started_at is None or self.finished_at is None else self.finished_at - self.started_at
