"""The Engine with a real worker, where the GPU fails in mid-Job. No GPU breaks on request: its error is put in where torch raises it."""

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
from daemon.engine.worker import Controls, Finished, Order
from daemon.events import Event, JobChosen, JobDone, JobFailed, Note
from daemon.folders import completeness
from daemon.ledger.job import MAX_ATTEMPTS, Job
from daemon.ledger.ledger import Ledger
from stylecore import Preset

GONE = Finished(
    1,
    "again",
    reason="The GPU failed (CUDA error: unspecified launch failure)",
    mendable=True,
    ends=True,
    device_lost=True,
)


@pytest.fixture
def job(small: Image.Image, quick: Preset, tmp_path: Path) -> Iterator[tuple[Ledger, Job]]:
    photo = tmp_path / "a.png"
    small.save(photo)
    with contextlib.closing(Ledger(":memory:")) as ledger:
        yield (
            ledger,
            ledger.ask(
                "command", photo, quick, completeness.sha256(photo), completeness.look(photo), tmp_path / "out.png"
            ),
        )


def test_torchs_word_for_a_failed_gpu_ends_the_worker(
    job: tuple[Ledger, Job], quick: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.AcceleratorError(
            "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later"
        )

    monkeypatch.setattr("stylecore.transfer.stylize", fail)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    made = job[1]
    order = Order(1, made.photo, made.signature, quick, made.target, {}, False)
    with ours, theirs:
        assert worker._obey(order, "cpu", theirs, Controls(context.RawValue("q", 0), context.RawValue("b", 0))) == GONE


@pytest.mark.slow
def test_the_job_goes_on_on_the_cpu(job: tuple[Ledger, Job]) -> None:
    ledger, made = job
    events: list[Event] = []
    engine = Engine(ledger, "auto", lambda _: {}, events.append)
    try:
        while not any(isinstance(event, JobChosen) for event in events):
            engine.turn(0.05)
        first = engine.worker
        engine._finished, engine._device_lost = GONE, True
        while not any(isinstance(event, (JobDone, JobFailed)) for event in events):
            engine.turn(0.05)
        assert engine.worker not in (None, first)
    finally:
        engine.stop()
    assert [event.text for event in events if isinstance(event, Note)] == [
        f"a.png: {GONE.reason}; it is tried again on the CPU."
    ]
    (done,) = (event for event in events if isinstance(event, JobDone))
    assert done.job.attempts == 2
    assert made.target is not None and made.target.exists()


def test_a_device_that_was_named_is_tried_again_and_at_last_given_up(job: tuple[Ledger, Job]) -> None:
    ledger, _ = job
    events: list[Event] = []
    engine = Engine(ledger, "cpu", lambda _: {}, events.append)
    try:
        for _ in range(MAX_ATTEMPTS):
            while engine.job is None:
                engine.turn(0.05)
            engine._finished, engine._device_lost = GONE, True
            engine._settle()
    finally:
        engine.stop()
    assert [event.text.rpartition("; ")[2] for event in events if isinstance(event, Note)] == ["it is tried again."] * (
        MAX_ATTEMPTS - 1
    )
    (failed,) = (event for event in events if isinstance(event, JobFailed))
    assert (failed.job.reason or "").startswith(f"{GONE.reason}, {MAX_ATTEMPTS} times")
