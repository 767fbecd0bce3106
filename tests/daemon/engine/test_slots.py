"""Several Slots on one machine: two workers on the CPU."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from daemon.engine import runner
from daemon.engine.engine import Engine
from daemon.engine.messages import Ready
from daemon.engine.slot import LocalSlot
from daemon.events import Event, JobCancelled, JobChosen, JobDone, JobFailed, JobStarted, Note
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look, sha256
from daemon.settings import Settings
from stylecore import Preset
from stylecore.preset_file import look_like
from tests.harness import REPOSITORY, wait_for

SETTINGS = Settings()


class Studio:
    """An Engine with two Slots, and what it announced."""

    def __init__(self, folder: Path, ledger: Ledger, device: str = "cpu,cpu") -> None:
        self.folder, self.ledger, self.events = folder, ledger, list[Event]()
        self.engine = Engine(ledger, device, self.events.append, lambda job, extension: folder / f"{job.id}{extension}")

    def add(self, preset: Preset, shade: int) -> Job:
        photo = self.folder / f"{shade}-{len(os.listdir(self.folder))}.png"  # noqa: PTH208
        Image.new("RGB", (96, 64), (shade, 90, 255 - shade)).save(photo)
        return self.ledger.queue.ask("command", photo, preset, sha256(photo), look(photo))

    def turn_until(self, there: Callable[[], object]) -> None:
        def turn() -> object:
            self.engine.turn(0.05, SETTINGS)
            return there()

        wait_for(turn)

    def of(self, kind: type[JobStarted | JobChosen | JobDone | JobFailed | JobCancelled]) -> list[int]:
        return [event.job.id for event in self.events if isinstance(event, kind)]

    @property
    def running(self) -> set[int]:
        return {r.work.job.id for r in self.engine.runners if r.work is not None}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with contextlib.closing(Ledger(":memory:")) as ledger:
        studio = Studio(tmp_path, ledger)
        try:
            yield studio
        finally:
            studio.engine.stop()


@pytest.fixture
def endless(quick: Preset) -> Preset:
    return quick.model_copy(update={"steps": (10_000,), "finish": ()})


def test_two_slots_work_at_once_each_with_its_share_of_the_threads(studio: Studio, endless: Preset) -> None:
    jobs = [studio.add(endless, shade).id for shade in (10, 20, 30)]
    studio.turn_until(lambda: len(studio.of(JobChosen)) == 2)
    assert studio.running == set(jobs[:2])
    words = {event.device for event in studio.events if isinstance(event, JobChosen)}
    threads = max(1, (os.cpu_count() or 1) // 2)
    assert all(f"{threads} thread" in text for text in words), words
    first, second = studio.engine.runners
    assert first.slot.pid != second.slot.pid

    studio.ledger.queue.cancel(jobs[0])
    studio.engine.cancel(jobs[0])
    studio.turn_until(lambda: jobs[0] in studio.of(JobCancelled))
    studio.turn_until(lambda: studio.running == set(jobs[1:]))
    assert studio.of(JobCancelled) == jobs[:1], "the other Slot goes on"


def test_a_worker_that_dies_costs_its_slot_only(studio: Studio, endless: Preset) -> None:
    kept, hit = (studio.add(endless, shade).id for shade in (10, 20))
    studio.turn_until(lambda: len(studio.of(JobChosen)) == 2)
    one, other = sorted(studio.engine.runners, key=lambda r: r.work is None or r.work.job.id)
    assert one.slot.pid and other.slot.pid
    before = one.slot.pid
    os.kill(other.slot.pid, signal.SIGKILL)
    studio.turn_until(lambda: studio.of(JobChosen).count(hit) == 2)
    assert one.slot.pid == before
    assert studio.of(JobStarted).count(kept) == 1
    assert [event.text for event in studio.events if isinstance(event, Note)] == [
        f"{hit and other.work and other.work.job.photo.name}: The worker died (signal 9). Trying again."
    ]
    studio.engine.stop()
    assert studio.ledger.history.count("queued") == 2, "both are taken up again"
    assert studio.ledger.history.count("running") == 0


def test_an_idle_worker_that_dies_is_replaced(studio: Studio, quick: Preset) -> None:
    studio.add(quick, 10), studio.add(quick, 20)
    studio.turn_until(lambda: len(studio.of(JobDone)) == 2)
    victim = studio.engine.runners[1].slot.pid
    assert victim
    os.kill(victim, signal.SIGKILL)
    studio.add(quick, 30), studio.add(quick, 40)
    studio.turn_until(lambda: len(studio.of(JobDone)) == 4)
    assert studio.of(JobFailed) == []


@pytest.mark.slow
def test_a_job_cancelled_and_queued_again_waits_for_its_worker(studio: Studio, endless: Preset) -> None:
    """Its worker is frozen. The other Slot, which is free, does not take it."""
    job = studio.add(endless, 10)
    studio.turn_until(lambda: studio.of(JobChosen))
    (busy,) = (r for r in studio.engine.runners if r.work is not None)
    assert busy.slot.pid
    os.kill(busy.slot.pid, signal.SIGSTOP)
    studio.ledger.queue.cancel(job.id)
    studio.engine.cancel(job.id)
    assert studio.ledger.queue.retry(job.id)
    other = studio.add(endless, 20).id
    studio.turn_until(lambda: other in studio.of(JobChosen))
    assert studio.of(JobStarted) == [job.id, other]
    os.kill(busy.slot.pid, signal.SIGCONT)
    studio.turn_until(lambda: studio.of(JobChosen).count(job.id) == 2)
    assert studio.of(JobStarted) == [job.id, other, job.id]
    assert studio.of(JobCancelled) == []


@pytest.mark.slow
def test_a_job_that_dies_twice_on_a_slot_is_left_to_others(
    studio: Studio, endless: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the other one is busy, and this one free."""
    monkeypatch.setattr(runner, "REST", 0.1)
    kept, hit = (studio.add(endless, shade).id for shade in (10, 20))
    studio.turn_until(lambda: len(studio.of(JobChosen)) == 2)
    one, other = sorted(studio.engine.runners, key=lambda r: r.work is None or r.work.job.id)
    for deaths in (1, 2):
        assert other.slot.pid
        os.kill(other.slot.pid, signal.SIGKILL)
        if deaths == 1:
            studio.turn_until(lambda: studio.of(JobChosen).count(hit) == 2)
    studio.turn_until(lambda: other.work is None)
    next_one = studio.add(endless, 30).id
    studio.turn_until(lambda: studio.of(JobChosen).count(next_one) == 1)
    assert studio.of(JobStarted).count(hit) == 2, "another photo was given to this Slot"
    studio.ledger.queue.cancel(kept)
    studio.engine.cancel(kept)
    studio.turn_until(lambda: studio.of(JobChosen).count(hit) == 3)
    assert one.work is not None
    assert one.work.job.id == hit
    assert studio.of(JobFailed) == []


