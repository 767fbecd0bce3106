"""A Runner looks after one Slot: it starts the worker, hands it an Order, hears what it says, and notices when it dies
or hangs. What becomes of the Job is the Engine's business."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.engine.messages import Assignment, Chosen, Finished, Message, Phase, Preview, Ready, Stepped, Waiting
from daemon.engine.slot import Slot, SlotDied
from daemon.errors import WorkerError
from daemon.events import JobChosen, JobPreview, JobStepped, Listener
from daemon.ledger.job import Job, Order
from stylecore.images.atomic_write import clear_parts

IDLE_FOR = 300.0  # seconds without a Job after which the worker, and with it the device's memory, is released
MAX_STARTS = 3
START_WITHIN = 300.0  # seconds for a worker to load its modules on a slow machine
REST = 10.0  # seconds between two tries while no worker starts, or while a device or a disk fails
LONGEST_REST = 6  # doublings of it
SLOWER = 20  # times: a scale's first step is two evaluations of four times the pixels


@dataclass
class Work:
    """A Job on a Slot. ``result_path``: as of the Engine, when the Job was taken. ``begun``: the worker has the Order.
    ``cancelled``: someone has asked for its end. ``finished``: how it ended, until the Ledger has recorded it.
    ``waits_for``: why a finished Result cannot be written yet. ``typical``: seconds that similar Jobs take. ``phase``:
    the current one, if it may take long. ``slowest``: seconds between two steps."""

    job: Job
    order: Order
    result_path: Callable[[Job, str], Path]
    begun: bool = False
    cancelled: bool = False
    finished: Finished | None = None
    waits_for: str | None = None
    typical: float | None = None
    phase: Phase | None = None
    slowest: float = 0.0

    @property
    def result(self) -> Path:
        """The Result's name, without an extension unless someone has asked for one. The temporary file is beside it."""
        return self.order.target or self.result_path(self.job, "")

    def clear_parts(self) -> None:
        """Remove the temporary file of a worker that is gone."""
        clear_parts(self.result.parent)


