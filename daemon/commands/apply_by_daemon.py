"""``apply`` where a daemon runs: the photos are sent to it and go ahead of its folders'; its worker is warm, its device not shared."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.api.client import Client, NoDaemon, Refused
from daemon.api.schema import event_in
from daemon.events import Event, Heartbeat, JobDone, JobFailed, Note
from daemon.ledger.job import Job
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole

AT_ONCE = 3  # photos sent before the first is done: the worker never waits, and the disk holds few copies


def send(
    client: Client,
    photos: Sequence[Path],
    options: Mapping[str, Any],
    target: Callable[[Path, str], Path],
    show: Callable[[Event], None],
) -> list[Path]:
    """``options``: the query of ``POST /v1/jobs``. ``target(photo, extension)``: where its Result goes. Shows what
    happens to these photos; those that the daemon did not bring to an end are returned. ctrl-C cancels what was sent."""
    waiting, sent = deque(photos), dict[int, Path]()
    ended = set[Path]()
    if client.ask("GET", "/v1/status")["state"] == "paused":
        show(
            Note(
                "The daemon is paused: `stylefolder resume` lets it go on, ctrl-C takes the photos back.", warning=True
            )
        )
    try:
        for fields in _until_it_ends(client):
            photo = sent.get(fields["job"]["id"]) if "job" in fields else None
            if photo is not None:
                try:
                    event = _brought_home(client, event_in(fields), photo, target)
                except NoDaemon:
                    break
                show(event)
                if fields["event"] in ("JobDone", "JobFailed", "JobCancelled"):
                    ended.add(photo)
                    _forget(client, fields["job"]["id"])
                    del sent[fields["job"]["id"]]
            while waiting and len(sent) < AT_ONCE:
                photo = waiting.popleft()
                if (job := _post(client, photo, options)) is None:
                    continue
                if job["ahead"] and not sent:
                    show(
                        Note(
                            f"{photo.name} waits for the photo that the daemon is painting."
                            if job["ahead"] == 1
                            else f"{photo.name}: {job['ahead']} are ahead of it."
                        )
                    )
                sent[job["id"]] = photo
            if not sent and not waiting:
                break
    finally:
        for number in sent:
            _forget(client, number)
    if sent or waiting:
        show(Note("The daemon has ended: it goes on without it.", warning=True))
    return [photo for photo in photos if photo not in ended]


def _until_it_ends(client: Client) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(NoDaemon):
        yield from client.events()


def _post(client: Client, photo: Path, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where the daemon does not take it: then it is done without, or the reason for a failure is found there."""
    try:
        with photo.open("rb") as file:
            found: dict[str, Any] = client.ask("POST", "/v1/jobs", file, name=photo.name, **options)
            return found
    except (OSError, UnicodeError, NoDaemon, Refused):
        return None


def _forget(client: Client, number: int) -> None:
    """Twice: what runs is cancelled, what is finished is taken away."""
    for _ in range(2):
        with contextlib.suppress(StylefolderError):
            client.ask("DELETE", f"/v1/jobs/{number}")


def _brought_home(client: Client, event: Event, photo: Path, target: Callable[[Path, str], Path]) -> Event:
    """The event with the names that the user knows; of a Job that is done the Result is fetched and written there. Raises
    NoDaemon where it ends meanwhile."""
    if isinstance(event, (Note, Heartbeat)):
        return event
    job = dataclasses.replace(event.job, photo=photo)
    if not isinstance(event, JobDone):
        return dataclasses.replace(event, job=job)
    assert event.job.result is not None
    path = target(photo, event.job.result.suffix)
    try:
        write_whole(path, client.fetch(f"/v1/jobs/{job.id}/result"))
    except NoDaemon:
        raise
    except StylefolderError as e:
        return JobFailed(_with(job, None, str(e)))
    return dataclasses.replace(event, job=_with(job, path, None))


def _with(job: Job, result: Path | None, reason: str | None) -> Job:
    return dataclasses.replace(job, result=result, reason=reason, source="command")
