"""The status in lines for people: `stylefolder status --once`."""

from __future__ import annotations

from daemon.api.schema import StatusOut
from daemon.paths import printable
from daemon.sentences import clock, skipped_sentence


def summary(status: StatusOut, host: str | None = None) -> str:
    """``host``: where the daemon is, if it is on another machine."""
    where = f"{printable(status.root)}, process {status.pid}" if host is None else f"the daemon at {host}"
    lines = [f"{status.state}: {where}"]
    lines += [f"  {printable(problem)}" for problem in status.problems]
    lines += [f"  {printable(remark)}" for remark in status.remarks]
    if status.skipped:
        lines.append(f"  {skipped_sentence(status.skipped)}")
    for running in status.running:
        job = running.job
        done = f"step {running.step} of {running.steps}" if running.steps else "starting"
        left = f", about {clock(running.left)} left" if running.left is not None else ""
        memory = f", about {running.memory / 1e9:.1f} GB of memory" if running.memory is not None else ""
        lines.append(f"running: Job {job.id}, {printable(job.photo)} [{printable(job.preset)}], {done}{left}{memory}")
    lines += [f"waiting: {printable(file.photo)}, for {file.waits_for}" for file in status.pending]
    if more := status.pending_count - len(status.pending):
        lines.append(f"waiting: {more} more")
    for preset, counts in status.inboxes.items():
        lines.append(f"{printable(preset)}: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    for job in status.failures:
        failed = f"failed: {printable(job.photo)} [{printable(job.preset)}]: {printable(job.reason or '')}"
        lines.append(f"{failed} To try again, run `stylefolder retry {job.id}`.")
    return "\n".join(lines)
