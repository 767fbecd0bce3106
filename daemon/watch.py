"""``stylefolder watch``: one Root's watcher, Ledger and Engine, joined in one loop."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import filelock

from daemon import places
from daemon.engine import Engine
from daemon.events import Event, JobDone, JobFailed, Note
from daemon.ledger import Job, Ledger
from daemon.library import Library
from daemon.watcher import Watcher
from stylecore.errors import ResultError, StylefolderError
from stylecore.files import PART_PREFIX, PART_SUFFIX, write_whole
from stylecore.result import EXTENSIONS

TICK = 0.25  # seconds that the Engine is heard out in one turn


class RootInUse(StylefolderError):
    exit_status = 2


def watch(
    root: Path, device: str, show: Callable[[Event], None], *, once: bool = False, each_turn: Callable[[Ledger], bool] | None = None
) -> int:
    """Style what lies in the Inboxes and what is dropped there, until ctrl-C or SIGTERM; with ``once`` until all is
    done. ``each_turn`` is asked after every turn whether to end. Returns how many photos failed meanwhile."""
    _make_root(root)
    failed = 0
    with _only_one(root), stoppable() as stopped, contextlib.closing(Ledger(places.ledger_file(root), root)) as ledger:

        def tell(event: Event) -> None:
            nonlocal failed
            failed += isinstance(event, JobFailed)
            _keep_reason(root, event, show)
            show(event)

        _clear_parts(root)
        for job in ledger.recover():
            tell(JobFailed(job))
        library = Library(places.preset_folders(root))
        engine = Engine(ledger, device, lambda job: result_names(root, ledger, job), tell)
        watcher = Watcher(root, ledger, library, tell)
        watcher.start()
        try:
            while not stopped():
                watcher.turn()
                engine.turn(TICK)
                if engine.idle:
                    watcher.wait(TICK)
                if each_turn is not None and each_turn(ledger):
                    break
                if once and engine.idle and not watcher.pending and not ledger.count("queued", "running"):
                    break
        finally:
            watcher.stop()
            engine.stop()
    return failed


def result_names(root: Path, ledger: Ledger, job: Job) -> dict[str, Path]:
    """For each extension the path that this Job's Result takes, clear of other photos' Results."""
    return {
        extension: places.free(places.styled_path(root, job, extension), lambda path: ledger.is_anothers_result(path, job))
        for extension in EXTENSIONS.values()
    }


def _clear_parts(root: Path) -> None:
    """What a kill in the middle of writing left behind; no one writes now, for the Root is locked."""
    for folder in (places.STYLED, places.FAILED):
        for part in root.glob(f"*/{folder}/**/{PART_PREFIX}*{PART_SUFFIX}"):
            part.unlink(missing_ok=True)


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        places.lock_file(root).parent.mkdir(exist_ok=True)
    except OSError as e:
        raise StylefolderError(f"The folder {root} cannot be used ({e.strerror}): name another, or mend its rights.") from e


def _keep_reason(root: Path, event: Event, show: Callable[[Event], None]) -> None:
    """The reason for a failure lies beside the photo until it succeeds."""
    if not isinstance(event, (JobFailed, JobDone)):
        return
    path = places.reason_path(root, event.job)
    try:
        if isinstance(event, JobDone):
            if path.exists():
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
            return
        write_whole(path, f"{places.printable(event.job.photo.name)}: {event.job.reason}\n".encode())
    except (ResultError, OSError) as e:
        show(Note(f"The reason cannot be kept in {path}: {e}", warning=True))


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """One daemon to a Root; the lock dies with its holder."""
    lock = filelock.FileLock(places.lock_file(root))
    owner = places.lock_file(root).with_name("owner")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        pid = owner.read_text() if owner.exists() else "unknown"
        raise RootInUse(f"Another stylefolder (process {pid}) watches {root} already: end it first, or name another folder.") from e
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """ctrl-C and SIGTERM end the loop after its turn; a second one at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    old: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGIO"):  # a lease of `complete.has_writer` that is broken; by default it would end us
        old[signal.SIGIO] = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
