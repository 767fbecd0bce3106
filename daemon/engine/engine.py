"""The Engine: feeds a Slot from the Ledger, one Job at a time. ``turn`` does what there is to do, once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from daemon.engine.duplicates import copy_of_twin
from daemon.engine.messages import Assignment, Chosen, Finished, Message, Phase, Preview, Ready, Stepped, Waiting
from daemon.engine.placing import place
from daemon.engine.slot import STOP_WITHIN, LocalSlot, SlotDied
from daemon.engine.tables import in_series, keep_for_series, write_tables
from daemon.errors import WorkerError
from daemon.events import (
    Event,
    JobCancelled,
    JobChosen,
    JobDone,
    JobFailed,
    JobPreview,
    JobQueued,
    JobStarted,
    JobStepped,
    Note,
)
from daemon.ledger.job import MAX_ATTEMPTS, Failure, Job, Order
from daemon.ledger.ledger import Ledger
from daemon.settings import Settings
from stylecore.errors import ResultError
from stylecore.images.atomic_write import clear_parts
from stylecore.images.complete import BLACK_END
from stylecore.preset import Painting

IDLE_FOR = 300.0  # seconds without a Job after which the worker, and with it the device's memory, is released
MAX_STARTS = 3
START_WITHIN = 300.0  # seconds for a worker to load its modules on a slow machine
SLOWER = 20  # times: a scale's first step is two evaluations of four times the pixels


class Engine:
    """``result_path(job, extension)`` is where a Job's Result should go if nothing else is there. If it is replaced, a
    running Job keeps the one that it started with. ``announce`` receives the events.

    How the Job ended is kept until the Ledger has recorded it, so a turn that raises LedgerUnavailable can be repeated.
    """

    def __init__(
        self,
        ledger: Ledger,
        device: str,
        announce: Callable[[Event], None],
        result_path: Callable[[Job, str], Path],
    ) -> None:
        self.ledger = ledger
        self.device = device
        self.announce = announce
        self.result_path = result_path
        self.slot = LocalSlot()
        self.job: Job | None = None
        self.waits_for: str | None = None  # why a finished Result cannot be written yet
        self.ready = False  # a worker is ready for Jobs
        self._settings = Settings()
        self._order: Order | None = None
        self._begun = True  # the worker has the Order
        self._path_of_result = result_path  # for the current Job
        self._starts = 0  # since a worker was ready
        self._heard = 0.0  # when the worker last said something
        self._phase: Phase | None = None  # the worker's current phase
        self._slowest = 0.0  # seconds between two steps of this Job
        self._typical: float | None = None  # seconds that similar Jobs take
        self._finished: Finished | None = None
        self._device_lost = False  # since the worker was last released: `auto` means the CPU until then

    @property
    def idle(self) -> bool:
        """Whether there is no Job, and no worker that is about to be ready for one."""
        return self.job is None and (self.ready or not self.slot.alive)

    def turn(self, wait: float, settings: Settings) -> bool:
        """Give the worker a Job if it has none, then listen for at most ``wait`` seconds. Returns whether there may be
        more to do right away. Raises WorkerError, LedgerError."""
        self._settings = settings
        self._settle()
        fed = False
        if self.job is not None and not self._begun:
            self._begin(self.job)
        if self.job is None and self.ledger.queue.has_queued():
            self.warm()
            if self.ready:
                self._feed()
                fed = True
        if not self.idle:
            self._listen(wait)
            self._settle()
            self._kill_if_hung()
            return True
        if self.slot.alive and time.monotonic() - self._heard > IDLE_FOR:
            self._device_lost = False
            self._dismiss()
        return fed

    def warm(self) -> None:
        """Start a worker, because a photo is about to arrive. Raises WorkerError if it keeps dying while starting."""
        if self.slot.alive:
            return
        if self._starts >= MAX_STARTS:
            self._starts = 0
            raise WorkerError(f"The worker died {MAX_STARTS} times while starting: run `stylefolder doctor`.")
        self._starts += 1
        self._heard = time.monotonic()
        self.slot.start("cpu" if self._on_cpu_instead else self.device)

    def cancel(self, job: int) -> None:
        """The worker leaves this Job before its next step. Any thread may call this."""
        self.slot.controls.cancelled.value = job

    def want_previews(self, wanted: bool) -> None:
        """Any thread may call this."""
        self.slot.controls.previews.value = wanted

    def stop(self) -> None:
        """Stop the worker. Its Job, if any, is queued again, unless the Result is being written."""
        writing = self._phase is not None and self._phase.name == "writing"
        self._listen(STOP_WITHIN if writing else 0)
        self._settle()
        self._dismiss()
        if self.job is not None and self._order is not None:
            self._clear_parts(self.job, self._order)
            self.ledger.queue.put_back(self.job)
            self.job = None

    def abandon(self) -> None:
        """Kill the worker, if it is still there, without telling the Ledger. The next start recovers."""
        self.job = self._finished = None
        self.slot.kill()
        self.ready = False

    def _feed(self) -> None:
        self.slot.controls.cancelled.value = 0
        taken = self.ledger.queue.take()
        if taken is None:
            return
        self.job, self._order = taken
        self._begun = False
        self._path_of_result = self.result_path
        self.waits_for = self._phase = None
        self._begin(self.job)

    def _begin(self, job: Job) -> None:
        """Ask the Ledger what the worker needs besides the Order, and send it. If the Ledger cannot answer, the next
        turn asks again."""
        assert self._order is not None
        self._order = order = in_series(self.ledger, job, self._order)
        self._typical = self.ledger.history.typical_seconds(job)
        self._finished = copy_of_twin(self.ledger, job, order, self._path_of_result)
        self._begun = True
        self._heard, self._slowest = time.monotonic(), 0.0
        died: SlotDied | None = None
        if self._finished is None:
            try:
                self.slot.send(Assignment(order, self._folder(job, order), waits=job.source != "command"))
            except SlotDied as e:
                died = e
        self.announce(JobStarted(job, self._typical))
        if died is not None:
            self._died(str(died))
        self._settle()

    def _folder(self, job: Job, order: Order) -> Path:
        """Where the Result's temporary file goes: beside its final name, whatever format it has."""
        return (order.target or self._path_of_result(job, ".jpg")).parent

    def _listen(self, wait: float) -> None:
        while self._finished is None:
            try:
                message = self.slot.receive(wait)
            except SlotDied as e:
                self._died(str(e))
                return
            if message is None:
                return
            self._hear(message)
            wait = 0

    def _hear(self, message: Message) -> None:
        silent, self._heard = time.monotonic() - self._heard, time.monotonic()
        if isinstance(message, Ready):
            self.ready, self._starts = True, 0
            return
        job = self.job
        if job is None or message.job != job.id:
            return
        phase, self._phase = self._phase, message if isinstance(message, Phase) else None
        self.waits_for = message.reason if isinstance(message, Waiting) else None
        match message:
            case Chosen():
                if self._typical is None:
                    self._typical = message.seconds
                self.announce(JobChosen(job, message.device, message.size, self._typical, message.memory))
            case Stepped():
                if phase is None:
                    self._slowest = max(self._slowest, silent)
                self.announce(self._stepped(job, message))
            case Preview():
                self.announce(JobPreview(job, message.jpeg))
            case Finished():
                self._device_lost |= message.device_lost
                self._finished = message

    def _stepped(self, job: Job, message: Stepped) -> JobStepped:
        spent = time.time() - (job.started_at or time.time())
        return JobStepped(
            job=job,
            step=message.step,
            steps=message.steps,
            scale=message.scale,
            scales=message.scales,
            loss=message.loss,
            share=message.share,
            seconds=message.seconds,
            left=time_left(spent, message.share, self._typical),
        )

    def _settle(self) -> None:
        """Write to the Ledger how the Job ended, if it has."""
        finished, job = self._finished, self.job
        if finished is None or job is None:
            return
        queue = self.ledger.queue
        event: Event | None
        if finished.outcome == "done":
            event = self._place(job, finished)
        elif finished.outcome == "cancelled":
            dropped = queue.dropped(job, finished.reason)
            event = JobCancelled(dropped) if dropped is not None else self._queued_again(job)
        elif finished.outcome == "again" and job.attempts < MAX_ATTEMPTS:
            back = queue.put_back(job, counts=True)
            event = JobCancelled(back) if back is not None and back.state == "cancelled" else self._queued_again(job)
            if not isinstance(event, JobCancelled):
                where = " on the CPU" if self._on_cpu_instead else ""
                self.announce(Note(f"{job.photo.name}: {finished.reason}. Trying again{where}.", warning=True))
        else:
            failed = queue.failed(job, Failure(finished.blame, self._reason(finished, job)))
            event = JobFailed(failed) if failed is not None else self._queued_again(job)
        self.job = self._finished = self.waits_for = self._phase = None
        if self.slot.controls.cancelled.value == job.id:
            self.slot.controls.cancelled.value = 0  # it may be retried
        if finished.ends:
            self._dismiss()
        if event is not None:
            self.announce(event)

    def _reason(self, finished: Finished, job: Job) -> str:
        if finished.outcome != "again":
            return finished.reason or ""
        remedy = "raise `patience` in the settings, or try" if "sign of life" in (finished.reason or "") else "try"
        sized = self._order is not None and isinstance(self._order.recipe, Painting)
        smaller = "a smaller --size" if sized else "a smaller photo"
        return f"{finished.reason} {job.attempts} times: {remedy} {smaller}, which needs less memory and time."

    def _queued_again(self, job: Job) -> JobQueued | None:
        now = self.ledger.history.job(job.id)
        return JobQueued(now) if now is not None and now.state == "queued" else None

    def _place(self, job: Job, finished: Finished) -> Event | None:
        assert finished.part is not None and self._order is not None
        queue, named = self.ledger.queue, self._order.target
        wanted = named or self._path_of_result(job, finished.extension)
        keep_for_series(self.ledger, self._order, finished.table)
        notes, order = list(finished.notes), self._order

        def write(result: Path) -> None:
            notes.extend(write_tables(order.recipe, finished.table, result))

        try:
            place(self.ledger, job, finished.part, wanted, finished.digest, replace=named is not None, before=write)
        except ResultError as e:
            with contextlib.suppress(OSError):  # then the next start removes it
                finished.part.unlink(missing_ok=True)
            failed = queue.failed(job, Failure("system", str(e)))
            return JobFailed(failed) if failed is not None else self._queued_again(job)
        keeps = job.source != "folder" or BLACK_END in finished.notes  # what may be half a photo is never thrown away
        done = queue.done(job, "keep" if keeps else self._settings.originals)
        return JobDone(done, tuple(notes), finished.curve, finished.timings, finished.copied)

    @property
    def _on_cpu_instead(self) -> bool:
        return self._device_lost and self.device == "auto"

    def _kill_if_hung(self) -> None:
        """A worker that has been silent for longer than its phase may take is killed, which counts as its death."""
        if self.idle or not self.slot.alive:
            return
        silent = time.monotonic() - self._heard
        allowed = self._phase.seconds if self._phase else SLOWER * self._slowest if self.ready else START_WITHIN
        if silent > max(self._settings.patience, allowed):
            self.slot.kill()
            self._died(f"no sign of life for {silent:.0f} s")

    def _died(self, cause: str) -> None:
        """The worker's Job is queued again or, after MAX_ATTEMPTS deaths, fails."""
        self._dismiss()
        if self.job is not None and self._order is not None:
            self._clear_parts(self.job, self._order)
            self._finished = Finished(self.job.id, "again", reason=f"The worker died ({cause})")

    def _clear_parts(self, job: Job, order: Order) -> None:
        clear_parts(self._folder(job, order))

    def _dismiss(self) -> None:
        self.slot.dismiss()
        self.ready = False


def time_left(spent: float, share: float, typical: float | None) -> float | None:
    """Seconds to the end of a Job, from its ``share`` of the work done: at first from what similar Jobs typically
    take, later more and more from its own pace."""
    by_pace = spent / share - spent if share > 0 else None
    by_others = None if typical is None else max(0.0, typical - spent)
    if by_others is None or by_pace is None:
        return by_pace if by_others is None else by_others
    return by_pace * share + by_others * (1 - share)
