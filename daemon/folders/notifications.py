"""Events of the file system as hints that something changed: one watch per folder, by inotify or what the system has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from watchdog.events import EVENT_TYPE_CLOSED_NO_WRITE, EVENT_TYPE_OPENED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

QUIET = (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE)  # our own reading is no news


class Hints(FileSystemEventHandler):
    """``wake`` is set at every event, but for those of paths that are ``ours``."""

    def __init__(self, wake: threading.Event, ours: Callable[[Path], bool]) -> None:
        self.wake = wake
        self.ours = ours
        self._given = False
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, int]] = {}
        self._refused: dict[Path, str] = {}

    @property
    def problem(self) -> str | None:
        """Why there are too few events, in a sentence."""
        for why in self._refused.values():
            return (
                f"The system gives no more events ({why}): the folders are looked through every few seconds instead; "
                "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances to mend it."
            )
        return None

    def given(self) -> bool:
        return self._given

    def clear(self) -> None:
        self._given = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if event.event_type not in QUIET and not all(map(self.ours, paths)):
            self._given = True
            self.wake.set()

    def watch(self, folder: Path, *, recursive: bool) -> None:
        """From now on; anew where the folder is another one of the same name."""
        try:
            inode = folder.stat().st_ino
        except OSError:
            return
        if folder in self._watches and self._watches[folder][1] == inode:
            return
        try:
            observer = self._started()
            if folder in self._watches:
                observer.unschedule(self._watches.pop(folder)[0])
            self._watches[folder] = observer.schedule(self, str(folder), recursive=recursive), inode
            self._refused.pop(folder, None)
        except OSError as e:
            self._refused[folder] = e.strerror or str(e)

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def _started(self) -> BaseObserver:
        """Raises OSError where the system has none left."""
        if self._observer is None:
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer
