"""``stylefolder send``: a folder of photos through a daemon, another machine's or this one's. It can be stopped and run
again: what has its Result is not sent again."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from daemon.api.client import Client
from daemon.commands.apply import apply_here, check_usable, check_writable
from daemon.commands.apply_by_daemon import ResultPath
from daemon.commands.bring_preset import bring, portable, travels
from daemon.commands.by_box import Errand, paint
from daemon.errors import NoDaemon, Refused, UsageError
from daemon.events import Event, JobCancelled, JobDone, JobFailed, Listener, Note
from daemon.ledger.signature import sha256
from daemon.paths import free_name, printable
from daemon.sentences import photos as count_of
from stylecore.errors import PhotoError, cause
from stylecore.images.decode import load_photo
from stylecore.images.formats import PICTURE_SUFFIXES
from stylecore.preset import Look, Preset
from stylecore.recipe import MAX_SERIES

DONE = ".stylefolder-sent.jsonl"  # in the folder of Results: a line for each


def send(
    client: Client | None, folder: Path, preset: Preset, out: Path, show: Listener, *, or_here: bool = False
) -> int:
    """Photos in ``folder`` and below, to Results in ``out``, in the same subfolders; what is there already, and not
    from an earlier ``send`` of the same photo and preset, stays. Waits for the other machine while it is away, unless
    the photos may be painted here (``or_here``). ``client``: None if there is none. Returns how many failed. Raises
    UsageError, PresetError, NoDaemon, Refused."""
    check_usable(out)
    folder, out = folder.resolve(), out.resolve()
    _check(folder, out)
    out.mkdir(parents=True, exist_ok=True)
    done = _done(out)
    tickets, unread = _tickets(portable(preset), folder)
    if not tickets and not unread:
        show(Note(f"There are no photos in {printable(folder)}.", warning=True))
    for why in unread:
        show(Note(why, warning=True))
    failed = len(unread)
    stems = Counter(photo.with_suffix("") for photo in tickets)
    before = {photo for photo, ticket in tickets.items() if ticket in done and (out / done[ticket]).exists()}
    left = {photo: ticket for photo, ticket in tickets.items() if photo not in before}
    if before:
        show(Note(f"{count_of(len(before))} done before."))

    def result_path(photo: Path, _: str, extension: str) -> Path:
        ticket, target = tickets[photo], out / photo.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not extension:
            return target.with_suffix("")
        if ticket not in done:
            twins = stems[photo.with_suffix("")] > 1  # a camera's RAW file and its JPEG
            path = target.with_name(target.name + extension) if twins else target.with_suffix(extension)
            path = free_name(path, os.path.lexists)
            done[ticket] = str(path.relative_to(out))
            _note(out, ticket, done[ticket])  # before it is written: what is there under this name is ours from now on
        return out / done[ticket]

    def hear(event: Event) -> None:
        nonlocal failed
        if isinstance(event, (JobDone, JobFailed, JobCancelled)):
            del left[event.job.photo]
            failed += event.job.result is None
        show(event)

    if left:
        _paint(client, left, _with_series(preset, tickets), result_path, hear, or_here)
    return failed


def _with_series(preset: Preset, photos: Iterable[Path]) -> Preset:
    """A Look for a series names its photos, so that another ``send`` of the same folder fits the same table."""
    if not isinstance(preset, Look) or preset.fit != "series" or preset.photos:
        return preset
    first = itertools.islice((photo for photo in photos if _opens(photo)), MAX_SERIES)
    return preset.model_copy(update={"photos": tuple(first)})


def _opens(photo: Path) -> bool:
    try:
        load_photo(photo)
    except PhotoError:
        return False  # its own Job will say why
    return True


def _paint(
    client: Client | None,
    left: Mapping[Path, str],
    preset: Preset,
    result_path: ResultPath,
    hear: Listener,
    or_here: bool,
) -> None:
    """``left``: the photos' tickets. ``hear`` removes what has ended."""
    if client is not None and not travels(preset):
        hear(Note(f"The look {preset.name!r} is fitted to a series or writes a table: applying it on this machine."))
        client = None
    if client is not None:
        try:
            kept = bring(client, preset)
            errands = [Errand(photo, {"kept": kept, "ticket": ticket}) for photo, ticket in left.items()]
            paint(client, errands, result_path, hear, patient=not or_here, cancels=False)
            return
        except (NoDaemon, Refused) as e:
            if not or_here:
                raise
            hear(Note(f"{e} Continuing here.", warning=True))
    apply_here(list(left), preset, result_path, "auto", hear)


def _check(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: name the folder with the photos.")
    if out.is_relative_to(folder):
        raise UsageError(f"{out} is in the folder of the photos: choose a folder outside with -o.")
    if folder.is_relative_to(out):
        raise UsageError(f"The photos are in {out}: choose another folder with -o.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: name a folder with -o.")
    check_writable(out)


def _tickets(recipe: str, folder: Path) -> tuple[dict[Path, str], list[str]]:
    """For each photo, and a sentence for each that cannot be read."""
    tickets, unread = dict[Path, str](), list[str]()
    for photo in _photos(folder):
        try:
            tickets[photo] = _ticket(recipe, photo, folder)
        except OSError as e:
            unread.append(f"{printable(photo)} cannot be read ({cause(e)}): check its permissions.")
    return tickets, unread


def _ticket(recipe: str, photo: Path, folder: Path) -> str:
    """Names one Result: that of this photo, with this recipe, at its place in the folder."""
    what = f"{recipe} {sha256(photo)} {photo.relative_to(folder)}"
    return hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()


def _note(out: Path, ticket: str, result: str) -> None:
    with (out / DONE).open("a") as file:
        file.write(json.dumps({"ticket": ticket, "result": result}) + "\n")
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
