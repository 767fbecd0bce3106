"""The daemon's side of the cluster: Dask's scheduler and a client, in a thread of their own. Machines that have joined
come and go as ``changes``, and the loop never waits for Dask."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daemon import paths
from daemon.certificates import Certificates, load
from daemon.cluster import transport
from daemon.cluster.invitation import TRUST, join_command, own_certificates
from daemon.cluster.room import Room
from daemon.cluster.slot import Bell, DaskSlot, Member
from daemon.errors import ClusterError
from stylecore.errors import cause

if TYPE_CHECKING:
    from distributed import Scheduler

START_WITHIN = 60.0  # seconds
STOP_WITHIN = 10.0
AGAIN = 5.0  # seconds between two tries to listen again
REACH_WITHIN = 10.0  # seconds for a machine that has joined to be reached
LOOK_EVERY = 2.0  # seconds between two looks at the certificates' file
ROOM = 300_000_000  # bytes of photos and Results that travel at once; each is in memory two or three times
EVENTS = 200  # messages about steps per second, of all Slots together


def opened(address: str, wake: Callable[[], None]) -> Hub:
    """``address``: host:port. Raises ClusterError."""
    transport.prepare()
    host, _, port = address.rpartition(":")
    own_certificates()
    return Hub(host, int(port), wake)


class Hub:
    """``wake`` is called when there is a change."""

    def __init__(self, host: str, port: int, wake: Callable[[], None]) -> None:
        self._host = host
        self._port = port
        self._wake = wake
        self.problem: str | None = None
        self._facts = transport.facts()
        self._bell = Bell()
        self._room = Room(ROOM)
        self._came: queue.SimpleQueue[list[DaskSlot]] = queue.SimpleQueue()
        self._slots: dict[str, list[DaskSlot]] = {}  # by address, once they are ready
        self._open = asyncio.Event()  # machines can join
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
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def invitation(self) -> tuple[str, ...]:
        """How other machines join; the command has a line of its own."""
        where = f"Other machines can join at {self.address}: copy {paths.cluster_file()} there"
        return f"{where}, and run this with its path. {TRUST}", join_command(self.address)

    @property
    def remarks(self) -> tuple[str, ...]:
        return () if self._slots else ("No other machine has joined.",)

    def alive(self) -> None:
        """The loop is. Call this often."""
        self._heard = time.monotonic()

    def came(self) -> list[DaskSlot]:
        """The Slots of machines that have joined since the last call. Those that have left are dead."""
        found = []
        while not self._came.empty():
            found += self._came.get()
        return found

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_WITHIN)
        self._bell.close()

    # In the cluster's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as e:  # whatever Dask raises
            self.problem = f"The cluster has stopped ({type(e).__name__}: {e}): restart the daemon."
            self._begun.put(e)
            self._wake()

    async def _serve(self) -> None:
        """Once more for each renewal of the certificates: those who have joined with the old ones lose their
        connection. And again and again while our own address is away, once it has been there. Raises what Dask
        raises if it is not there at first."""
        certificates: Certificates | None = own_certificates()
        begun = False
        while certificates is not None and not self._stop.is_set():
            try:
                certificates = await self._serve_with(certificates)
            except Exception as e:  # whatever Dask raises
                if not (begun := begun or self._open.is_set()):
                    raise
                why = cause(e.__cause__) if isinstance(e.__cause__, OSError) else f"{type(e).__name__}: {e}"
                self.problem = f"The cluster cannot listen on {self.address} ({why}). It tries again."
            begun = True
            self._open.clear()
            await self._lose_all()
            if self.problem is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), AGAIN)

    async def _lose_all(self) -> None:
        """What has arrived is still written."""
        slots = [slot for found in self._slots.values() for slot in found]
        for address in list(self._slots):
            self._lose(address)
        if tasks := [slot.task for slot in slots if slot.task is not None]:
            await asyncio.wait(tasks, timeout=STOP_WITHIN / 2)

    async def _serve_with(self, certificates: Certificates) -> Certificates | None:
        """Returns the next certificates, or None at the end."""
        from distributed import Client, Scheduler
        from distributed.diagnostics.plugin import SchedulerPlugin

        hub = self

        class Goings(SchedulerPlugin):
            def remove_worker(self, scheduler: Scheduler, worker: str, **_: object) -> None:
                hub._lose(worker)

        security = transport.security(certificates)
        async with Scheduler(
            host=self._host,
            port=self._port,
            protocol="tls",
            security=security,
            dashboard=False,
            dashboard_address=transport.HTTP,
            worker_ttl=transport.LOST_AFTER,
            allowed_failures=0,
            extensions={},  # some keep a little of each task for ever
            plugins=[Goings()],
        ) as self._scheduler:
            self._scheduler.handlers |= {
                transport.JOIN: self._asked,
                transport.READY: self._ready,
                transport.RENEW: self._renewed,
                transport.LEAVE: self._left,
            }
            self._scheduler.stream_handlers[transport.SAY] = self._said
            async with Client(
                self._scheduler.address, asynchronous=True, security=security, set_as_default=False
            ) as self._client:
                self.problem = None
                self._open.set()
                self._begun.put(None)
                return await self._renewed_certificates(certificates)

    async def _renewed_certificates(self, used: Certificates) -> Certificates | None:
        """Waits until there is a reason to serve again: with which certificates. None at the end."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_EVERY)
            if self._client.status == "closed":  # its connection to our own address was lost
                return used
            with contextlib.suppress(ClusterError):  # a file that cannot be read ends nothing
                if (found := load(paths.cluster_file())) != used:
                    return found
        return None

    def _asked(self, facts: dict[str, Any]) -> dict[str, Any]:
        """A machine asks whether it may join."""
        return {"refusal": transport.objection(self._facts, facts)}

    async def _ready(self, host: str, devices: list[str], address: str) -> dict[str, Any]:
        """A machine has joined. It gets Jobs if we reach it, too: photos and Results travel that way."""
        await self._open.wait()
        member = Member(host, address, tuple(devices), self._room)
        numbers = range(len(devices))
        try:
            async with asyncio.timeout(REACH_WITHIN):
                for number in numbers:  # whoever watched before is gone
                    await self._scheduler.rpc(address).stylefolder_control(slot=number, key="", previews=False)
        except (OSError, TimeoutError) as e:
            where = address.partition("://")[2]
            return {
                "problem": f"The daemon cannot connect to {host} at {where} ({type(e).__name__}): allow that in its "
                "firewall, or use a VPN."
            }
        if address not in self._scheduler.workers:
            return {"problem": "The connection was lost just now."}
        slots = [DaskSlot(member, number, self._bell, self._loop, self._scheduler, self._client) for number in numbers]
        self._slots[address] = slots
        self._came.put(slots)
        self._wake()
        return {"problem": None}

    def _lose(self, address: str) -> None:
        for slot in self._slots.pop(address, []):
            slot.lose(f"The connection to {slot.member.host} was lost")
        self._wake()

    def _left(self, address: str) -> None:
        """It takes no new Job, and gives back those that it has."""
        for slot in self._slots.get(address, []):
            slot.leave()

    def _renewed(self) -> dict[str, float]:
        """Each machine asks this. If our own loop hangs, the machines drop their Jobs, as if we were away."""
        if time.monotonic() - self._heard > transport.LOST_AFTER / 2:
            return {}
        return {"pace": sum(map(len, self._slots.values())) / EVENTS}

    def _said(self, slot: int, key: str, message: bytes, worker: str) -> None:
        if found := self._slots.get(worker):
            said = pickle.loads(message)  # noqa: S301 - whoever has the certificate is trusted
            found[slot].hear(key, said)
