"""What is going on at present, folded from the events: the API's and the views' knowledge beside the Ledger's."""

from __future__ import annotations

from daemon.api.schema import RunningOut, job_out
from daemon.events import Event, JobCancelled, JobChosen, JobDone, JobFailed, JobStarted, JobStepped
from daemon.ledger.job import Job


class Running:
    """The Jobs at work, by number. ``hear`` is called by one thread; others may read ``jobs``, which is only replaced."""

    def __init__(self) -> None:
        self.jobs: dict[int, RunningOut] = {}
        self.device: str | None = None  # in words, since a worker has said it

    def hear(self, event: Event) -> None:
        match event:
            case JobStarted(job):
                self._set(job, RunningOut(job=job_out(job)))
            case JobChosen(job, device, size):
                self.device = device
                self._set(job, self._of(job).model_copy(update={"device": device, "size": size}))
            case JobStepped(job, step, steps, scale, scales, loss, share, seconds):
                news = {
                    "step": step, "steps": steps, "scale": scale, "scales": scales, "loss": loss, "share": share, "seconds": seconds,
                }  # fmt: skip
                self._set(job, self._of(job).model_copy(update=news))
            case JobDone(job) | JobFailed(job) | JobCancelled(job):
                self.jobs = {number: running for number, running in self.jobs.items() if number != job.id}

    def _of(self, job: Job) -> RunningOut:
        return self.jobs.get(job.id) or RunningOut(job=job_out(job))

    def _set(self, job: Job, running: RunningOut) -> None:
        self.jobs = {**self.jobs, job.id: running}
