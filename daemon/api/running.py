"""The running Jobs, put together from the events."""

from __future__ import annotations

from daemon.api.schema import RunningOut, job_out
from daemon.events import Event, JobCancelled, JobChosen, JobDone, JobFailed, JobQueued, JobStarted, JobStepped


class Running:
    """Use it only in the loop's thread."""

    def __init__(self) -> None:
        self._jobs: dict[int, RunningOut] = {}

    @property
    def jobs(self) -> tuple[RunningOut, ...]:
        return tuple(self._jobs.values())

    def hear(self, event: Event) -> None:
        match event:
            case JobStarted(job, left):
                self._jobs[job.id] = RunningOut(job=job_out(job), left=left)
            case JobChosen(job, device, size, left, memory):
                self._update(job.id, device=device, size=size, left=left, memory=memory)
            case JobStepped(job):
                names = ("step", "steps", "scale", "scales", "loss", "share", "seconds", "left")
                self._update(job.id, **{name: getattr(event, name) for name in names})
            case JobDone(job) | JobFailed(job) | JobCancelled(job) | JobQueued(job):
                self._jobs.pop(job.id, None)

    def _update(self, job: int, **news: object) -> None:
        if job in self._jobs:
            self._jobs[job] = self._jobs[job].model_copy(update=news)
