"""The Slots of a machine that has joined a daemon: each is a LocalSlot whose Orders and messages travel. Tasks run in
Dask's threads, one for each Slot."""

from __future__ import annotations

import platform
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.cluster.folder import OwnFolder
from daemon.cluster.parcel import Delivery, Parcel, unpack
from daemon.cluster.transport import LOST_AFTER
from daemon.engine.messages import Assignment, Finished, Message, Ready, Stepped
from daemon.engine.runner import START_WITHIN
from daemon.engine.slot import LocalSlot, Slot, SlotDied
from daemon.errors import WorkerError
from stylecore.errors import ResultError, WeightsError

LISTEN = 0.25  # seconds


@dataclass
class Place:
    """A Slot, its device, and how many Slots share that. ``key``: of the task that has it."""

    slot: Slot
    device: str
    sharers: int
    key: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


def places_of(device: str) -> list[Place]:
    """A Slot on each of these devices, with commas between them; ``auto`` and ``cuda`` mean all GPUs. Raises
    WorkerError."""
    names = device.split(",")
    if names in (["auto"], ["cuda"]):
        names = _gpus() or names
    return [Place(LocalSlot(), name, names.count(name)) for name in names]


def _gpus() -> list[str]:
    """As a worker process finds them: only it loads torch."""
    slot = LocalSlot()
    slot.start("auto", 1)
    try:
        ready = slot.receive(START_WITHIN)
    except SlotDied as e:
        raise WorkerError(f"The worker died while starting ({e}): run `stylefolder doctor`.") from e
    finally:
        slot.dismiss()
    return list(ready.gpus) if isinstance(ready, Ready) else []


class Station:
    """``say(number, key, message)`` sends a message about a Slot's task to the daemon; any thread may call it.
    ``weights``: the folder of the user's own weights."""

    def __init__(self, places: Sequence[Place], say: Callable[[int, str, Message], None], weights: Path) -> None:
        self.places = places
        self.say = say
        self.weights = weights
        self._folder = OwnFolder()
        self.cache = self._folder.path / "files"
        self.cache.mkdir()
        self.renewed = time.monotonic()  # when the daemon was heard last
        self.pace = 0.0  # seconds between two messages about one Slot's steps
        self._left: str | None = None  # why this machine leaves
        self._unwanted: set[str] = set()  # tasks whose Jobs were cancelled, even before they begin
        self._released: set[str] = set()  # tasks that nobody waits for

    def work(self, number: int, key: str, parcel: Parcel) -> Delivery:
        """Do a Job. ``key``: of the task."""
        place, job = self.places[number], parcel.job
        self.renewed = time.monotonic()
        self.cache.mkdir(parents=True, exist_ok=True)  # some systems clean up their temporary folders
        with place.lock:
            place.key = key
            place.slot.cancel(job if key in self._unwanted else 0)
            try:
                with tempfile.TemporaryDirectory(dir=self._folder.path) as folder:
                    order = unpack(parcel, Path(folder), self.cache, self.weights)
                    result = Path(folder) / "result" / "result"
                    result.parent.mkdir()
                    finished = self._run(place, number, Assignment(order, result, waits=False))
                    if finished.outcome == "failed" and finished.blame == "system":  # another machine may do it
                        return _again(job, finished.reason)
                    return _delivery(finished)
            except SlotDied as e:
                place.slot.dismiss()
                return Delivery(None, died=str(e))
            except FileNotFoundError as e:  # of a file that it kept: the next parcel brings it again
                return _again(job, e, counts=False)
            except (WeightsError, ResultError, WorkerError, OSError) as e:
                return _again(job, e)
            except Exception as e:  # a bug costs an attempt
                return Delivery(None, died=f"unexpected error, {type(e).__name__}: {e}")
            finally:
                place.key = ""
                self._unwanted.discard(key)
                self._released.discard(key)

    def _run(self, place: Place, number: int, assignment: Assignment) -> Finished:
        slot, job, told = place.slot, assignment.order.job, 0.0
        if not _still_alive(slot) and (ended := self._start(place, job)):
            return ended
        slot.send(assignment)
        while True:
            message = slot.receive(LISTEN)
            if ended := self._stopped(place, job):
                return ended
            if isinstance(message, Finished):
                if message.ends:
                    slot.dismiss()
                return message
            if isinstance(message, Stepped):
                if time.monotonic() - told < self.pace:
                    continue
                told = time.monotonic()
            if message is not None:
                self.say(number, place.key, message)

    def _start(self, place: Place, job: int) -> Finished | None:
        """Start the worker process. Returns how the Job ended, if it did not come to that."""
        place.slot.start(place.device, place.sharers)
        while True:
            try:
                if place.slot.receive(LISTEN) is not None:
                    return None
            except SlotDied as e:
                place.slot.dismiss()
                reason = f"{platform.node()}: the worker died while starting ({e})"
                return Finished(job, "again", reason=reason, blame="system", counts=False)
            if ended := self._stopped(place, job):
                return ended

    def _stopped(self, place: Place, job: int) -> Finished | None:
        """How the Job ended, if this machine leaves, or if nobody waits for it any more."""
        if given_back := self._left or self._silence():
            place.slot.kill()
            return Finished(job, "again", reason=given_back, counts=False)
        if place.key in self._released:
            place.slot.kill()
            return Finished(job, "cancelled")
        return None

    def _silence(self) -> str | None:
        return "The daemon was silent" if time.monotonic() - self.renewed > LOST_AFTER else None

    def control(
        self,
        slot: int,
        key: str,
        job: int = 0,
        previews: bool | None = None,
        cancel: bool = False,
        release: bool = False,
    ) -> None:
        """What the daemon wants of a Slot and of the task that has it. ``release``: nobody waits for its Job any more,
        and the Slot's memory is to be free."""
        place = self.places[slot]
        if previews is not None:
            place.slot.want_previews(previews)
        if cancel:
            self._unwanted.add(key)
            if place.key == key:
                place.slot.cancel(job)
        if release and key:
            self._released.add(key)
        elif release and not place.key:
            place.slot.dismiss()

    def leave(self, why: str) -> None:
        """Give the Jobs back, and end the worker processes. Blocks for some seconds."""
        self._left = why
        for place in self.places:
            with place.lock:
                place.slot.dismiss()

    def close(self) -> None:
        self.leave("this machine leaves")
        self._folder.close()


def _still_alive(slot: Slot) -> bool:
    """Whether the worker process is there. If it died since its last Job, nothing is lost."""
    try:
        return slot.alive and slot.receive(0) is None
    except SlotDied:
        slot.dismiss()
        return False


def _again(job: int, cause: object, *, counts: bool = True) -> Delivery:
    reason = f"{platform.node()}: {cause}".removesuffix(".")
    return Delivery(Finished(job, "again", reason=reason, blame="system", counts=counts))


def _delivery(finished: Finished) -> Delivery:
    if finished.part is None:
        return Delivery(finished)
    return Delivery(replace(finished, part=None), finished.part.read_bytes())


def work(number: int, parcel: Parcel) -> Delivery:
    """The task, as Dask calls it."""
    from distributed import get_worker

    worker = get_worker()
    station: Station = worker.station  # type: ignore[attr-defined]
    return station.work(number, str(worker.get_current_task()), parcel)
