"""`failed/<photo>.txt`: the reason for a failure, in the photo's Inbox until the photo succeeds."""

from __future__ import annotations

import contextlib
from pathlib import Path

from daemon.events import Event, JobDone, JobFailed
from daemon.folders.layout import Layout
from daemon.paths import printable
from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_whole


def keep(layout: Layout, event: Event) -> str | None:
    """Write the note of a Job that failed, or remove it when the Job is done. Returns a sentence if that was
    impossible."""
    path = layout.failure_note(event.job) if isinstance(event, (JobFailed, JobDone)) else None
    if path is None:
        return None
    try:
        if isinstance(event, JobFailed):
            write_whole(path, f"{printable(event.job.photo.name)}: {event.job.reason}\n".encode())
        else:
            _remove(path)
    except (ResultError, OSError) as e:
        return f"The reason for a failure cannot be written to {printable(path)}: {e}"
    return None


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()
        with contextlib.suppress(OSError):  # other notes are in it
            path.parent.rmdir()
