"""A DaskSlot: a Slot on another machine. The Engine cannot tell it from a LocalSlot."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from daemon.cluster.parcel import Delivery, pack, size_of
from daemon.cluster.room import Room
from daemon.cluster.station import work
from daemon.engine.messages import Assignment, Finished, Message, Phase, Ready, Waiting
from daemon.engine.slot import SlotDied
from daemon.errors import PhotoChanged
from stylecore.errors import NoRoom, PhotoGone, ResultError, StylefolderError, WeightsError
from stylecore.images.atomic_write import write_part

if TYPE_CHECKING:
    from distributed import Client, Scheduler

BUSY = 0.1  # seconds between two tries to fetch a Result from a machine that has too many connections
ROOM_EVERY = 2.0  # seconds between two tries on a full disk
TRAVEL = 600.0  # seconds that a photo or a Result may take
TURN = 86_400.0  # seconds that it may wait for its turn
TRANSFERS = 4


@dataclass
class Member:
    """A machine that has joined. ``devices``: one for each of its Slots. ``has``: the sha256 of files that it keeps.
    ``transfers``: to and from it, at once. More would not be faster, and each needs a connection of its own. ``room``:
    the memory that the transfers of all machines share."""

    host: str
    address: str
    devices: tuple[str, ...]
    room: Room
    has: set[str] = field(default_factory=set)
    transfers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRANSFERS))


class Bell:
    """Wakes the Engine. All Slots share one: a pair of sockets for each would soon be too many open files."""

    def __init__(self) -> None:
        self.heard, self._rung = socket.socketpair()
        for end in (self.heard, self._rung):
            end.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody listens
            self._rung.send(b".")

    def close(self) -> None:
        self.heard.close()
        self._rung.close()


class DaskSlot:
    """As `daemon.engine.slot.Slot`. The Engine's thread calls the methods up to ``dismiss``; the rest runs in that of
    the cluster, where ``loop``, ``scheduler`` and ``client`` are."""

    pid = None

    def __init__(
        self,
        member: Member,
        number: int,
        bell: Bell,
        loop: asyncio.AbstractEventLoop,
        scheduler: Scheduler,
        client: Client,
    ) -> None:
        self.member = member
        self.number = number
        self.pipe = bell.heard
        self._bell = bell
        self.alive = False
        self.gone: str | None = None
        self._loop = loop
        self._scheduler = scheduler
        self._client = client
        self._said: collections.deque[Message] = collections.deque()
        self._died: str | None = None  # how the worker process on the other machine ended
        self._key = ""  # of the task that has the Job
        self._job = 0
        self._previews = False
        self._unwanted = ""  # the task whose Job was cancelled
        self._leaves = False  # the other machine gives its Jobs back
        self._submitted = False  # the other machine has, or may have, the Job
        self._arrived = False  # the Result is here
        self.task: asyncio.Task[None] | None = None

    @property
    def device(self) -> str:
        """As the other machine was asked for it."""
        return self.member.devices[self.number]

    @property
    def host(self) -> str:
        return self.member.host

    def start(self, device: str, sharers: int) -> None:
        """The other machine starts its worker process with the first Job. It gets none before it answers: it may be
        frozen, or silent for another reason."""
        self.alive, self._died = True, None
        self._soon(self._greet)

    def send(self, assignment: Assignment) -> None:
        self._job, self._submitted, self._arrived = assignment.order.job, False, False
        self._key = f"job-{self._job}-{secrets.token_hex(8)}"
        if self.gone is not None:
            self._bell.ring()
            return
        self._say(Phase(self._job, "reading", TURN))
        self._loop.call_soon_threadsafe(self._begin, assignment, self._key)

    def receive(self, wait: float) -> Message | None:
        """``wait`` is for a LocalSlot: what travels does not come sooner for it."""
        ended = self.task is None or self.task.done()  # before looking: it may say its last word in between
        if self._said:
            return self._said.popleft()
        if ended and self.alive and (self._died or self.gone):
            if self._key and not self._died:
                self._key, counts = "", self._submitted and not self._leaves
                return Finished(self._job, "again", reason=self.gone, blame="system", counts=counts)
            raise SlotDied(self._died or self.gone)
        return None

    def cancel(self, job: int) -> None:
        if job and self._key:
            self._unwanted = self._key
            self._wish(job=job, cancel=True)

    def want_previews(self, wanted: bool) -> None:
        if wanted != self._previews:
            self._previews = wanted
            self._wish(previews=wanted)

    def kill(self) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """A Job that is not done is cancelled; the other machine's memory is free again."""
        self._wish(release=True)
        self.alive, self._key = False, ""
        self._said.clear()

    def hear(self, key: str, message: Message) -> None:
        """From the other machine, about its task ``key``."""
        if key == self._key:
            self._say(message)

    def leave(self) -> None:
        """The other machine takes no new Job, and gives back those that it has."""
        self._leaves = True
        self._retire(f"{self.member.host} leaves")

    def _retire(self, cause: str) -> None:
        self.gone = self.gone or cause
        self._bell.ring()

    def lose(self, cause: str) -> None:
        """The other machine is gone, with its Job, unless the Result is here already."""
        self._retire(cause)
        if self.task is not None and not self._arrived:
            self.task.cancel()

    def _say(self, message: Message) -> None:
        self._said.append(message)
        self._bell.ring()

    def _wish(self, **wishes: object) -> None:
        key = self._key
        self._soon(lambda: self._control(key, **wishes))

    def _soon(self, what: Callable[[], Coroutine[None, None, object]]) -> None:
        with contextlib.suppress(RuntimeError):  # the cluster has ended
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(what()))

    def _begin(self, assignment: Assignment, key: str) -> None:
        self.task = self._loop.create_task(self._do(assignment, key))

    async def _do(self, assignment: Assignment, key: str) -> None:
        from distributed.scheduler import KilledWorker

        job = assignment.order.job
        try:
            self._finish(key, await self._deliver(assignment, key))
        except (PhotoGone, PhotoChanged) as e:
            self._finish(key, Finished(job, "cancelled", reason=str(e)))
        except (WeightsError, ResultError) as e:
            self._finish(key, Finished(job, "failed", reason=str(e), blame="system"))
        except StylefolderError as e:
            self._finish(key, Finished(job, "failed", reason=str(e)))
        except (OSError, TimeoutError, KilledWorker) as e:
            self._retire(f"The connection to {self.member.host} was lost ({type(e).__name__})")
            remove = self._scheduler.remove_worker(self.member.address, stimulus_id="stylefolder-lost")
            self._loop.create_task(remove)  # it joins again, if it can
        except asyncio.CancelledError:
            if self.gone is None:  # not by us
                self._end(key, "the transfer was interrupted")
            raise
        except Exception as e:  # a bug costs an attempt and not the Slot
            self._end(key, f"unexpected error, {type(e).__name__}: {e}")

    def _end(self, key: str, cause: str) -> None:
        """The worker process there died, if the Slot has not gone on to another Job since."""
        if key == self._key:
            self._died = cause
            self._bell.ring()

    def _finish(self, key: str, finished: Finished | None) -> None:
        if finished is not None and key == self._key:
            self._key = ""  # before the Engine hears of it, and gives the next Job
            self._say(finished)
        elif finished is not None and finished.part is not None:
            finished.part.unlink(missing_ok=True)

    async def _deliver(self, assignment: Assignment, key: str) -> Finished | None:
        """Send the Order, wait, and fetch the Result. None if the worker process died."""
        from distributed import wait

        there, job = {"workers": [self.member.address]}, assignment.order.job
        async with self.member.transfers, self.member.room.of(await asyncio.to_thread(size_of, assignment.order)):
            if key != self._key or key == self._unwanted:
                return Finished(job, "cancelled")
            self.hear(key, Phase(job, "reading", TRAVEL))
            parcel = await asyncio.to_thread(pack, assignment.order, frozenset(self.member.has))
            new = set(parcel.contents)
            sent = await self._client.scatter(parcel, direct=True, hash=False, **there)
            del parcel
        self._submitted = True
        future = self._client.submit(work, self.number, sent, key=key, pure=False, retries=0, **there)
        try:
            with self._client.as_current():
                finished = wait([future])
            await finished
            if future.status != "finished":
                raise await future.exception()
            self.hear(key, Phase(job, "writing", TURN))
            task = self._scheduler.tasks.get(key)
            async with self.member.transfers, self.member.room.of(0 if task is None else task.nbytes):
                self.hear(key, Phase(job, "writing", TRAVEL))
                delivery = await self._fetch(key)
        finally:
            future.release()
            sent.release()
        self._arrived = key == self._key
        if delivery.died is not None:
            self._end(key, f"{delivery.died} on {self.member.host}")
            return None
        assert delivery.finished is not None
        if delivery.finished.outcome == "again":  # its disk may be full, or the files may be gone
            self.member.has.clear()
        else:
            self.member.has |= new
        if delivery.finished.outcome != "done":
            return delivery.finished
        return await self._write(assignment, delivery.finished, delivery.result, key)

    async def _fetch(self, key: str) -> Delivery:
        """The task's Result. Dask's Client fetches five at a time from the whole cluster, so a few machines that do not
        answer would hold up all others."""
        from distributed.worker import get_data_from_worker

        while True:
            answer = await get_data_from_worker(self._client.rpc, [key], self.member.address)
            if answer["status"] == "OK":
                return cast("Delivery", answer["data"][key])
            await asyncio.sleep(BUSY)

    async def _write(self, assignment: Assignment, finished: Finished, result: bytes, key: str) -> Finished:
        """Only the daemon writes a Result. On a full disk, it waits, unless nobody wants it any more."""
        order, path = assignment.order, assignment.path(finished.extension)
        while key == self._key and key != self._unwanted:
            try:
                return replace(finished, part=await asyncio.to_thread(write_part, path, result))
            except NoRoom as e:
                if not assignment.waits:
                    raise
                self.hear(key, Waiting(order.job, f"{e} The Result is written as soon as there is space."))
                await asyncio.sleep(ROOM_EVERY)
        return Finished(order.job, "cancelled")

    async def _greet(self) -> None:
        if await self._control(""):
            self._say(Ready())

    async def _control(self, key: str, **wishes: object) -> bool:
        """What someone wants of the Job reaches the worker before its next step. Whether the machine answered: whoever
        notices that it is gone says so."""
        with contextlib.suppress(OSError, TimeoutError):
            await self._scheduler.rpc(self.member.address).stylefolder_control(slot=self.number, key=key, **wishes)
            return True
        return False
