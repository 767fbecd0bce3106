"""``stylefolder send``: a folder of photos through a daemon, another machine's or this one's. It can be stopped and run
again: what has its Result is not sent again."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.api.client import Client
from daemon.commands.bring_preset import bring
from daemon.commands.by_box import Errand, paint
from daemon.errors import UsageError
from daemon.events import Event, JobCancelled, JobFailed, Listener, Note
from daemon.ledger.signature import sha256
from daemon.sentences import photos as count_of
from stylecore.images.formats import PICTURE_SUFFIXES
from stylecore.preset import Preset

DONE = ".stylefolder-sent.jsonl"  # in the folder of Results: a line for each


def send(client: Client, folder: Path, preset: Preset, out: Path, show: Listener) -> int:
    """Photos in ``folder`` and below, to Results in ``out``, in the same subfolders. Waits for the other machine while
    it is away. Returns how many failed. Raises UsageError, PresetError, Refused."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: name the folder with the photos.")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{out} is in the folder of the photos: choose a folder outside with -o.")
    out.mkdir(parents=True, exist_ok=True)
    kept = bring(client, preset)
    done = _done(out)
    errands, before, photos = [], 0, list(_photos(folder))
    stems = Counter(photo.with_suffix("") for photo in photos)
    for photo in photos:
        ticket = hashlib.sha256(f"{kept} {sha256(photo)} {photo.relative_to(folder)}".encode(errors="surrogateescape"))
        if ticket.hexdigest() in done and (out / done[ticket.hexdigest()]).exists():
            before += 1
        else:
            errands.append(Errand(photo, {"kept": kept, "ticket": ticket.hexdigest()}))
    if before:
        show(Note(f"{count_of(before)} done before."))
    failed = 0

    def hear(event: Event) -> None:
        nonlocal failed
        failed += isinstance(event, (JobFailed, JobCancelled))
        show(event)

    def result_path(photo: Path, _: str, extension: str) -> Path:
        target = out / photo.relative_to(folder)
        if stems[photo.with_suffix("")] > 1:  # a camera's RAW file and its JPEG
            return target.with_name(target.name + extension)
        return target.with_suffix(extension)

    def note(errand: Errand, result: Path) -> None:
        line: dict[str, Any] = {"ticket": errand.query["ticket"], "result": str(result.relative_to(out))}
        with (out / DONE).open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    paint(client, errands, result_path, hear, patient=True, cancels=False, kept=note)
    return failed


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
