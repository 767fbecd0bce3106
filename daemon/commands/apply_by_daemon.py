"""``apply`` with a running daemon: the photos are sent to it and go ahead of its folders' photos. Its worker is warm,
and the device is not shared."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.api.client import Client
from daemon.api.schema import event_in
from daemon.errors import NoDaemon, Refused
from daemon.events import ENDS, Event, Heartbeat, JobDone, JobFailed, Listener, Note
from daemon.ledger.job import Job
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole

AT_ONCE = 3  # photos sent before the first is done: the worker never waits, and the disk holds few copies

ResultPath = Callable[[Path, str, str], Path]
"""Takes a photo, a Preset's name and an extension."""


def send(
    client: Client, photos: Sequence[Path], query: Mapping[str, Any], result_path: ResultPath, show: Listener
) -> list[Path]:
    """``query``: of ``POST /v1/jobs``. Shows what happens to these photos, and returns those that the daemon did not
    finish. ctrl-C cancels what was sent."""
    waiting, sent = deque(photos), dict[int, Path]()
    ended = set[Path]()
    if client.ask("GET", "/v1/status")["state"] == "paused":
        sentence = (
            "The daemon is paused: run `stylefolder resume` to continue, or press Ctrl+C to cancel the sent photos."
        )
        show(Note(sentence, warning=True))
    try:
        for fields in _events(client):
            number = fields["job"]["id"] if "job" in fields else None
            if number in sent:
                try:
                    event = _brought_home(client, event_in(fields), sent[number], result_path)
                except NoDaemon:
                    break
                show(event)
                if fields["event"] in ENDS:
                    ended.add(sent.pop(number))
                    _forget(client, number)
            while waiting and len(sent) < AT_ONCE:
                photo = waiting.popleft()
                if (job := _post(client, photo, query)) is not None:
                    if job["ahead"] and not sent:
                        show(Note(_ahead(photo, job["ahead"])))
                    sent[job["id"]] = photo
            if not sent and not waiting:
                break
    finally:
        for number in sent:
            _forget(client, number)
    if sent or waiting:
        show(Note("The daemon has stopped. Continuing without it.", warning=True))
    return [photo for photo in photos if photo not in ended]


def _events(client: Client) -> Iterator[dict[str, Any]]:
    """Until the daemon ends."""
    with contextlib.suppress(NoDaemon):
        yield from client.events()


def _ahead(photo: Path, count: int) -> str:
    if count == 1:
        return f"{photo.name} is waiting for the photo that the daemon is painting."
    return f"{photo.name}: {count} photos are ahead of it."


def _post(client: Client, photo: Path, query: Mapping[str, Any]) -> dict[str, Any] | None:
    """None if the daemon does not accept it. Painting it without the daemon then works, or reports why not."""
    try:
        with photo.open("rb") as file:
            found: dict[str, Any] = client.ask("POST", "/v1/jobs", file, name=photo.name, **query)
            return found
    except (OSError, UnicodeError, NoDaemon, Refused):
        return None


def _forget(client: Client, number: int) -> None:
    """Delete the Job twice: the first request cancels it if it is running, the second removes it once finished."""
    for _ in range(2):
        with contextlib.suppress(StylefolderError):
            client.ask("DELETE", f"/v1/jobs/{number}")


def _brought_home(client: Client, event: Event, photo: Path, result_path: ResultPath) -> Event:
    """The event with the names that the user knows. If the Job is done, its Result is fetched and written. Raises
    NoDaemon if the daemon ends in the meantime."""
    if isinstance(event, (Note, Heartbeat)):
        return event
    job = dataclasses.replace(event.job, photo=photo)
    if not isinstance(event, JobDone):
        return dataclasses.replace(event, job=job)
    assert event.job.result is not None
    path = result_path(photo, job.preset, event.job.result.suffix)
    try:
        write_whole(path, client.fetch(f"/v1/jobs/{job.id}/result"))
    except NoDaemon:
        raise
    except StylefolderError as e:
        return JobFailed(_ended(job, None, str(e)))
    return dataclasses.replace(event, job=_ended(job, path, None))


def _ended(job: Job, result: Path | None, reason: str | None) -> Job:
    return dataclasses.replace(job, result=result, reason=reason, source="command")
