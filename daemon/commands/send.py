"""``stylefolder send``: a folder of photos through a daemon, another machine's or this one's. It can be stopped and run
again: what has its Result is not sent again."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from daemon.api.client import Client
from daemon.commands.apply import apply_here
from daemon.commands.bring_preset import bring, portable
from daemon.commands.by_box import Errand, paint
from daemon.errors import NoDaemon, Refused, UsageError
from daemon.events import Event, JobCancelled, JobDone, JobFailed, Listener, Note
from daemon.ledger.signature import sha256
from daemon.paths import printable
from daemon.sentences import photos as count_of
from stylecore.images.formats import PICTURE_SUFFIXES
from stylecore.preset import Preset

DONE = ".stylefolder-sent.jsonl"  # in the folder of Results: a line for each


def send(client: Client, folder: Path, preset: Preset, out: Path, show: Listener, *, or_here: bool = False) -> int:
    """Photos in ``folder`` and below, to Results in ``out``, in the same subfolders. Waits for the other machine while
    it is away, unless the photos may be painted here (``or_here``). Returns how many failed. Raises UsageError,
    PresetError, NoDaemon, Refused."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: name the folder with the photos.")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{out} is in the folder of the photos: choose a folder outside with -o.")
    out.mkdir(parents=True, exist_ok=True)
    recipe, done, failed = portable(preset), _done(out), 0
    tickets = dict[Path, str]()
    for photo in _photos(folder):
        try:
            tickets[photo] = _ticket(recipe, photo, folder)
        except OSError as e:
            show(Note(f"{printable(photo)} cannot be read ({e.strerror}): check its permissions.", warning=True))
            failed += 1
    stems = Counter(photo.with_suffix("") for photo in tickets)
    before = {photo for photo, ticket in tickets.items() if ticket in done and (out / done[ticket]).exists()}
    left = {photo: ticket for photo, ticket in tickets.items() if photo not in before}
    if before:
        show(Note(f"{count_of(len(before))} done before."))

    def result_path(photo: Path, _: str, extension: str) -> Path:
        target = out / photo.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stems[photo.with_suffix("")] > 1:  # a camera's RAW file and its JPEG
            return target.with_name(target.name + extension)
        return target.with_suffix(extension)

    def hear(event: Event) -> None:
        nonlocal failed
        if isinstance(event, (JobDone, JobFailed, JobCancelled)):
            ticket = left.pop(event.job.photo)
            if event.job.result is not None:
                _note(out, ticket, event.job.result)
            else:
                failed += 1
        show(event)

    try:
        kept = bring(client, preset)
        errands = [Errand(photo, {"kept": kept, "ticket": ticket}) for photo, ticket in left.items()]
        paint(client, errands, result_path, hear, patient=not or_here, cancels=False)
    except (NoDaemon, Refused) as e:
        if not or_here:
            raise
        show(Note(f"{e} Continuing here.", warning=True))
        apply_here(list(left), preset, result_path, "auto", hear)
    return failed


def _ticket(recipe: str, photo: Path, folder: Path) -> str:
    """Names one Result: that of this photo, with this recipe, at its place in the folder."""
    what = f"{recipe} {sha256(photo)} {photo.relative_to(folder)}"
    return hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()


def _note(out: Path, ticket: str, result: Path) -> None:
    with (out / DONE).open("a") as file:
        file.write(json.dumps({"ticket": ticket, "result": str(result.relative_to(out))}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _photos(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(place) / name


def _done(out: Path) -> dict[str, str]:
    """Results by ticket. A line that was cut off counts for nothing."""
    found = {}
    if (out / DONE).exists():
        for line in (out / DONE).read_text().splitlines():
            try:
                fields = json.loads(line)
                found[fields["ticket"]] = fields["result"]
            except (ValueError, KeyError, TypeError):
                continue
    return found
