"""The Engine: feeds its Slots from the Ledger, one Job to each. ``turn`` does what there is to do, once."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from daemon.engine.duplicates import copy_of_twin
from daemon.engine.messages import Finished
from daemon.engine.placing import place
from daemon.engine.runner import Runner, Work
from daemon.engine.slot import STOP_WITHIN, LocalSlot, Slot, wait_for_any
from daemon.engine.tables import in_series, keep_for_series, write_tables
from daemon.errors import WorkerError
from daemon.events import Event, JobCancelled, JobDone, JobFailed, JobQueued, JobStarted, Listener, Note
from daemon.ledger.job import MAX_ATTEMPTS, Failure, Job
from daemon.ledger.ledger import Ledger
from daemon.settings import Settings
from stylecore.errors import ResultError
from stylecore.images.complete import BLACK_END
from stylecore.preset import Painting


class Engine:
    """``device``: one, or several with commas between them; there is a Slot on each. "" for no Slot on this machine.
    ``result_path(job, extension)`` is where a Job's Result should go if nothing else is there; with an empty extension,
    which is not known yet, only the folder counts. If it is replaced, running Jobs keep the one that they started with.
    ``announce`` receives the events.

    How a Job ended is kept until the Ledger has recorded it, so a turn that raises LedgerUnavailable can be repeated.
    """

    def __init__(
        self,
        ledger: Ledger,
        device: str,
        announce: Listener,
        result_path: Callable[[Job, str], Path],
    ) -> None:
        self.ledger = ledger
        self.announce = announce
        self.result_path = result_path
        names = device.split(",") if device else []
        self.runners = [Runner(LocalSlot(), name, names.count(name), announce) for name in names]
        self._takes_all = device in ("auto", "cuda")
        self._settings = Settings()
        self._previews = False
        self._deaths: dict[int, Counter[object]] = {}  # of each Job that died, by its Runners' places

    @property
    def idle(self) -> bool:
        """Whether there is no Job, and no worker that is about to be ready for one."""
        return all(runner.idle for runner in self.runners)

    @property
    def ready(self) -> bool:
        """Whether a worker is ready for Jobs, or has one."""
        return any(runner.ready for runner in self.runners)

    @property
    def waits_for(self) -> str | None:
        """Why a finished Result cannot be written yet."""
        return next((r.work.waits_for for r in self.runners if r.work is not None and r.work.waits_for), None)

    def turn(self, wait: float, settings: Settings) -> bool:
        """Give each free worker a Job, then listen for at most ``wait`` seconds. Returns whether there may be more to
        do right away. Raises WorkerError, LedgerError."""
        self._settings = settings
        fed = False
        self._forget_gone()
        for runner in self.runners:
            self._settle(runner)
            if runner.work is not None and not runner.work.begun:
                self._begin(runner, runner.work)
        if queued := self.ledger.queue.queued(len(self.runners), self._held):
            self.warm(queued)
            for runner in self.runners:
                fed |= runner.free and self._feed(runner)
        for runner in self.runners:
            runner.release_if_unused()
        if self.idle:
            return fed
        wait_for_any([runner.slot for runner in self.runners], wait)
        for runner in self.runners:
            runner.listen()
            self._settle(runner)
            runner.kill_if_hung(settings.patience)
        self._use_all_gpus()
        return True

    def _use_all_gpus(self) -> None:
        """`auto` and `cuda` mean a Slot on each GPU. How many there are is known once the first worker is ready."""
        for runner in self.runners:
            if self._takes_all and len(runner.gpus) > 1:
                self._takes_all = False
                runner.device = runner.gpus[0]
                for name in runner.gpus[1:]:
                    self.join(LocalSlot(), name)

    def join(self, slot: Slot, device: str) -> None:
        """Feed this Slot, too, until it is gone. ``device``: in words."""
        slot.want_previews(self._previews)
        self.runners = [*self.runners, Runner(slot, device, 1, self.announce)]

    def _forget_gone(self) -> None:
        for runner in self.runners:
            if runner.slot.gone is not None:
                runner.listen()
                self._settle(runner)
        self.runners = [r for r in self.runners if r.slot.gone is None or r.work is not None]

    def warm(self, photos: int = 1) -> None:
        """Start workers until there is one for each of so many photos, which are queued or about to arrive. Raises
        WorkerError if none starts."""
        photos -= sum(runner.soon_free for runner in self.runners)
        for runner in self.runners:
            if photos > 0 and not runner.slot.alive and runner.work is None and not runner.rests:
                try:
                    runner.warm()
                    photos -= 1
                except WorkerError as e:
                    if not any(other.slot.alive for other in self.runners):
                        raise
                    self.announce(Note(f"{runner.device}: {e}", warning=True))

    def cancel(self, job: int) -> None:
        """The worker leaves this Job before its next step. Any thread may call this."""
        for runner in self.runners:
            if (work := runner.work) is not None and work.job.id == job:
                work.cancelled = True
                runner.slot.cancel(job)

    def want_previews(self, wanted: bool) -> None:
        """Any thread may call this."""
        self._previews = wanted
        for runner in self.runners:
            runner.slot.want_previews(wanted)

    def stop(self) -> None:
        """Stop the workers. Their Jobs are queued again, unless the Result is being written."""
        end = time.monotonic() + STOP_WITHIN
        while (writing := [r for r in self.runners if r.writes]) and (left := end - time.monotonic()) > 0:
            wait_for_any([runner.slot for runner in writing], left)
            for runner in writing:
                runner.listen()
        for runner in self.runners:
            runner.listen()
            self._settle(runner)
            runner.dismiss()
            if runner.work is not None:
                runner.work.clear_parts()
                self.ledger.queue.put_back(runner.work.job)
                runner.work = None

    def abandon(self) -> None:
        """Kill the workers that are still there, without telling the Ledger. The next start recovers."""
        for runner in self.runners:
            runner.kill()

    @property
    def _held(self) -> set[int]:
        """The Jobs that Runners still have although they were cancelled. One that is queued again waits until its
        worker has left it."""
        return {r.work.job.id for r in self.runners if r.work is not None and r.work.cancelled}

    def _left_to_others(self, runner: Runner) -> set[int]:
        """The Jobs that have died on this Runner's device or machine until only one attempt is left."""
        places = {other.place for other in self.runners if other.slot.alive}
        return {
            job
            for job, deaths in self._deaths.items()
            if deaths[runner.place] >= MAX_ATTEMPTS - 1
            and any(deaths[place] < deaths[runner.place] for place in places - {runner.place})
        }

    def _feed(self, runner: Runner) -> bool:
        """Returns whether there was a Job."""
        runner.slot.cancel(0)
        taken = self.ledger.queue.take(self._held | self._left_to_others(runner))
        if taken is None:
            return False
        runner.work = Work(*taken, self.result_path)
        self._begin(runner, runner.work)
        return True

    def _begin(self, runner: Runner, work: Work) -> None:
        """Ask the Ledger what the worker needs besides the Order, and send it. If the Ledger cannot answer, the next
        turn asks again."""
        job = work.job
        work.order = in_series(self.ledger, job, work.order)
        if work.order.series and self._is_fitting(work):
            return  # the table is fitted once, and the other photos get it
        work.typical = self.ledger.history.typical_seconds(job)
        work.finished = copy_of_twin(self.ledger, job, work.order, work.result_path)
        died = runner.send(work) if work.finished is None else None
        work.begun = True
        self.announce(JobStarted(job, work.typical))
        if died is not None:
            runner.died(died)
        now = self.ledger.history.job(job.id)
        if now is not None and now.state != "running":  # cancelled since it was taken, perhaps also queued again
            self.cancel(job.id)
        self._settle(runner)

    def _is_fitting(self, work: Work) -> bool:
        """Whether another Slot fits the table of this Job's series."""
        others = (runner.work for runner in self.runners if runner.work is not None and runner.work is not work)
        return any(o.begun and o.order.series and o.order.recipe.digest == work.order.recipe.digest for o in others)

    def _settle(self, runner: Runner) -> None:
        """Write to the Ledger how the Runner's Job ended, if it has."""
        work = runner.work
        if work is None or work.finished is None:
            return
        job, finished, queue = work.job, work.finished, self.ledger.queue
        died = finished.outcome == "again" and finished.counts
        event: Event | None
        if finished.outcome == "done":
            event = self._place(work, finished)
        elif finished.outcome == "cancelled":
            dropped = queue.dropped(job, finished.reason)
            event = JobCancelled(dropped) if dropped is not None else self._queued_again(job)
        elif finished.outcome == "again" and (job.attempts < MAX_ATTEMPTS or not finished.counts):
            if finished.blame == "system" and not runner.on_cpu_instead:
                runner.rest()
            back = queue.put_back(job, counts=finished.counts)
            event = JobCancelled(back) if back is not None and back.state == "cancelled" else self._queued_again(job)
            if not isinstance(event, JobCancelled):
                where = " on the CPU" if runner.on_cpu_instead else ""
                self.announce(Note(f"{job.photo.name}: {finished.reason}. Trying again{where}.", warning=True))
        else:
            failed = queue.failed(job, Failure(finished.blame, _reason(work, finished)))
            event = JobFailed(failed) if failed is not None else self._queued_again(job)
        if died and job.attempts < MAX_ATTEMPTS:
            self._deaths.setdefault(job.id, Counter())[runner.place] += 1
        else:
            self._deaths.pop(job.id, None)
        if len(self.runners) > 1 and (died or finished.outcome != "again"):
            runner.ended(died=died)
        runner.work = None
        runner.slot.cancel(0)  # it may be retried
        if finished.ends:
            runner.dismiss()
        if event is not None:
            self.announce(event)

    def _queued_again(self, job: Job) -> JobQueued | None:
        now = self.ledger.history.job(job.id)
        return JobQueued(now) if now is not None and now.state == "queued" else None

    def _place(self, work: Work, finished: Finished) -> Event | None:
        assert finished.part is not None
        job, queue, named = work.job, self.ledger.queue, work.order.target
        wanted = named or work.result_path(job, finished.extension)
        keep_for_series(self.ledger, work.order, finished.table)
        notes = list(finished.notes)

        def write(result: Path) -> None:
            notes.extend(write_tables(work.order.recipe, finished.table, result))

        try:
            place(self.ledger, job, finished.part, wanted, finished.digest, replace=named is not None, before=write)
        except ResultError as e:
            with contextlib.suppress(OSError):  # then the next start removes it
                finished.part.unlink(missing_ok=True)
            failed = queue.failed(job, Failure("system", str(e)))
            return JobFailed(failed) if failed is not None else self._queued_again(job)
        keeps = job.source != "folder" or BLACK_END in finished.notes  # what may be half a photo is never thrown away
        done = queue.done(job, "keep" if keeps else self._settings.originals, notes)
        return JobDone(done, tuple(notes), finished.curve, finished.timings, finished.copied)


def _reason(work: Work, finished: Finished) -> str:
    if finished.outcome != "again":
        return finished.reason or ""
    if finished.blame == "system" and not finished.device_lost:
        return f"{finished.reason}, {work.job.attempts} times."
    remedy = "raise `patience` in the settings, or try" if "sign of life" in (finished.reason or "") else "try"
    smaller = "a smaller --size" if isinstance(work.order.recipe, Painting) else "a smaller photo"
    return f"{finished.reason} {work.job.attempts} times: {remedy} {smaller}, which needs less memory and time."
