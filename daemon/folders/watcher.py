"""The watcher: finds complete photos in the Inboxes and enters them into the Ledger.

Notifications are hints, never the truth: they only say where to look soon. What counts is the scan, at the start and
every 30 seconds, and every half second while a file is not complete yet. Inboxes on file systems that report nothing
are polled every few seconds.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from pathlib import Path

from daemon.events import Event, JobFailed, JobQueued, Listener
from daemon.folders import originals
from daemon.folders.completeness import SETTLE, digest_if_complete
from daemon.folders.inboxes import Found, Inboxes
from daemon.folders.layout import Layout
from daemon.folders.notifications import Notifications
from daemon.folders.polling import Polled, mounts, polled
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.ledger.job import Failure, Job, Original, OriginalDue
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import Signature, look, same
from daemon.paths import printable
from stylecore.errors import cause

SCAN_EVERY = 30.0
LOOK_EVERY = 0.5
SCAN_SHARE, POLL_SHARE = 200, 10  # a long scan comes less often: after this many times its duration
ENTER_FOR = 2.5  # seconds of reading new photos in one scan; then the Engine has its turn

WRITING = "the copy to finish"
STYLE_WRITING = "the copy of its style picture to finish"
HELD_OPEN = "another program to close it"


@dataclass(frozen=True)
class Pending:
    """A file that is not complete yet: as it was seen, since when (monotonic), and what it waits for."""

    signature: Signature
    since: float
    waits_for: str


class Watcher:
    """``announce`` receives each event once the Ledger has recorded it. ``keep_alive`` is called repeatedly during long
    work. ``adopt`` finds the Result that a photo already has, after the loss of a Ledger."""

    def __init__(
        self,
        layout: Layout,
        ledger: Ledger,
        presets: Presets,
        notifications: Notifications,
        problems: Problems,
        announce: Listener,
        keep_alive: Callable[[], None] = lambda: None,
        adopt: Callable[[Job], Path | None] | None = None,
    ) -> None:
        self.layout = layout
        self.ledger = ledger
        self.presets = presets
        self.notifications = notifications
        self.problems = problems
        self.announce = announce
        self.keep_alive = keep_alive
        self.adopt = adopt
        self.pending: dict[str, Pending] = {}  # by path, as in Found
        self.inboxes = Inboxes(layout.root, problems)
        self._welcomed: set[str] = set()  # Presets that were given an Inbox in this run
        self._in_force: dict[str, object] = {}
        self.polled: tuple[Polled, ...] = ()
        self._mounts = mounts()
        self._next_scan = self._next_look = self._next_poll = self._enter_until = 0.0

    @property
    def unfinished(self) -> bool:
        """Whether there is something to look at soon."""
        return bool(self.pending or self.presets.unsettled or self.notifications.arrived())

    def turn(self, layout: Layout, original: Original, polling: float | None = None) -> None:
        """Scan, if it is time to. ``original``: what the settings say about photos that are done. ``polling``: how
        often they say to scan, if they do."""
        self.layout = layout
        now = time.monotonic()
        if now >= self._next_scan or (self.unfinished and now >= self._next_look):
            self.notifications.clear()
            self._next_scan = now + LOOK_EVERY  # in case a full disk breaks the scan off
            self._mounts = mounts()
            self.scan(original, polling=polling)
            took = time.monotonic() - now
            self._next_scan = now + took + max(SCAN_EVERY, SCAN_SHARE * took)
            self._next_look = now + took + max(LOOK_EVERY, took)
        elif self.polled and now >= self._next_poll:
            self.scan(original, polling=polling, only={one.inbox for one in self.polled})
        else:
            return
        took = time.monotonic() - now
        every = min((one.seconds for one in self.polled), default=0.0)
        self._next_poll = now + took + max(every, POLL_SHARE * took)

    def scan(self, original: Original = "keep", *, polling: float | None = None, only: Set[str] | None = None) -> None:
        """One look at all Presets and at all Inboxes, or at those of these names and at new ones."""
        self._enter_until = time.monotonic() + ENTER_FOR
        self._look_at_presets()
        seen: set[str] = set()
        self.inboxes.unread.clear()
        with self.problems.of("inboxes"):
            if sentence := _stray(self.inboxes.stray()):
                self.problems.add(sentence)
            inboxes = list(self.inboxes.folders())
            watched = dict.fromkeys([*self.layout.preset_folders, *inboxes], True)
            self.notifications.watch({self.layout.root: False, **watched})
            missing = self.notifications.problem is not None
            self.polled = tuple(polled(inboxes, self._mounts, polling, missing=missing))
        looked_at = [inbox for inbox in inboxes if only is None or inbox.name in only]
        for inbox in looked_at:
            with self.problems.of(f"inbox {inbox.name}"):
                seen |= self._scan_inbox(inbox, original)
        self.problems.keep("inbox ", {f"inbox {inbox.name}" for inbox in inboxes})
        for removed in self.ledger.photos.presets() - {inbox.name for inbox in inboxes}:
            self.ledger.photos.gone(self._missing(self.ledger.photos.signatures(removed), set()))
        self.inboxes.forget_removed(inboxes)
        self.problems.set("notifications", self.notifications.problem)
        skipped = {inbox.name for inbox in inboxes} - {inbox.name for inbox in looked_at}
        for name in self.pending.keys() - seen:
            if self._inbox_of(name) not in skipped:
                del self.pending[name]

    def _inbox_of(self, name: str) -> str:
        return Path(name).relative_to(self.layout.root).parts[0]

    def _scan_inbox(self, inbox: Path, original: Original) -> set[str]:
        """Returns the new files, complete or not."""
        preset = inbox.name
        known = self.ledger.photos.signatures(preset)
        there: set[str] = set()
        new: list[Found] = []
        for found in self.inboxes.files(inbox, self.layout):
            self.keep_alive()
            if found is not None:
                there.add(found.name)
                before = known.get(found.name)
                is_known = before is not None and same(before, found.signature)
                if not is_known and found.name not in self.presets.style_pictures:
                    new.append(found)
        complete = [found for found in new if self._look_at(found, preset)]
        read = [(found, digest) for found in complete for digest in self._read(found, preset)]
        events: list[Event] = []
        dropped_again: list[OriginalDue] = []
        with self.ledger.transaction():
            self.ledger.photos.gone(self._missing(known, there))
            for found, digest in read:
                self._enter(found, digest, preset, original, events, dropped_again)
        for event in events:
            self.announce(event)
        for due in dropped_again:
            originals.settle(self.ledger, self.layout, due, self.announce)
        return {found.name for found in new}

    def _missing(self, known: Iterable[str], there: set[str]) -> list[str]:
        """The known photos that are not there any more. What is in a folder that cannot be read may still be there."""
        unread = tuple(f"{folder}{os.sep}" for folder in self.inboxes.unread)
        return [name for name in known if name not in there and not f"{name}{os.sep}".startswith(unread)]

    def _look_at_presets(self) -> None:
        presets, queue = self.presets, self.ledger.queue
        presets.refresh()
        with self.problems.of("presets"):
            for name, error in presets.errors.items():
                self.problems.add(f"Preset {name} is broken: {error}")
            for name, preset in presets.in_force.items():
                if name not in self._welcomed:
                    self._create_inbox(self.layout.inbox(name))
                    self._welcomed.add(name)
                if self._in_force.get(name) is not preset:
                    queue.release(preset)
            for name in queue.presets_queued() - presets.in_force.keys() - presets.errors.keys() - presets.unsettled:
                queue.hold(name)
        self._in_force = dict(presets.in_force)

    def _create_inbox(self, folder: Path) -> None:
        if not os.path.isdir(self.layout.own_folder):
            return  # the Root was unmounted just now: nothing is put on the disk below
        try:
            folder.mkdir(exist_ok=True)
        except OSError as e:
            self.problems.add(
                f"The Inbox {folder} cannot be created ({cause(e)}): "
                "check the permissions, or rename the file that has its name."
            )

    def _look_at(self, found: Found, preset: str) -> bool:
        """Whether the file has been unchanged for long enough to be read now."""
        before, now = self.pending.get(found.name), time.monotonic()
        if before is None or not same(before.signature, found.signature):
            self.pending[found.name] = Pending(found.signature, now, WRITING)
            return False
        if preset in self.presets.unsettled:
            self.pending[found.name] = Pending(found.signature, before.since, STYLE_WRITING)
            return False
        return now - before.since >= SETTLE

    def _read(self, found: Found, preset: str) -> list[str | None]:
        """A list with the digest of a complete file, or with None if it cannot be read; empty while it is incomplete,
        or if it is gone. Call this outside any transaction, because it can take a long time."""
        if time.monotonic() >= self._enter_until:
            return []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it vanished between two looks
            if found.refusal is not None:
                return [None]
            try:
                digest = digest_if_complete(found.path, self.keep_alive)
            except FileNotFoundError:
                raise
            except OSError:  # no permission, a failing disk: the worker will say which
                return [None]
            since = self.pending[found.name].since
            if digest is None:
                self.pending[found.name] = Pending(found.signature, since, HELD_OPEN)
            elif same(look(found.path), found.signature):
                return [digest]
            else:
                self.pending[found.name] = Pending(found.signature, since, WRITING)
        return []

    def _enter(
        self,
        found: Found,
        digest: str | None,
        preset: str,
        original: Original,
        events: list[Event],
        dropped_again: list[OriginalDue],
    ) -> None:
        """Enter the file into the Ledger, if it is new or changed."""
        queue, path, recipe = self.ledger.queue, found.path, self.presets.in_force.get(preset)
        failure = Failure("kind", found.refusal) if found.refusal else self._failure(digest, preset)
        job = queue.add(path, preset, recipe, digest, found.signature, failure=failure)
        known = None if job is not None else self.ledger.history.find(path, digest)
        if known is not None and known.state == "cancelling":
            return  # look again when the worker has stopped
        if known is not None and known.state == "done" and known.result is not None:
            if _is_gone(known.result):
                job = queue.add(path, preset, recipe, digest, found.signature, failure=failure, again=True)
            elif original != "keep":
                self.ledger.originals.dropped_again(known, original)
                dropped_again += self.ledger.originals.due(known)
        del self.pending[found.name]
        if job is not None and job.state == "failed":
            events.append(JobFailed(job))
        elif job is not None and self.adopt is not None and (result := self.adopt(job)) is not None:
            queue.adopt(job, result)
        elif job is not None:
            events.append(JobQueued(job))

    def _failure(self, digest: str | None, preset: str) -> Failure | None:
        if preset not in self.presets.in_force:
            return Failure("preset", self.presets.why_not(preset))
        if digest is not None and self.ledger.photos.is_own_result(digest, preset):
            sentence = f"It is a Result of {preset!r} itself: drop it, or the original photo, into another Inbox."
            return Failure("photo", sentence)
        return None


def _stray(names: list[str]) -> str | None:
    if not names:
        return None
    others = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
    return (
        f"{printable(names[0])}{others} beside the folders, where nothing is styled: "
        "drop photos into one of the folders, such as oil."
    )


def _is_gone(path: Path) -> bool:
    """False if its folder is unreadable or its disk fails."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
