"""Jobs that are worthless once whoever asked for them is gone: an editor that was closed, a plug-in that was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import to_thread

from daemon.errors import LedgerError

TRY_AGAIN = 10.0  # seconds


class Leases:
    """Use it only in the event loop's thread. ``lapsed`` is called in a separate thread with the number of a Job whose
    lease ran out."""

    def __init__(self, lapsed: Callable[[int], object]) -> None:
        self.lapsed = lapsed
        self._seconds: dict[int, float] = {}  # of the Jobs that have a lease
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._lapsing: set[asyncio.Task[None]] = set()

    def grant(self, job: int, seconds: float) -> None:
        """The lease runs from now on, until someone reads the Job's events. With 0, it runs out immediately."""
        self.hold(job)
        self._seconds[job] = seconds
        self._timers[job] = asyncio.get_running_loop().call_later(seconds, self._start, job)

    def hold(self, job: int) -> None:
        """Someone reads the Job's events."""
        if timer := self._timers.pop(job, None):
            timer.cancel()

    def resume(self, job: int) -> None:
        """Nobody reads the Job's events any more: its lease runs again."""
        if job in self._seconds:
            self.grant(job, self._seconds[job])

    def _start(self, job: int) -> None:
        del self._timers[job]
        task = asyncio.get_running_loop().create_task(self._lapse(job))
        self._lapsing.add(task)
        task.add_done_callback(self._lapsing.discard)

    async def _lapse(self, job: int) -> None:
        try:
            await to_thread.run_sync(self.lapsed, job)
        except LedgerError:
            self.grant(job, TRY_AGAIN)
        else:
            self._seconds.pop(job, None)
