"""What the status view knows: events from one thread, shown by another."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from daemon.api.schema import StatusOut
from daemon.events import Note
from daemon.terminal.output import EARLY_WARNINGS, watch_view
from daemon.terminal.status_view import Follower, Reader

STEPS = 5000
JOB: dict[str, Any] = {
    "id": 1,
    "source": "folder",
    "photo": "/oil/a.jpg",
    "preset": "oil",
    "state": "running",
    "attempts": 1,
    "reason": None,
    "result": None,
    "queued_at": 0.0,
    "started_at": 0.0,
    "finished_at": None,
    "seconds": None,
}
DEVICE = {
    "name": "CPU",
    "use": 0,
    "memory_ours": 0,
    "memory_others": 0,
    "memory_total": 1,
    "temperature": None,
    "load": 0,
}
STATUS: dict[str, Any] = {
    "stylefolder": "0",
    "state": "healthy",
    "problems": [],
    "root": "/",
    "pid": 1,
    "running": [{"job": JOB}],
    "pending": [],
    "pending_count": 0,
    "inboxes": {},
    "done_today": {},
    "drain": {},
    "recent": [],
    "failures": [],
    "device": DEVICE,
    "throughput": {"done": 0, "median": None, "p95": None},
}


def stepped(step: int) -> dict[str, Any]:
    return {"event": "JobStepped", "job": JOB, "step": step, "steps": STEPS, "scale": 1, "scales": 1, "loss": 1 / step,
            "share": step / STEPS, "seconds": 0.0, "left": 0.0}  # fmt: skip


def test_no_step_is_lost_between_two_threads() -> None:
    """Steps arrive while the drawing thread takes in one status after another."""

    def connect() -> Any:
        raise AssertionError("not called")

    reader = Reader(connect)
    follower = Follower(reader)
    follower._take(StatusOut.model_validate(STATUS))

    def arrive() -> None:
        for i in range(1, STEPS + 1):
            reader.events.put(stepped(i))

    arriving = threading.Thread(target=arrive)
    arriving.start()
    while arriving.is_alive() or not reader.events.empty():
        follower.refresh()
        assert follower.status is not None
        follower._take(follower.status)
    assert follower.status is not None
    assert follower.status.running[0].step == STEPS
    assert len(follower.curves[1]) == STEPS


def test_only_the_last_early_warnings_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long the daemon runs."""
    monkeypatch.setattr("daemon.terminal.status_view.run_view", lambda *_: False)
    with watch_view() as show:
        for i in range(1000):
            show(Note(f"{i}", warning=True))
    assert capsys.readouterr().err.split() == [f"{i}" for i in range(1000 - EARLY_WARNINGS, 1000)]
