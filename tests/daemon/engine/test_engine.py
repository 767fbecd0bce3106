"""The Engine with a real worker whose GPU fails. No GPU breaks on request, so torch's error is raised in its place."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from daemon.engine import worker
from daemon.engine.engine import Engine
from daemon.engine.messages import Assignment, Controls, Finished
from daemon.engine.report import Daemon
from daemon.engine.runner import Work, time_left
from daemon.errors import LedgerBusy
from daemon.events import Event, JobChosen, JobDone, JobFailed, Note
from daemon.ledger.job import MAX_ATTEMPTS, Job, Order
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look, sha256
from daemon.settings import Settings
from stylecore import Preset
from stylecore.preset_file import look_like
from tests.harness import REPOSITORY

GONE = Finished(
    1,
    "again",
    reason="The GPU failed (CUDA error: unspecified launch failure)",
    blame="system",
    ends=True,
    device_lost=True,
)
SETTINGS = Settings()


@pytest.fixture
def job(small: Image.Image, quick: Preset, tmp_path: Path) -> Iterator[tuple[Ledger, Job]]:
    photo = tmp_path / "a.png"
    small.save(photo)
    with contextlib.closing(Ledger(":memory:")) as ledger:
        yield ledger, ledger.queue.ask("command", photo, quick, sha256(photo), look(photo), tmp_path / "out.png")


def engine_of(ledger: Ledger, device: str, events: list[Event]) -> Engine:
    return Engine(ledger, device, events.append, lambda job, extension: job.photo.with_name(f"result{extension}"))


def _lose(engine: Engine) -> None:
    """Its Job ends as if its GPU had failed."""
    (runner,) = engine.runners
    assert runner.work is not None
    runner.work.finished, runner.device_lost = GONE, True


def test_torchs_error_for_a_failed_gpu_ends_the_worker(
    job: tuple[Ledger, Job], quick: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.AcceleratorError(
            "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later"
        )

    monkeypatch.setattr("stylecore.transfer.stylize", fail)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    photo = job[1].photo
    order = Order(1, photo, quick, look(photo), photo.with_name("out.png"))
    with ours, theirs:
        daemon = Daemon(theirs, Controls(context.RawValue("q", 0), context.RawValue("b", 0)))
        assert worker.do(Assignment(order, photo.with_name("out"), waits=False), "cpu", daemon) == GONE


@pytest.mark.slow
def test_the_job_continues_on_the_cpu(job: tuple[Ledger, Job]) -> None:
    ledger, made = job
    events: list[Event] = []
    engine = engine_of(ledger, "auto", events)
    try:
        while not any(isinstance(event, JobChosen) for event in events):
            engine.turn(0.05, SETTINGS)
        first = engine.runners[0].slot.pid
        _lose(engine)
        while not any(isinstance(event, (JobDone, JobFailed)) for event in events):
            engine.turn(0.05, SETTINGS)
        assert engine.runners[0].slot.pid not in (None, first)
    finally:
        engine.stop()
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"a.png: {GONE.reason}. Trying again on the CPU."]
    (done,) = (event for event in events if isinstance(event, JobDone))
    assert done.job.attempts == 2
    assert done.job.result == made.photo.with_name("out.png")
    assert done.job.result.exists()


@pytest.mark.slow
def test_a_named_device_is_tried_again_and_then_given_up(job: tuple[Ledger, Job]) -> None:
    ledger, _ = job
    events: list[Event] = []
    engine = engine_of(ledger, "cpu", events)
    try:
        for _ in range(MAX_ATTEMPTS):
            while engine.runners[0].work is None:
                engine.turn(0.05, SETTINGS)
            _lose(engine)
            engine._settle(engine.runners[0])
    finally:
        engine.stop()
    notes = [event.text.rpartition(". ")[2] for event in events if isinstance(event, Note)]
    assert notes == ["Trying again."] * (MAX_ATTEMPTS - 1)
    (failed,) = (event for event in events if isinstance(event, JobFailed))
    assert (failed.job.reason or "").startswith(f"{GONE.reason} {MAX_ATTEMPTS} times")
    ledger.queue.recover()
    assert ledger.history.count("queued") == 1, "the next start tries again"


def test_a_second_ctrl_c_just_after_the_rename(job: tuple[Ledger, Job], tmp_path: Path) -> None:
    """The Result has its name, and only the Ledger does not know that yet."""
    ledger, _ = job
    events: list[Event] = []
    engine = engine_of(ledger, "cpu", events)
    taken = ledger.queue.take()
    assert taken is not None
    work = engine.runners[0].work = Work(*taken, engine.result_path)
    target = tmp_path / "out.png"
    target.write_bytes(b"a Result")
    work.finished = Finished(work.job.id, "done", tmp_path / "part", ".png", sha256(target))
    ledger.queue.finishing(work.job, tmp_path / "part", target, sha256(target))
    engine.stop()
    (done,) = (event for event in events if isinstance(event, JobDone))
    assert done.job.result == target
    assert target.read_bytes() == b"a Result"


def test_the_time_left_follows_others_first_and_its_own_pace_later() -> None:
    assert time_left(0, 0, None) is None
    assert time_left(0, 0, 60) == 60
    assert time_left(70, 0, 60) == 0
    assert time_left(10, 0.5, None) == 10
    assert time_left(10, 0.5, 30) == 15
    assert time_left(10, 1, 60) == 0


def test_a_ledger_that_cannot_answer_when_a_job_begins_is_asked_again(
    small: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's lock cannot be held between two statements of ours, so its error is raised in its place."""
    photo, events = tmp_path / "a.png", list[Event]()
    small.save(photo)
    preset = look_like([REPOSITORY / "presets" / "styles" / "overcast.jpg"], series=True)
    with contextlib.closing(Ledger(":memory:")) as ledger:
        ledger.queue.ask("command", photo, preset, sha256(photo), look(photo), tmp_path / "out.png")
        engine = engine_of(ledger, "cpu", events)
        answers, real = iter([LedgerBusy("locked")]), ledger.series.table

        def table(digest: str) -> bytes | None:
            for error in answers:
                raise error
            return real(digest)

        monkeypatch.setattr(ledger.series, "table", table)
        refused = 0
        while not any(isinstance(event, JobDone) for event in events):
            try:
                engine.turn(0.1, SETTINGS)
            except LedgerBusy:
                refused += 1
        engine.stop()
    assert refused == 1
    assert (tmp_path / "out.png").exists()
