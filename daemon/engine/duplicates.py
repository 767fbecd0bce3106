"""The same bytes under the same recipe are not computed twice: the Result is copied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from daemon.engine.messages import Finished
from daemon.engine.tables import wants_table
from daemon.ledger.job import Job, Order
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look, same
from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_part
from stylecore.images.formats import one_suffix


def copy_of_twin(ledger: Ledger, job: Job, order: Order, result_path: Callable[[Job, str], Path]) -> Finished | None:
    """None if no such Result is still unchanged, if the photo was changed, so that the worker decides, or if a table is
    wanted, too."""
    if wants_table(order.recipe):
        return None
    for result, digest in ledger.history.twins(job, order.recipe):
        if (copy := _copy(job, order, result, digest, result_path)) is not None:
            return copy
    return None


def _copy(
    job: Job, order: Order, result: Path, digest: str, result_path: Callable[[Job, str], Path]
) -> Finished | None:
    extension = one_suffix(result.suffix)
    target = order.target or result_path(job, extension)
    if one_suffix(target.suffix) != extension:
        return None
    try:
        if not same(look(order.photo), order.signature):
            return None
        data = result.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        part = write_part(target, data)
    except (OSError, ResultError):
        return None
    return Finished(job.id, "done", part, extension, digest, copied=True)