def test_the_same_bytes_are_painted_once(studio: Studio, quick: Preset) -> None:
    """The twin waits for the Result, and other photos overtake it."""
    studio.add(quick, 10), studio.add(quick, 10), studio.add(quick, 20)
    studio.turn_until(lambda: len(studio.of(JobDone)) == 3)
    assert studio.of(JobStarted)[:2] == [1, 3]
    copied = {event.job.id: event.copied for event in studio.events if isinstance(event, JobDone)}
    assert copied == {1: False, 2: True, 3: False}


def test_the_table_of_a_series_is_fitted_once(studio: Studio) -> None:
    preset = look_like([REPOSITORY / "presets" / "styles" / "overcast.jpg"], series=True)
    jobs = [studio.add(preset, shade) for shade in (10, 200)]
    most = 0

    def done() -> bool:
        nonlocal most
        works = [r.work for r in studio.engine.runners]
        most = max(most, sum(work is not None and work.begun and bool(work.order.series) for work in works))
        return len(studio.of(JobDone)) == len(jobs)

    studio.turn_until(done)
    assert most == 1


def test_one_gpu_after_another(tmp_path: Path) -> None:
    """No machine of ours has two GPUs: what a worker on one would say is put in its place."""
    with contextlib.closing(Ledger(":memory:")) as ledger:
        for device, slots in (("auto", 2), ("cuda", 2), ("cuda:1", 1), ("cuda:0,cuda:0", 2)):
            engine = Studio(tmp_path, ledger, device).engine
            engine.runners[0]._hear(Ready(("cuda:0", "cuda:1")))
            engine._use_all_gpus()
            engine._use_all_gpus()
            names = [r.device for r in engine.runners]
            assert names == (["cuda:0", "cuda:1"] if device in ("auto", "cuda") else device.split(","))
            assert len(names) == slots
            assert [r.sharers for r in engine.runners] == [2 if device == "cuda:0,cuda:0" else 1] * slots


def test_without_gpus_there_is_one_slot(tmp_path: Path) -> None:
    with contextlib.closing(Ledger(":memory:")) as ledger:
        engine = Studio(tmp_path, ledger, "auto").engine
        engine.runners[0]._hear(Ready(()))
        engine._use_all_gpus()
        assert [r.device for r in engine.runners] == ["auto"]


def test_a_slot_is_dismissed_by_two_threads_at_once() -> None:
    slot = LocalSlot()
    slot.start("cpu", 1)
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(slot.dismiss) for _ in range(2)]
    assert [future.exception() for future in done] == [None, None]
    assert not slot.alive
