"""The Engine: one worker process, fed from the Ledger one Job at a time. ``turn`` does what there is to do, once."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from daemon.engine.duplicates import copy_of_twin
from daemon.engine.recovery import whole_result
from daemon.engine.worker import Chosen, Controls, Finished, Message, Order, Preview, Ready, Stepped, Waiting, run
from daemon.events import Event, JobCancelled, JobChosen, JobDone, JobFailed, JobPreview, JobStarted, JobStepped, Note
from daemon.folders.completeness import sha256
from daemon.ledger.job import MAX_ATTEMPTS, Job, Original
from daemon.ledger.ledger import Ledger
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import clear_parts

STOP_WITHIN = 5.0  # seconds for a worker to end by itself
IDLE_FOR = 300.0  # seconds without a Job after which the worker, and the device's memory with it, is let go
MAX_STARTS = 3
SLOWER = 20  # a scale's first step is two evaluations of four times the pixels; so often its slowest step before a Job may take
SILENT = "it gave no sign of life"


class WorkerError(StylefolderError):
    """The worker does not even start."""


class Engine:
    """``names(job)`` gives the Result's path for every extension; ``tell`` receives the events; ``patience`` is how many
    seconds a worker may say nothing before it is started anew; ``original`` what is done with a folder's photo at last.

    What the worker said last is kept until the Ledger has it: a turn that raises LedgerFull may be made again.
    """

    def __init__(
        self, ledger: Ledger, device: str, names: Callable[[Job], dict[str, Path]], tell: Callable[[Event], None],
        *, patience: Callable[[], float] = lambda: 600.0, original: Callable[[], Original] = lambda: "keep",
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.device = device
        self.names = names
        self.tell = tell
        self.patience = patience
        self.original = original
        self.job: Job | None = None
        self.waits_for: str | None = None  # why a finished Result cannot be written yet
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._starts = 0  # since a worker was ready
        self._heard = 0.0  # when the worker last gave a sign of life
        self._slowest = 0.0  # seconds between two steps that this Job told of
        self._finished: Finished | None = None
        self._names: dict[str, Path] = {}  # the Job's
        self._device_lost = False  # since the last rest: what is computed on `auto` meanwhile is computed on the CPU
        context = multiprocessing.get_context("spawn")  # a forked CUDA or torch thread pool is not sound
        self._context = context
        self.controls = Controls(context.RawValue("q", 0), context.RawValue("b", 0))

    @property
    def idle(self) -> bool:
        """Neither a Job nor a worker that is about to be ready for one."""
        return self.job is None and (self._ready or self._process is None)

    @property
    def worker(self) -> int | None:
        """Its process's number."""
        process = self._process
        return None if process is None else process.pid

    @property
    def worked(self) -> bool:
        """Whether there is a worker that has begun well."""
        return self._ready

    def turn(self, wait: float) -> bool:
        """Give the worker a Job if it has none, then hear it out for at most ``wait`` seconds. Returns whether there may
        be more to do at once."""
        self._settle()
        fed = False
        if self.job is None and self.ledger.has_queued():
            self.warm()
            if self._ready:
                self._feed()
                fed = True
        if not self.idle:
            self._listen(wait)
            self._settle()
            self._watch_over()
            return True
        if self._process is not None and time.monotonic() - self._heard > IDLE_FOR:
            self._device_lost = False
            self._dismiss()
        return fed

    def warm(self) -> None:
        """Have a worker: a photo is about to come. Raises WorkerError where it has died at its start again and again."""
        if self._process is not None:
            return
        if self._starts >= MAX_STARTS:
            self._starts = 0
            raise WorkerError(f"The worker died {MAX_STARTS} times at its start: `stylefolder doctor` may say why.")
        self._starts += 1
        self._ready = False
        self._heard = time.monotonic()
        try:
            self._pipe, theirs = self._context.Pipe()
        except OSError as e:
            raise WorkerError(f"No worker can be started ({e.strerror}): too much else is open or running.") from e
        device = "cpu" if self._device_lost and self.device == "auto" else self.device
        self._process = self._context.Process(
            target=run, args=(theirs, device, self.controls), name="stylefolder-worker", daemon=True
        )
        try:
            self._process.start()
        except OSError as e:
            self._pipe.close()
            self._pipe = self._process = None
            raise WorkerError(f"No worker can be started ({e.strerror}): too much else is open or running.") from e
        finally:
            theirs.close()

    def cancel(self, job: int) -> None:
        """The worker leaves this Job before its next step. Any thread may ask."""
        self.controls.cancelled.value = job

    def stop(self) -> None:
        """End the worker; a Job that it had is queued again."""
        if self._pipe is not None:
            self._listen(0)
        self._settle()
        self._dismiss()
        if self.job is not None:
            self._finished = self._written(self.job)  # while it was asked to end
            self._settle()
        if self.job is not None:
            self.ledger.put_back(self.job)
            self.job = None

    def abandon(self) -> None:
        """End the worker, with no word to a Ledger that cannot be used: it will find out by itself."""
        self.job = self._finished = None
        self._dismiss()

    def _feed(self) -> None:
        self.controls.cancelled.value = 0
        job = self.ledger.take()
        if job is None:
            return None
        if job.recipe is None:
            raise AssertionError("a queued Job has a recipe")
        self.job, self.waits_for = job, None
        self._heard, self._slowest = time.monotonic(), 0.0
        self.tell(JobStarted(job))
        names = self._names = {} if job.target else self.names(job)
        copy = copy_of_twin(self.ledger, job, names)
        if copy is not None:
            self._finished = copy
            return self._settle()
        assert self._pipe is not None
        try:
            self._pipe.send(
                Order(job.id, job.photo, job.signature, job.recipe, job.target, names, job.source != "command")
            )
        except (BrokenPipeError, ConnectionResetError):
            self._bury()
        return None

    def _listen(self, wait: float) -> None:
        while self._pipe is not None and self._finished is None:
            try:
                if not self._pipe.poll(wait):
                    return
                message = self._pipe.recv()
            except (EOFError, OSError):  # also in the middle of a message
                self._bury()
                return
            self._hear(message)
            wait = 0

    def _hear(self, message: Message) -> None:
        silent, self._heard = time.monotonic() - self._heard, time.monotonic()
        if isinstance(message, Ready):
            self._ready, self._starts = True, 0
            return
        job = self.job
        if job is None or message.job != job.id:
            return
        self.waits_for = message.reason if isinstance(message, Waiting) else None
        match message:
            case Chosen():
                self.tell(JobChosen(job, message.device, message.size))
            case Stepped():
                if message.step > 1:  # before the first the network is loaded
                    self._slowest = max(self._slowest, silent)
                self.tell(
                    JobStepped(
                        job,
                        message.step,
                        message.steps,
                        message.scale,
                        message.scales,
                        message.loss,
                        message.share,
                        message.seconds,
                    )
                )
            case Preview():
                self.tell(JobPreview(job, message.jpeg))
            case Finished():
                self._device_lost |= message.device_lost
                self._finished = message

    def _settle(self) -> None:
        """Write into the Ledger how the Job ended."""
        finished, job = self._finished, self.job
        if finished is None or job is None:
            return
        event: Event | None
        if finished.outcome == "again" and self.ledger.state(job) == "cancelled":
            event = _cancelled(self.ledger.dropped(job, None))
        elif finished.outcome == "again" and job.attempts < MAX_ATTEMPTS:
            self.ledger.put_back(job, counts=True)
            event = Note(f"{job.photo.name}: {finished.reason}; it is tried again{self._elsewhere()}.", warning=True)
        elif finished.outcome == "done":
            assert finished.result is not None
            original = self.original() if job.source == "folder" else "keep"
            ended = self.ledger.done(job, finished.result, finished.digest, original)
            event = JobDone(ended, finished.notes, finished.curve, finished.timings, finished.copied)
        elif finished.outcome == "cancelled":
            event = _cancelled(self.ledger.dropped(job, finished.reason))
        else:
            reason = finished.reason or ""
            if finished.outcome == "again":
                remedy = "raise `patience` in the settings, or try" if SILENT in reason else "memory may be short; try"
                reason = f"{reason}, {job.attempts} times: {remedy} a smaller --size."
            failed = self.ledger.failed(job, reason, mendable=finished.mendable)
            event = None if failed is None else JobFailed(failed)
        self.job = self._finished = self.waits_for = None
        if self.controls.cancelled.value == job.id:
            self.controls.cancelled.value = 0  # it may be retried
        if finished.ends:
            self._dismiss()
        if event is not None:
            self.tell(event)

    def _elsewhere(self) -> str:
        return " on the CPU" if self._device_lost and self.device == "auto" else ""

    def _watch_over(self) -> None:
        """A worker that gives no sign of life is killed, which counts as its death."""
        silent = time.monotonic() - self._heard
        if self._process is not None and not self.idle and silent > max(self.patience(), SLOWER * self._slowest):
            self._process.kill()
            self._bury(f"{SILENT} for {silent:.0f} s")

    def _bury(self, cause: str | None = None) -> None:
        """The worker died: its Job is queued again, or after so many deaths failed and named."""
        assert self._process is not None
        self._process.join(STOP_WITHIN)
        code = self._process.exitcode
        self._dismiss()
        job = self.job
        if job is None:
            return
        cause = cause or (f"signal {-code}" if code is not None and code < 0 else f"exit status {code}")
        self._finished = self._written(job) or Finished(job.id, "again", reason=f"The worker died of it ({cause})")

    def _written(self, job: Job) -> Finished | None:
        """By a worker that is no more, and could not say so; what it was writing is taken away."""
        targets = [job.target] if job.target else list(self._names.values())
        for folder in {path.parent for path in targets}:
            clear_parts(folder)
        with contextlib.suppress(OSError):
            if (path := whole_result(self.ledger, job, targets)) is not None:
                return Finished(job.id, "done", path, sha256(path))
        return None

    def _dismiss(self) -> None:
        """A closed pipe ends the worker at its next step; one that does not hear is killed."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(STOP_WITHIN)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._pipe = self._process = None
        self._ready = False


def _cancelled(job: Job | None) -> Event | None:
    """None where it was queued again meanwhile."""
    return None if job is None else JobCancelled(job)
