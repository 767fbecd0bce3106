"""Gives a finished Result its name. The Ledger knows the name and the bytes before the file has them, so that a crash
in between loses nothing, and no other file is mistaken for ours."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.photos import Photos
from daemon.ledger.signature import has_bytes
from daemon.paths import differs_by_case, free_name, names_in
from stylecore.errors import Taken
from stylecore.images.atomic_write import put_in_place


def place(
    ledger: Ledger,
    job: Job,
    part: Path,
    wanted: Path,
    digest: str,
    *,
    replace: bool = False,
    before: Callable[[Path], None] = lambda _: None,
) -> None:
    """Rename the temporary file ``part``, whose sha256 is ``digest``, to ``wanted`` or, unless it may ``replace`` what
    is there, to the first name after it that the Job may have. ``before`` is called with the name, to write what
    belongs beside the Result: if we crash in between, the next start finishes the rename.

    Raises LedgerError, after which the same call can be made again, and ResultError.
    """
    photos = ledger.photos
    if _is_placed(ledger, job, part):
        return None
    names = names_in(wanted.parent)
    while True:
        target = wanted
        if not replace:
            target = free_name(wanted, functools.partial(_is_taken, photos, job, names))
        ours = replace or photos.may_write(target, job) == "ours"
        ledger.queue.finishing(job, part, target, digest)
        try:
            before(target)
            return put_in_place(part, target, replace=ours)
        except Taken:
            pass  # a file appeared there just now


def _is_taken(photos: Photos, job: Job, names: Mapping[str, set[str]], path: Path) -> bool:
    state = photos.may_write(path, job)
    return state is None or (state == "free" and differs_by_case(path, names))


def _is_placed(ledger: Ledger, job: Job, part: Path) -> bool:
    """Whether an earlier call came as far as the rename."""
    for _, known, result, digest in ledger.history.interrupted(job):
        if known == part and not os.path.lexists(part):
            return has_bytes(result, digest)
    return False
