"""What the status view knows: events from one thread, shown by another."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from daemon.api.client import Address
from daemon.api.schema import StatusOut
from daemon.events import Note
from daemon.terminal.layout import Scene, lines
from daemon.terminal.lists import UNICODE
from daemon.terminal.output import EARLY_WARNINGS, watch_view
from daemon.terminal.status_view import KEPT, PREVIEWS, Follower, Reader

if TYPE_CHECKING:
    from daemon.api.client import Client

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
    "slots": [{"job": None, "device": DEVICE}],
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
            reader.events.append(stepped(i))

    arriving = threading.Thread(target=arrive)
    arriving.start()
    while arriving.is_alive() or reader.events:
        follower.refresh()
        assert follower.status is not None
        follower._take(follower.status)
    assert follower.status is not None
    assert follower.status.running[0].step == STEPS
    assert len(follower.curves[1]) == STEPS


def test_only_the_drawing_thread_changes_what_is_shown() -> None:
    class Stream:
        address = Address("http://127.0.0.1:1", "token")

        def events(self, previews: bool) -> Iterator[dict[str, Any]]:
            return map(stepped, range(1, 101))

    reader = Reader(lambda: cast("Client", Stream()))
    follower = Follower(reader)
    follower._take(StatusOut.model_validate(STATUS))
    reading = threading.Thread(target=reader._read)
    reading.start()
    reading.join()
    assert follower.status is not None
    assert (follower.status.running[0].step, follower.curves[1]) == (0, [])
    follower.refresh()
    assert (follower.status.running[0].step, len(follower.curves[1])) == (100, 100)


def test_a_terminal_that_is_stopped_costs_no_memory() -> None:
    """Nobody draws (ctrl-S), and events keep coming: the newest are kept, and of the previews the last."""

    class Stream:
        address = Address("http://127.0.0.1:1", "token")

        def events(self, previews: bool) -> Iterator[dict[str, Any]]:
            for i in range(KEPT + 500):
                yield stepped(i + 1)
                for job in (2 + i, 1):
                    yield {"event": "JobPreview", "job": {"id": job}, "jpeg": base64.b64encode(b"%d" % i).decode()}

    reader = Reader(lambda: cast("Client", Stream()))
    reader._read()
    assert len(reader.events) == KEPT
    assert len(reader.previews) == PREVIEWS
    follower = Follower(reader)
    follower._take(StatusOut.model_validate(STATUS))
    follower.refresh()
    assert follower.preview == b"%d" % (KEPT + 499)


def test_the_view_counts_all_files_that_wait() -> None:
    """The status lists a hundred of them, and the terminal has room for fewer."""
    pending = [{"photo": f"/oil/{i}.jpg", "waits_for": "the copy to finish"} for i in range(100)]
    status = StatusOut.model_validate({**STATUS, "running": [], "pending": pending, "pending_count": 20_000})
    rows = [row.plain for row in lines(Scene(status, {}, (), "", 0.0), 80, 20, UNICODE)]
    listed = sum("waits for" in row for row in rows)
    assert 0 < listed < 20
    assert f"  and {20_000 - listed} more" in rows


def test_only_the_last_early_warnings_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long the daemon runs."""
    monkeypatch.setattr("daemon.terminal.status_view.run_view", lambda *_: False)
    with watch_view() as show:
        for i in range(1000):
            show(Note(f"{i}", warning=True))
    assert capsys.readouterr().err.split() == [f"{i}" for i in range(1000 - EARLY_WARNINGS, 1000)]


def test_the_view_of_another_machine_names_it() -> None:
    """It does not suggest folders and pictures that are there."""
    idle = StatusOut.model_validate(STATUS | {"root": "", "pid": 0, "running": []})
    shown = [line.plain for line in lines(Scene(idle, host="192.168.1.10:8787"), 80, 30)]
    assert "Stylefolder  192.168.1.10:8787" in shown[0]
    assert "Nothing to do: run `stylefolder send`." in shown
    assert not any("open" in line or "folder in" in line for line in shown)
    assert "open the result" in lines(Scene(StatusOut.model_validate(STATUS)), 80, 30)[-1].plain


def test_each_slot_shows_its_job() -> None:
    away = (
        DEVICE | {"name": "studio: RTX 4090"} | dict.fromkeys(["memory_ours", "memory_others", "memory_total", "use"])
    )
    slots = [{"job": 1, "device": DEVICE}, {"job": 2, "device": away}, *[{"job": None, "device": DEVICE}] * 8]
    several = StatusOut.model_validate(STATUS | {"slots": slots})
    shown = [line.plain for line in lines(Scene(several), 80, 30)]
    assert any(line.startswith("CPU ") and "Job 1" in line and "GB" in line for line in shown)
    assert any(line.startswith("studio: RTX 4090 ") and line.endswith("Job 2   load 0.0") for line in shown)
    assert sum("idle" in line for line in shown) == 6
    assert "and 2 more" in shown
    alone = StatusOut.model_validate(STATUS)
    assert not any("idle" in line.plain for line in lines(Scene(alone), 80, 30))
