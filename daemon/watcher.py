"""The watcher: finds complete photos in the Inboxes and enters them into the Ledger.

Events are hints, never the truth: they only say where to look soon. What counts is the scan, at the start and every
30 seconds, and every half second while a file is not complete yet.
"""

from __future__ import annotations

import fnmatch
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watchdog.events import EVENT_TYPE_CLOSED_NO_WRITE, EVENT_TYPE_OPENED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from daemon import complete, places
from daemon.events import Event, JobFailed, Note
from daemon.ledger import Ledger, Signature
from daemon.library import Library

SCAN_EVERY = 30.0
LOOK_EVERY = 0.5
ENTER_FOR = 1.0  # seconds of reading new photos in one scan: then the Engine has its turn
IGNORED = (
    ".*", "~*", "*~", "*.part", "*.partial", "*.crdownload", "*.download", "*.tmp", "*.temp", "*.swp",
    "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "*.xmp", "*.aae", "*.thm", "*.pp3", "*.lnk", "*.url",
)  # fmt: skip
"""Names that are no photos: hidden ones, downloads under way, sidecar files, what systems leave in folders."""


class Watcher:
    def __init__(self, root: Path, ledger: Ledger, library: Library, tell: Callable[[Event], None]) -> None:
        self.root = root
        self.ledger = ledger
        self.library = library
        self.tell = tell
        self.pending: dict[Path, tuple[Signature, float]] = {}  # not complete yet: what was seen, and since when
        self.hint = threading.Event()
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, int]] = {}
        self._told: set[str] = set()
        self._welcomed: set[str] = set()  # presets that were given an Inbox in this run
        self._next_scan = self._next_look = self._enter_until = 0.0

    def start(self) -> None:
        """Begin to listen for events."""
        self._observer = Observer()
        self._observer.start()
        self._watch(self.root, recursive=False)

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def turn(self) -> None:
        """Look where it is time to look."""
        now = time.monotonic()
        hinted = self.hint.is_set()
        if now >= self._next_scan or ((hinted or self.pending) and now >= self._next_look):
            self.hint.clear()
            self._next_scan, self._next_look = now + SCAN_EVERY, now + LOOK_EVERY
            self.scan()

    def wait(self, seconds: float) -> None:
        """Sleep until it is time to look again, at most so long."""
        if self.hint.is_set():
            time.sleep(min(seconds, max(0.0, self._next_look - time.monotonic())))
        else:
            self.hint.wait(seconds)

    def scan(self) -> None:
        """One look at all presets and Inboxes."""
        self._enter_until = time.monotonic() + ENTER_FOR
        self.library.refresh()
        for name, error in self.library.errors.items():
            self._tell_once(f"Preset {name} is broken: {error}")
        for preset in self.library.presets.values():
            if preset.name not in self._welcomed:
                self._welcomed.add(preset.name)
                self._make_inbox(self.root / preset.name)
            self.ledger.give_recipe(preset)
        seen: set[Path] = set()
        for inbox in self._inboxes():
            self._watch(inbox, recursive=True)
            known = self.ledger.signatures(inbox.name)
            for path, found in self._photos(inbox):
                if known.get(path) == found:
                    continue
                seen.add(path)
                self._consider(path, found, inbox.name)
        for path in self.pending.keys() - seen:
            del self.pending[path]

    def _consider(self, path: Path, found: Signature, preset: str) -> None:
        before = self.pending.get(path)
        now = time.monotonic()
        if before is None or before[0] != found:
            self.pending[path] = (found, now)
        elif now - before[1] >= complete.SETTLE and now < self._enter_until and not complete.has_writer(path):
            with complete.silently():
                if self._enter(path, found, preset):
                    del self.pending[path]

    def _enter(self, path: Path, found: Signature, name: str) -> bool:
        """Into the Ledger, unless the file changed while it was read."""
        preset = self.library.presets.get(name)
        reason = None if preset else self.library.why_not(name)
        try:
            digest = complete.sha256(path)
        except FileNotFoundError:
            raise
        except OSError:  # no permission, a failing disk: the worker will say which
            digest = complete.unreadable_digest(found)
        if complete.look(path) != found:
            return False
        job = self.ledger.add(path, name, preset, digest, found, reason=reason)
        if job is not None and job.state == "failed":
            self.tell(JobFailed(job))
        return True

    def _make_inbox(self, folder: Path) -> None:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as e:
            self._tell_once(f"The Inbox {folder} cannot be made ({e.strerror}): mend the rights, or take away what has its name.")

    def _inboxes(self) -> Iterator[Path]:
        for entry in self._entries(self.root):
            if entry.is_dir(follow_symlinks=False) and not _ignored(entry.name) and entry.name != places.PRESETS:
                yield self.root / entry.name

    def _photos(self, inbox: Path) -> Iterator[tuple[Path, Signature]]:
        """Every regular file in an Inbox and its folders that may be a photo."""
        stack = [inbox]
        while stack:
            folder = stack.pop()
            for entry in self._entries(folder):
                if _ignored(entry.name) or (folder == inbox and entry.name in (places.STYLED, places.FAILED)):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(Path(entry.path))
                    elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                        path = Path(entry.path)
                        yield path, complete.look(path)
                except FileNotFoundError:
                    continue
                except OSError as e:
                    self._tell_once(f"{entry.path} cannot be looked at ({e.strerror}): mend its folder's rights.")

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, which may vanish or be closed to us at any moment."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            self._tell_once(f"The folder {folder} cannot be read ({e.strerror}): mend its rights, or move it elsewhere.")
            return []

    def _watch(self, folder: Path, *, recursive: bool) -> None:
        if self._observer is None:
            return
        try:
            inode = folder.stat().st_ino
        except OSError:
            return
        if folder in self._watches:
            watch, watched = self._watches[folder]
            if watched == inode:
                return
            self._observer.unschedule(watch)  # the folder was taken away and made again
        try:
            self._watches[folder] = (self._observer.schedule(_Hints(self.hint), str(folder), recursive=recursive), inode)
        except OSError as e:
            self._tell_once(
                f"The system gives no more events ({e.strerror}): looking every {SCAN_EVERY:.0f} s instead; "
                "raise fs.inotify.max_user_watches and max_user_instances to mend it."
            )

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.tell(Note(text, warning=True))


class _Hints(FileSystemEventHandler):
    def __init__(self, hint: threading.Event) -> None:
        self.hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):  # our own reading is no news
            self.hint.set()


def _ignored(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in IGNORED)
