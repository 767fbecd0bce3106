"""What comes before `watch`'s loop: create the Root, open the Ledger, recover from a crash, wait for a removed Root."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from daemon import paths
from daemon.api import uploads
from daemon.engine.recovery import clear_all_parts, clear_styles, finish_interrupted
from daemon.errors import LedgerDamaged, LedgerOutdated, UsageError
from daemon.events import JobDone, JobFailed, Listener, Note
from daemon.folders import originals
from daemon.folders.layout import Layout
from daemon.folders.polling import mounts
from daemon.folders.presets import Presets
from daemon.ledger.database import set_aside
from daemon.ledger.ledger import Ledger
from daemon.ledger.place import Place, place_for
from daemon.lifetime import Systemd
from daemon.settings import Settings
from stylecore.errors import StylefolderError, cause

LOOK_EVERY = 0.25  # seconds, for a Root that was removed


def create_root(layout: Layout, announce: Listener) -> None:
    """Raises UsageError if the Root is a file, and StylefolderError if it cannot be used."""
    root = layout.root
    try:
        if not root.exists():
            announce(Note(f"Creating the folder {root}."))
        root.mkdir(parents=True, exist_ok=True)
        layout.own_folder.mkdir(exist_ok=True)
    except FileExistsError as e:
        raise UsageError(f"{root} is a file: name the folder to watch.") from e
    except OSError as e:
        raise StylefolderError(
            f"The folder {root} cannot be used ({cause(e)}): check its permissions, or choose another."
        ) from e


def open_ledger(layout: Layout, damaged: bool, announce: Listener) -> tuple[Ledger, bool, str | None]:
    """The Root's Ledger, whether it is a new one (then Results that are there already belong to their photos), and what
    is unusual about it. ``damaged``: it turned out to be damaged in use."""
    place, why = place_of_ledger(layout), "was damaged"
    path = place.file
    if not place.locks:  # a lock that a killed daemon left: we hold the Root
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}.lock").rmdir()
    if not damaged:
        try:
            ledger = Ledger(path, layout.root, place.journal, place.locks)
            return ledger, ledger.new, place.remark
        except LedgerOutdated:
            why = "is from a very old version of Stylefolder"
        except LedgerDamaged:
            pass
    aside = set_aside(path)
    sentence = f"The Ledger {why} and was moved to {aside}. A new one is being built from the files in the folders."
    announce(Note(sentence, warning=True))
    return Ledger(path, layout.root, place.journal, place.locks), True, place.remark


def place_of_ledger(layout: Layout) -> Place:
    return place_for(layout.ledger_file, paths.ledgers(), shared=mounts().is_silent(layout.root))


def recover(
    ledger: Ledger,
    layout: Layout,
    presets: Presets,
    settings: Settings,
    announce: Listener,
    keep_alive: Callable[[], None],
) -> None:
    """Finish what a crash interrupted, and remove what it left behind."""
    for job in finish_interrupted(ledger, settings.originals):
        keep_alive()
        announce(JobDone(job, (), (), {}))
    clear_all_parts(layout, keep_alive)
    for job in ledger.queue.recover():
        announce(JobFailed(job))
    for due in ledger.originals.due():
        originals.settle(ledger, layout, due, announce)
    uploads.clear(layout.uploads, ledger, settings.upload_hours * 3600)
    clear_styles(layout.style_store, [*presets.in_force.values(), *ledger.history.presets_in_use()])


def wait_for_root(root: Path, mount: str | None, stopped: Callable[[], bool], systemd: Systemd) -> bool:
    """Returns whether it is back; False once ``stopped``. ``mount``: where its file system was mounted. An empty folder
    in that place, on the disk below, is not the Root."""
    # Path.is_dir raises for a dead mount.
    while not stopped() and not (os.path.isdir(root) and mounts().path(root) == mount):
        systemd.alive()
        time.sleep(LOOK_EVERY)
    return not stopped()
