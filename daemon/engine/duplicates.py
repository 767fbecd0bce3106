"""The same bytes under the same recipe are not computed twice: the Result is copied."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from daemon import paths
from daemon.engine.worker import Finished
from daemon.folders.completeness import look
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_whole


def copy_of_twin(ledger: Ledger, job: Job, names: dict[str, Path]) -> Finished | None:
    """None where there is no such Result, or it is no longer as it was made, or the photo is no longer as it was seen:
    then the worker decides."""
    twin = ledger.twin(job)
    if twin is None:
        return None
    result, digest = twin
    extension = paths.canonical(result.suffix)
    target = job.target or names.get(extension)
    if target is None or paths.canonical(target.suffix) != extension:
        return None
    try:
        if look(job.photo) != job.signature:
            return None
        data = result.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        write_whole(target, data, replace=job.target is not None or os.path.lexists(target))
    except (OSError, ResultError):
        return None
    return Finished(job.id, "done", target, digest, copied=True)
