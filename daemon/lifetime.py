"""One daemon to a Root, and how it is asked to end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import filelock

from daemon import paths
from stylecore.errors import StylefolderError


class RootInUse(StylefolderError):
    exit_status = 2


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """The lock dies with its holder. Raises RootInUse, naming it."""
    path = paths.lock_file(root)
    owner = path.with_name("owner")
    try:
        path.parent.mkdir(exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        pid = owner.read_text() if owner.exists() else "unknown"
        raise RootInUse(
            f"Another stylefolder (process {pid}) watches {root} already: `stylefolder status` shows it; end it first, or name another folder."
        ) from e
    except OSError as e:
        raise StylefolderError(
            f"The folder {root} cannot be used ({e.strerror}): name another, or mend its rights."
        ) from e
    try:
        with contextlib.suppress(OSError):  # a full disk: then a second daemon cannot name the first
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
    if hasattr(signal, "SIGIO"):  # a lease of `complete.digest_if_free` that is broken; by default it would end us
        old[signal.SIGIO] = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
