"""Events and times in words, for every view and for the log."""

from __future__ import annotations

from pathlib import Path

from daemon.events import Event, Heartbeat, JobCancelled, JobChosen, JobDone, JobFailed, JobStarted, Note
from daemon.paths import printable

LONG = 60.0  # seconds: say about how long a longer Job takes


def called(photo: Path, folder: Path | None = None) -> str:
    """The photo's name, with its place in the ``folder`` that someone has named."""
    inside = folder is not None and photo.is_relative_to(folder)
    return printable(photo.relative_to(folder) if folder is not None and inside else photo.name)


def sentence(event: Event, folder: Path | None = None) -> str | None:
    """An event in a line, or None if it is only progress. ``folder``: as of ``called``."""
    match event:
        case Note(text):
            return printable(text)
        case Heartbeat(queued, done, failed):
            return f"Watching: {queued} queued, {done} done, {failed} failed."
        case JobStarted(job):
            return f"{called(job.photo, folder)}: started with {printable(job.preset)}"
        case JobDone(job, copied=True):
            return (
                f"{called(job.photo, folder)}: done, {printable(job.result)}, copied from the Result of the same photo"
            )
        case JobDone(job, notes):
            said = "".join(f" {note}" for note in notes)
            # Whoever sent an upload fetches its Result.
            place = "" if job.result is None or job.source == "upload" else f", {printable(job.result)}"
            return f"{called(job.photo, folder)}: done in {job.seconds:.1f} s{place}{said}"
        case JobFailed(job):
            return f"{called(job.photo, folder)}: failed. {printable(job.reason)}"
        case JobCancelled(job):
            return f"{called(job.photo, folder)}: cancelled." + (f" {printable(job.reason)}" if job.reason else "")
    return None


def device_sentence(event: JobChosen) -> str:
    """Where the photo is styled, and how large."""
    if event.size is None:
        return f"Working on {event.device}, at the photo's own size."
    width, height = event.size
    return f"Painting on {event.device}, at {width} x {height} pixels."


def estimate_sentence(event: JobChosen) -> str | None:
    """How long a long Job will take, and how much memory."""
    if event.left is None or event.left < LONG:
        return None
    minutes = max(1, round(event.left / 60))
    memory = "" if event.memory is None else f" and {event.memory / 1e9:.1f} GB of memory"
    return f"{printable(event.job.photo.name)}: takes about {minutes} minute{'s' * (minutes > 1)}{memory}."


def is_warning(event: Event) -> bool:
    return isinstance(event, JobFailed) or (isinstance(event, Note) and event.warning)


def photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def skipped_sentence(count: int) -> str:
    words = "1 file is not a picture and was" if count == 1 else f"{count} files are not pictures and were"
    return f"{words} skipped."


def clock(seconds: float) -> str:
    """``m:ss`` or ``h:mm:ss``."""
    whole = max(0, round(seconds))
    minutes, rest = whole // 60, whole % 60
    return f"{whole // 3600}:{minutes % 60:02}:{rest:02}" if whole >= 3600 else f"{minutes}:{rest:02}"
