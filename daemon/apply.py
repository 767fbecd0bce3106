"""``stylefolder apply``: photos named on the command line, through a Ledger of their own and the same Engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon import complete, places
from daemon.engine import Engine
from daemon.events import Event, JobFailed
from daemon.ledger import Job, Ledger, Signature
from daemon.lifetime import stoppable
from stylecore.errors import StylefolderError
from stylecore.preset import Preset
from stylecore.result import EXTENSIONS

TICK = 0.25  # seconds that the Engine is heard out in one turn


class UsageError(StylefolderError):
    exit_status = 2


def apply(photos: Sequence[Path], preset: Preset, out: Path | None, device: str, show: Callable[[Event], None]) -> int:
    """``out``: a file for one photo, a folder for several; None: beside each photo. Returns how many failed.

    Raises UsageError where ``out`` does not fit.
    """
    folder = out is not None and (out.is_dir() or len(photos) > 1)
    if out is not None and folder and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, and there are {len(photos)} photos: name a folder after -o.")
    if out is not None and not folder and any(p.exists() and out.exists() and out.samefile(p) for p in photos):
        raise UsageError(f"{out} is the photo itself, which is never changed: give another name after -o.")
    failed = 0

    def tell(event: Event) -> None:
        nonlocal failed
        failed += isinstance(event, JobFailed)
        show(event)

    with stoppable() as stopped, contextlib.closing(Ledger(":memory:")) as ledger:
        for photo in dict.fromkeys(p.absolute() for p in photos):
            target = out.absolute() if out is not None and not folder else None
            _enter(ledger, photo, preset, target, tell)
        engine = Engine(ledger, device, lambda job: _names(job, out if folder else None), tell)
        try:
            while not stopped() and ledger.count("queued", "running"):
                engine.turn(TICK)
        finally:
            engine.stop()
        return failed + ledger.count("queued")  # those that ctrl-C left


def _enter(ledger: Ledger, photo: Path, preset: Preset, target: Path | None, tell: Callable[[Event], None]) -> None:
    reason, digest, signature = None, "", Signature(0, 0, 0, 0)
    try:
        signature = complete.look(photo)
        digest = complete.sha256(photo)
    except OSError as e:
        reason = f"It cannot be read ({e.strerror}): check its name, and that you may read it."
    job = ledger.ask("command", photo, preset, digest, signature, target, reason=reason)
    if reason:
        tell(JobFailed(job))


def _names(job: Job, folder: Path | None) -> dict[str, Path]:
    """``<photo>-<preset>``, beside the photo or in the folder; no file that is there is overwritten."""
    parent = folder.absolute() if folder else job.photo.parent
    return {
        extension: places.free(parent / f"{job.photo.stem[:200]}-{job.preset}{extension}", Path.exists)
        for extension in EXTENSIONS.values()
    }
