"""Jobs that are worth nothing when who asked for them is gone: an editor that was closed, a plug-in that was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.ledger.database import LedgerError

AGAIN = 10.0  # seconds until it is tried again


class Leases:
    """All in the event loop's thread. ``lapsed`` receives the number of a Job whose lease ran out."""

    def __init__(self, lapsed: Callable[[int], object]) -> None:
        self.lapsed = lapsed
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def grant(self, job: int, seconds: float) -> None:
        """From now on; a stream that holds the Job ends the time. With 0 it lapses at once."""
        self.hold(job)
        self._timers[job] = asyncio.get_running_loop().call_later(seconds, self._lapse, job)

    def hold(self, job: int) -> None:
        if timer := self._timers.pop(job, None):
            timer.cancel()

    def _lapse(self, job: int) -> None:
        del self._timers[job]
        try:
            self.lapsed(job)
        except LedgerError:
            self.grant(job, AGAIN)
