"""The watcher: finds complete photos in the Inboxes and enters them into the Ledger.

Events are hints, never the truth: they only say where to look soon. What counts is the scan, at the start and every
30 seconds, and every half second while a file is not complete yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon import paths
from daemon.events import Event, JobFailed, JobQueued
from daemon.folders import completeness, originals
from daemon.folders.inboxes import Found, Inboxes
from daemon.folders.notifications import Hints
from daemon.folders.presets import Library
from daemon.folders.problems import Problems
from daemon.ledger.job import REFUSED, Job, Original, Signature
from daemon.ledger.ledger import Ledger

SCAN_EVERY = 30.0
LOOK_EVERY = 0.5
POLL_EVERY = 3.0  # where the system gives no events
SCAN_SHARE, POLL_SHARE = 200, 10  # a scan that takes long is made less often: after this many times its duration
ENTER_FOR = 2.5  # seconds of reading new photos in one scan: then the Engine has its turn


@dataclass(frozen=True)
class Pending:
    """A file that is not complete yet: what was seen, since when (monotonic), and what it waits for."""

    signature: Signature
    since: float
    waits_for: str


class Watcher:
    """``results()`` is the settings' folder for Results, ``original()`` what is done with a photo at last; ``adopt`` finds
    the Result that a photo has already, after the loss of a Ledger."""

    def __init__(
        self, root: Path, ledger: Ledger, library: Library, hints: Hints, problems: Problems, tell: Callable[[Event], None],
        *, results: Callable[[], str], adopt: Callable[[Job], Path | None] | None = None,
        original: Callable[[], Original] = lambda: "keep", beat: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.root = root
        self.ledger = ledger
        self.library = library
        self.hints = hints
        self.problems = problems
        self.tell = tell
        self.results = results
        self.adopt = adopt
        self.original = original
        self.beat = beat
        self.pending: dict[str, Pending] = {}  # by path, as in Found
        self.inboxes = Inboxes(root, problems)
        self._welcomed: set[str] = set()  # presets that were given an Inbox in this run
        self._in_force: dict[str, object] = {}
        self._next_scan = self._next_look = self._enter_until = 0.0

    @property
    def unfinished(self) -> bool:
        """Whether something happened that was not looked at yet."""
        return self.hints.given() or bool(self.library.waiting)

    def turn(self) -> None:
        """Look where it is time to look."""
        now = time.monotonic()
        if now >= self._next_scan or ((self.unfinished or self.pending) and now >= self._next_look):
            self.hints.clear()
            self._next_scan = now + LOOK_EVERY  # where a full disk breaks it off
            self.scan()
            took = time.monotonic() - now
            every, share = (POLL_EVERY, POLL_SHARE) if self.hints.problem else (SCAN_EVERY, SCAN_SHARE)
            self._next_scan = now + took + max(every, share * took)
            self._next_look = now + took + max(LOOK_EVERY, took)

    def scan(self) -> None:
        """One look at all presets and Inboxes."""
        self._enter_until = time.monotonic() + ENTER_FOR
        self._look_at_presets()
        self.hints.watch(self.root, recursive=False)
        for folder in paths.preset_folders(self.root):
            self.hints.watch(folder, recursive=True)
        seen: set[str] = set()
        events: list[Event] = []
        dropped_again: list[Job] = []
        with self.problems.of("inboxes"):
            if says := _astray(self.inboxes.loose()):
                self.problems.add(says)
            for inbox in self.inboxes.folders():
                self.hints.watch(inbox, recursive=True)
                known = self.ledger.signatures(inbox.name)
                there = list(self.inboxes.files(inbox, self.results()))
                new = [
                    found
                    for found in there
                    if known.get(found.name) != found.signature and found.name not in self.library.style_pictures
                ]
                seen.update(found.name for found in new)
                read = [(found, digest) for found in new if (digest := self._read(found, inbox.name)) is not None]
                with self.ledger.all_at_once():
                    self.ledger.gone(inbox.name, known.keys() - {found.name for found in there})
                    for found, digest in read:
                        self._enter(found, digest, inbox.name, events, dropped_again)
        self.problems.set("events", self.hints.problem)
        for name in self.pending.keys() - seen:
            del self.pending[name]
        for event in events:  # when the Ledger has it
            self.tell(event)
        for job in dropped_again:
            originals.settle(self.ledger, self.root, job, self.tell)

    def _look_at_presets(self) -> None:
        self.library.refresh()
        with self.problems.of("presets"):
            for name, error in self.library.errors.items():
                self.problems.add(f"Preset {name} is broken: {error}")
            for name, preset in self.library.presets.items():
                if name not in self._welcomed:
                    self._make_inbox(self.root / name)
                    self._welcomed.add(name)
                if self._in_force.get(name) is not preset:
                    self.ledger.give_recipe(preset)
            for name in (
                self.ledger.presets_queued()
                - self.library.presets.keys()
                - self.library.errors.keys()
                - self.library.waiting
            ):
                self.ledger.hold(name)
        self._in_force = dict(self.library.presets)

    def _make_inbox(self, folder: Path) -> None:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as e:
            self.problems.add(
                f"The Inbox {folder} cannot be made ({e.strerror}): mend the rights, or take away what has its name."
            )

    def _read(self, found: Found, preset: str) -> str | None:
        """The digest of a file that is complete; None while it is not, or is gone. Outside of any transaction: it may take long."""
        before = self.pending.get(found.name)
        now = time.monotonic()
        if before is None or before.signature != found.signature:
            self.pending[found.name] = Pending(found.signature, now, "the end of its writing")
            return None
        if now - before.since < completeness.SETTLE or now >= self._enter_until:
            return None
        digest, waits_for = None, "the end of its writing"
        with completeness.silently():
            if preset in self.library.waiting:
                waits_for = "the end of its style picture's writing"
            elif (digest := self._digest(found)) is None:
                waits_for = "its writer, who has it open still"
            elif completeness.look(found.path) != found.signature:
                digest = None
        self.pending[found.name] = Pending(found.signature, before.since, waits_for)
        return digest

    def _digest(self, found: Found) -> str | None:
        if found.refusal is not None:
            return f"{REFUSED}{found.signature.inode}:{found.signature.ctime_ns}"
        try:
            return completeness.digest_if_free(found.path, self.beat)
        except FileNotFoundError:
            raise
        except OSError:  # no permission, a failing disk: the worker will say which
            return completeness.unreadable_digest(found.signature)

    def _enter(self, found: Found, digest: str, name: str, events: list[Event], dropped_again: list[Job]) -> None:
        """Into the Ledger."""
        path, signature, recipe = found.path, found.signature, self.library.presets.get(name)
        reason = found.refusal or self._why_not(digest, name)
        job = self.ledger.add(path, name, recipe, digest, signature, reason=reason)
        known = None if job is not None else self.ledger.find(path, name, digest)
        if known is not None and known.state == "done" and known.result is not None:
            if _is_gone(known.result):
                job = self.ledger.add(path, name, recipe, digest, signature, reason=reason, anew=True)
            elif (original := self.original()) != "keep":
                dropped_again.append(self.ledger.original_due(known, original))
        del self.pending[found.name]
        if job is not None and job.state == "failed":
            events.append(JobFailed(job))
        elif job is not None and self.adopt is not None and (result := self.adopt(job)) is not None:
            self.ledger.adopt(job, result)
        elif job is not None:
            events.append(JobQueued(job))

    def _why_not(self, digest: str, preset: str) -> str | None:
        if preset not in self.library.presets:
            return self.library.why_not(preset)
        if self.ledger.is_own_result(digest, preset):
            return (
                f"It is a Result of {preset!r} itself: drop it into another Inbox, or the photo that it was made from."
            )
        return None


def _astray(names: list[str]) -> str | None:
    if not names:
        return None
    others = f" and {len(names) - 1} more lie" if len(names) > 1 else " lies"
    return f"{paths.printable(names[0])}{others} beside the folders, where nothing is styled: drop photos into one of them, such as oil."


def _is_gone(path: Path) -> bool:
    """Not where its folder is closed to us, or its disk fails."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
