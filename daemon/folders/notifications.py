"""File notifications, as hints that something changed: one watch per folder, through inotify or what the system has."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from watchdog.events import EVENT_TYPE_CLOSED_NO_WRITE, EVENT_TYPE_OPENED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from daemon.paths import printable
from stylecore.errors import cause

USED_UP = (errno.ENOSPC, errno.EMFILE)
QUIET = (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE)  # our own reads are not changes


class Notifications(FileSystemEventHandler):
    """Sets ``wake`` at every event, except those about paths that are ``ours``."""

    def __init__(self, wake: threading.Event, ours: Callable[[Path], bool]) -> None:
        self.wake = wake
        self.ours = ours
        self._arrived = False
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, int]] = {}
        self._refused: dict[Path, OSError] = {}

    @property
    def problem(self) -> str | None:
        """Why notifications are missing, in a sentence."""
        for folder, e in self._refused.items():
            if e.errno in USED_UP:
                where, remedy = "", "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"
            else:
                where, remedy = f" for {printable(folder)}", "check its permissions"
            return (
                f"File notifications are unavailable{where} ({cause(e)}), so the folders are scanned every few "
                f"seconds instead: {remedy}."
            )
        return None

    def arrived(self) -> bool:
        """Whether there were any since ``clear``."""
        return self._arrived

    def clear(self) -> None:
        self._arrived = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if event.event_type not in QUIET and not all(map(self.ours, paths)):
            self._arrived = True
            self.wake.set()

    def watch(self, folders: Mapping[Path, bool]) -> None:
        """Watch these folders, and no others, from now on. The values say whether to watch their subfolders too."""
        for folder in self._watches.keys() - folders.keys():
            self._started().unschedule(self._watches.pop(folder)[0])
        self._refused = {folder: e for folder, e in self._refused.items() if folder in folders}
        for folder, recursive in folders.items():
            self._watch(folder, recursive)

    def _watch(self, folder: Path, recursive: bool) -> None:
        """A folder that was removed and created again is watched again, even if the file system gave it the inode of
        the old one."""
        try:
            inode = folder.stat().st_ino
        except OSError:
            self._refused.pop(folder, None)
            return
        known = self._watches.get(folder)
        if known is not None and known[1] == inode and self._delivers(known[0]):
            return
        try:
            observer = self._started()
            if known is not None:
                observer.unschedule(self._watches.pop(folder)[0])
            self._watches[folder] = observer.schedule(self, str(folder), recursive=recursive), inode
            self._refused.pop(folder, None)
        except OSError as e:
            self._refused[folder] = e

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def _delivers(self, watch: ObservedWatch) -> bool:
        """watchdog ends a watch's thread when its folder is removed."""
        emitters = self._observer.emitters if self._observer is not None else ()
        return any(emitter.watch == watch and emitter.is_alive() for emitter in emitters)

    def _started(self) -> BaseObserver:
        """Raises OSError if the system has no more to give."""
        if self._observer is None:
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer
