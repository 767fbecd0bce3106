"""What the commands show of a running daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from daemon.api.client import Client
from daemon.api.schema import event_in
from daemon.events import Event
from daemon.paths import printable


def follow(client: Client, show: Callable[[Event], None]) -> None:
    """Show what happens until the daemon ends."""
    for fields in client.events():
        if fields:
            show(event_in(fields))


def summary(status: Mapping[str, Any]) -> str:
    """The status in lines for people."""
    lines = [f"{status['state']}: {printable(status['root'])}, process {status['pid']}"]
    lines += [f"  {printable(problem)}" for problem in status["problems"]]
    for running in status["running"]:
        job = running["job"]
        done = f"step {running['step']} of {running['steps']}" if running["steps"] else "beginning"
        lines.append(f"running: Job {job['id']}, {printable(job['photo'])} [{printable(job['preset'])}], {done}")
    lines += [f"waiting: {printable(pending['photo'])}, for {pending['waits_for']}" for pending in status["pending"]]
    for preset, counts in status["inboxes"].items():
        lines.append(f"{printable(preset)}: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    for job in status["failures"]:
        lines.append(
            f"failed: {printable(job['photo'])} [{printable(job['preset'])}]: {printable(job['reason'] or '')} `stylefolder retry {job['id']}` tries again."
        )
    return "\n".join(lines)
