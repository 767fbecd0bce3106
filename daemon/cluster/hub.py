"""The daemon's side of the cluster: Dask's scheduler and a client, in a thread of their own. Machines that have joined
come and go as ``changes``, and the loop never waits for Dask."""

from __future__ import annotations

import asyncio
import pickle
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daemon import paths
from daemon.certificates import Certificates
from daemon.cluster import transport
from daemon.cluster.invitation import TRUST, join_command, own_certificates
from daemon.cluster.slot import DaskSlot, Member
from daemon.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Scheduler

START_WITHIN = 60.0  # seconds
STOP_WITHIN = 10.0
EVENTS = 200  # messages about steps per second, of all Slots together


def opened(address: str, wake: Callable[[], None]) -> Hub:
    """``address``: host:port. Raises ClusterError."""
    transport.prepare()
    host, _, port = address.rpartition(":")
    return Hub(host, int(port), own_certificates(), wake)


class Hub:
    """``wake`` is called when there is a change."""

    def __init__(self, host: str, port: int, certificates: Certificates, wake: Callable[[], None]) -> None:
        self._host = host
        self._port = port
        self._certificates = certificates
        self._wake = wake
        self._facts = transport.facts()
        self._came: queue.SimpleQueue[list[DaskSlot]] = queue.SimpleQueue()
        self._members: dict[str, Member] = {}  # by name, as soon as they ask to join
        self._slots: dict[str, list[DaskSlot]] = {}  # by address, once they have joined
        self._begun: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._heard = time.monotonic()  # when the loop was seen to be alive
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)
        self._thread.start()
        problem = self._begun.get(timeout=START_WITHIN)
        if problem is not None:
            raise ClusterError(f"The cluster cannot listen on {host}:{port} ({problem}): choose another address.")

    # Called by the loop

    @property
    def invitation(self) -> tuple[str, ...]:
        """How other machines join; the command has a line of its own."""
        address = f"{self._host}:{self._port}"
        first = f"Other machines can join at {address}: copy {paths.cluster_file()} there, and run this with its path."
        return f"{first} {TRUST}", join_command(address)

    @property
    def remarks(self) -> tuple[str, ...]:
        return () if self._slots else ("No other machine has joined.",)

    def came(self) -> list[DaskSlot]:
        """The Slots of machines that have joined since the last call. Those that have left are dead."""
        self._heard = time.monotonic()
        found = []
        while not self._came.empty():
            found += self._came.get()
        return found

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_WITHIN)

    # In the cluster's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except (OSError, ValueError, RuntimeError) as e:
            self._begun.put(e)

    async def _serve(self) -> None:
        from distributed import Client, Scheduler
        from distributed.diagnostics.plugin import SchedulerPlugin

        hub = self

        class Comings(SchedulerPlugin):
            def add_worker(self, scheduler: Scheduler, worker: str) -> None:
                hub._join(worker, str(scheduler.workers[worker].name))

            def remove_worker(self, scheduler: Scheduler, worker: str, **_: object) -> None:
                hub._lose(worker)

        security = transport.security(self._certificates)
        async with Scheduler(
            host=self._host,
            port=self._port,
            protocol="tls",
            security=security,
            dashboard=False,
            dashboard_address=transport.HTTP,
            worker_ttl=transport.LOST_AFTER,
            allowed_failures=0,
            plugins=[Comings()],
        ) as self._scheduler:
            self._scheduler.handlers |= {
                transport.JOIN: self._asked,
                transport.RENEW: self._renewed,
                transport.LEAVE: self._left,
            }
            self._scheduler.stream_handlers[transport.SAY] = self._said
            async with Client(
                self._scheduler.address, asynchronous=True, security=security, set_as_default=False
            ) as self._client:
                self._begun.put(None)
                await self._stop.wait()

    def _asked(self, name: str, facts: dict[str, Any], devices: list[str]) -> dict[str, Any]:
        """A machine asks to join."""
        if refusal := transport.objection(self._facts, facts):
            return {"refusal": refusal}
        self._members[name] = Member(name, facts["host"], "", tuple(devices))
        return {"refusal": None}

    def _join(self, address: str, name: str) -> None:
        """A Dask worker has come. One that did not ask gets no Job."""
        member = self._members.get(name)
        if member is None:
            return
        member.address = address
        numbers = range(len(member.devices))
        slots = [DaskSlot(member, number, self._loop, self._scheduler, self._client) for number in numbers]
        self._slots[address] = slots
        self._came.put(slots)
        self._wake()

    def _lose(self, address: str) -> None:
        for slot in self._slots.pop(address, []):
            self._members.pop(slot.member.name, None)
            slot.lose(f"the connection to {slot.member.host} was lost")
        self._wake()

    def _left(self, address: str) -> None:
        """It takes no new Job, and gives back those that it has."""
        for slot in self._slots.get(address, []):
            slot.retire(f"{slot.member.host} leaves")

    def _renewed(self) -> dict[str, float]:
        """Each machine asks this. If our own loop hangs, the machines drop their Jobs, as if we were away."""
        if time.monotonic() - self._heard > transport.LOST_AFTER / 2:
            return {}
        return {"pace": sum(map(len, self._slots.values())) / EVENTS}

    def _said(self, slot: int, key: str, message: bytes, worker: str) -> None:
        if found := self._slots.get(worker):
            said = pickle.loads(message)  # noqa: S301 - whoever has the certificate is trusted
            found[slot].hear(key, said)
