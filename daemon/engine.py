"""The Engine: one worker process, fed from the Ledger one Job at a time. ``turn`` does what there is to do, once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from daemon.events import Event, JobChosen, JobDone, JobFailed, JobStarted, JobStepped
from daemon.ledger import MAX_ATTEMPTS, Job, Ledger
from daemon.worker import Chosen, Finished, Order, Stepped, run

STOP_WITHIN = 5.0  # seconds for a worker to end by itself


class Engine:
    """``names(job)`` gives the Result's path for every extension; ``tell`` receives the events."""

    def __init__(self, ledger: Ledger, device: str, names: Callable[[Job], dict[str, Path]], tell: Callable[[Event], None]) -> None:
        self.ledger = ledger
        self.device = device
        self.names = names
        self.tell = tell
        self.job: Job | None = None
        self.process: BaseProcess | None = None
        self.pipe: Connection | None = None

    @property
    def idle(self) -> bool:
        return self.job is None

    def turn(self, wait: float) -> None:
        """Give the worker a Job if it has none, then hear it out for at most ``wait`` seconds."""
        if self.job is None:
            self._feed()
        self._listen(wait)

    def stop(self) -> None:
        """End the worker; a Job that it had is queued again."""
        self._listen(0)
        if self.job is not None:
            self.ledger.put_back(self.job)
            self.job = None
        self._dismiss()

    def _listen(self, wait: float) -> None:
        try:
            while self.pipe is not None and self.pipe.poll(wait):
                self._hear(self.pipe.recv())
                wait = 0
        except (EOFError, ConnectionResetError):
            self._bury()

    def _dismiss(self) -> None:
        """A closed pipe ends the worker at its next step; one that does not hear is killed."""
        if self.pipe is not None:
            self.pipe.close()
        if self.process is not None:
            self.process.join(STOP_WITHIN)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
        self.pipe = self.process = None

    def _feed(self) -> None:
        job = self.ledger.take()
        if job is None:
            return
        if job.recipe is None:
            raise AssertionError("a queued Job has a recipe")
        self.job = job
        if self.pipe is None:
            self._start()
        assert self.pipe is not None
        self.tell(JobStarted(job))
        try:
            self.pipe.send(Order(job.id, job.photo, job.recipe, job.target, {} if job.target else self.names(job)))
        except (BrokenPipeError, ConnectionResetError):
            self._bury()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a forked CUDA or torch thread pool is not sound
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=run, args=(theirs, self.device), name="stylefolder-worker", daemon=True)
        self.process.start()
        theirs.close()

    def _hear(self, message: Chosen | Stepped | Finished) -> None:
        job = self.job
        if job is None or message.job != job.id:
            return
        if isinstance(message, Chosen):
            self.tell(JobChosen(job, message.device, message.size))
        elif isinstance(message, Stepped):
            self.tell(JobStepped(job, message.step, message.steps, message.scale, message.scales, message.loss, message.share, message.seconds))
        elif message.result is not None:
            self.job = None
            self.tell(JobDone(self.ledger.done(job, message.result), message.notes, message.curve))
        else:
            self.job = None
            if message.ends:
                self._dismiss()
            self.tell(JobFailed(self.ledger.failed(job, message.reason or "", mendable=message.mendable)))

    def _bury(self) -> None:
        """The worker died: its Job is queued again, or after so many deaths failed and named."""
        assert self.process is not None
        self.process.join(STOP_WITHIN)
        code = self.process.exitcode
        self.pipe = self.process = None
        job, self.job = self.job, None
        if job is None:
            return
        if job.attempts < MAX_ATTEMPTS:
            self.ledger.put_back(job, counts=True)
            return
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        reason = f"The worker died of it {job.attempts} times ({cause}): memory may be short; try a smaller --size."
        self.tell(JobFailed(self.ledger.failed(job, reason)))