class Runner:
    """``device``: as requested (auto, cuda:1, ...); ``sharers`` Slots are on it. ``announce`` receives the events of
    the Job on this one."""

    def __init__(self, slot: Slot, device: str, sharers: int, announce: Listener) -> None:
        self.slot = slot
        self.device = device
        self.sharers = sharers
        self.announce = announce
        self.words: str | None = None  # the device's, once the worker has said so
        self.gpus: tuple[str, ...] = ()  # of this machine, likewise
        self.work: Work | None = None
        self.ready = False  # the worker is ready for Jobs
        self.device_lost = False  # since the worker was last released: `auto` means the CPU until then
        self._starts = 0  # since a worker was ready
        self._heard = 0.0  # when the worker last said something
        self._rests_until = 0.0
        self._deaths = 0  # of Jobs, one after another

    @property
    def place(self) -> object:
        """What its Jobs' deaths may be due to: the other machine, or this Slot."""
        return self.slot.host or self

    @property
    def idle(self) -> bool:
        """Whether there is no Job, and no worker that is about to be ready for one."""
        return self.work is None and (self.ready or not self.slot.alive)

    @property
    def free(self) -> bool:
        return self.work is None and self.ready and not self.rests

    @property
    def soon_free(self) -> bool:
        """Free, or with a worker that has just been started. One that does not get ready is not counted on."""
        starts = self.work is None and self.slot.alive and time.monotonic() - self._heard < REST
        return self.free or (starts and not self.rests)

    @property
    def writes(self) -> bool:
        """Whether a Result is being written, or on its way."""
        work = self.work
        return work is not None and work.finished is None and work.phase is not None and work.phase.name == "writing"

    @property
    def on_cpu_instead(self) -> bool:
        return self.device_lost and self.device == "auto"

    @property
    def rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def rest(self, seconds: float = REST) -> None:
        """Take no Job for a while: others may be able to do what this one is not."""
        self._rests_until = time.monotonic() + seconds

    def ended(self, *, died: bool) -> None:
        """A Job has ended. If one after another dies here, rest longer and longer, and leave Jobs to others."""
        self._deaths = self._deaths + 1 if died else 0
        if self._deaths > 1:
            self.rest(REST * 2 ** min(self._deaths - 2, LONGEST_REST))

    def warm(self) -> None:
        """Start a worker. If none starts, or it dies again and again while starting, raises WorkerError and rests."""
        try:
            if self._starts >= MAX_STARTS:
                raise WorkerError(f"The worker died {MAX_STARTS} times while starting: run `stylefolder doctor`.")
            self.slot.start("cpu" if self.on_cpu_instead else self.device, self.sharers)
        except WorkerError:
            self._starts = 0
            self.rest()
            raise
        self._starts += 1
        self._heard = time.monotonic()

    def send(self, work: Work) -> str | None:
        """Give the worker the Order. Returns the cause if it died."""
        self._heard = time.monotonic()
        try:
            self.slot.send(Assignment(work.order, work.result, waits=work.job.source != "command"))
        except SlotDied as e:
            return str(e)
        return None

    def listen(self, wait: float = 0) -> None:
        """Hear what the worker says, up to the end of its Job; wait for so many seconds for the first word."""
        while self.work is None or self.work.finished is None:
            try:
                message = self.slot.receive(wait)
            except SlotDied as e:
                self.died(str(e))
                return
            if message is None:
                return
            self._hear(message)
            wait = 0

    def _hear(self, message: Message) -> None:
        silent, self._heard = time.monotonic() - self._heard, time.monotonic()
        if isinstance(message, Ready):
            self.ready, self._starts, self.gpus = True, 0, message.gpus
            return
        work = self.work
        if work is None or message.job != work.job.id:
            return
        phase, work.phase = work.phase, message if isinstance(message, Phase) else None
        work.waits_for = message.reason if isinstance(message, Waiting) else None
        match message:
            case Chosen():
                self.words = message.device
                if work.typical is None:
                    work.typical = message.seconds
                device = message.device if self.slot.host is None else f"{self.slot.host}: {message.device}"
                self.announce(JobChosen(work.job, device, message.size, work.typical, message.memory))
            case Stepped():
                if phase is None:
                    work.slowest = max(work.slowest, silent)
                self.announce(_stepped(work, message))
            case Preview():
                self.announce(JobPreview(work.job, message.jpeg))
            case Finished():
                self.device_lost |= message.device_lost
                work.finished = message

    def kill_if_hung(self, patience: float) -> None:
        """A worker that has been silent for longer than its phase may take is killed, which counts as its death."""
        if self.idle or not self.slot.alive or (self.work is not None and not self.work.begun):
            return
        silent, allowed = time.monotonic() - self._heard, START_WITHIN
        if self.work is not None:
            allowed = self.work.phase.seconds if self.work.phase else SLOWER * self.work.slowest
        if silent > max(patience, allowed):
            self.slot.kill()
            self.died(f"no sign of life for {silent:.0f} s")

    def died(self, cause: str) -> None:
        """The worker's Job is queued again or, after MAX_ATTEMPTS deaths, fails."""
        self.dismiss()
        if self.work is not None:
            self.work.clear_parts()
            reason = f"The worker died ({cause})"
            self.work.finished = Finished(self.work.job.id, "again", reason=reason, counts=self.work.begun)

    def release_if_unused(self) -> None:
        if self.idle and self.slot.alive and time.monotonic() - self._heard > IDLE_FOR:
            self.device_lost = False
            self.dismiss()

    def dismiss(self) -> None:
        self.slot.dismiss()
        self.ready = False

    def kill(self) -> None:
        self.work = None
        self.slot.kill()
        self.ready = False


def _stepped(work: Work, message: Stepped) -> JobStepped:
    spent = time.time() - (work.job.started_at or time.time())
    return JobStepped(
        job=work.job,
        step=message.step,
        steps=message.steps,
        scale=message.scale,
        scales=message.scales,
        loss=message.loss,
        share=message.share,
        seconds=message.seconds,
        left=time_left(spent, message.share, work.typical),
    )


def time_left(spent: float, share: float, typical: float | None) -> float | None:
    """Seconds to the end of a Job, from its ``share`` of the work done: at first from what similar Jobs typically
    take, later more and more from its own pace."""
    by_pace = spent / share - spent if share > 0 else None
    by_others = None if typical is None else max(0.0, typical - spent)
    if by_others is None or by_pace is None:
        return by_pace if by_others is None else by_others
    return by_pace * share + by_others * (1 - share)
