"""Faults of processes: killed, crashed, hung, short of memory."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import sys
import time
from contextlib import closing
from functools import partial

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import HANG, wait_for


@pytest.mark.slow
def test_kill_9_of_the_daemon_in_every_state(daemon: Daemon, fast: str, slow: str, small: Image.Image) -> None:
    """There is a Job in each state when the daemon dies; after the next start, each is in the right state."""
    inbox, held, long = daemon.preset("one", fast), daemon.preset("held", fast), daemon.preset("long", slow)
    daemon.start()
    small.save(inbox / "done.png")
    wait_for(lambda: is_picture(inbox / "styled" / "done.png"))
    (inbox / "failed.png").write_text("words")
    wait_for(lambda: daemon.jobs("state = 'failed'"))
    small.rotate(10).save(long / "running.png")
    wait_for(daemon.running)
    small.rotate(20).save(held / "waiting.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 1)
    (daemon.root / "presets" / "held.yaml").unlink()
    wait_for(lambda: daemon.jobs("state = 'waiting'"))
    small.rotate(30).save(long / "cancelled.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 1)
    assert daemon.run("cancel", daemon.jobs("state = 'queued'")[0]["id"]).returncode == 0
    small.rotate(40).save(inbox / "queued.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 1)
    with (inbox / "arriving.png").open("wb") as file:
        small.rotate(50).save(file, "PNG")
        file.flush()
        wait_for(lambda: daemon.status()["pending"])
        assert {row["state"] for row in daemon.jobs()} == {
            "done",
            "failed",
            "running",
            "waiting",
            "cancelled",
            "queued",
        }
        workers = daemon.workers()
        daemon.kill()
    psutil.wait_procs(workers, HANG)
    assert not any(worker.is_running() for worker in workers), "no worker outlives its daemon"
    (daemon.root / "presets" / "long.yaml").write_text(fast)

    daemon.start()
    assert (
        daemon.run("cancel", daemon.jobs("photo = CAST('long/running.png' AS BLOB)")[0]["id"]).returncode == 0
    )  # pinned to 5,000 steps
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3)
    assert {os.fsdecode(row["photo"]): row["state"] for row in daemon.jobs()} == {
        "one/done.png": "done",
        "one/failed.png": "failed",
        "long/running.png": "cancelled",
        "held/waiting.png": "waiting",
        "long/cancelled.png": "cancelled",
        "one/queued.png": "done",
        "one/arriving.png": "done",
    }
    assert all(is_picture(inbox / "styled" / name) for name in ("done.png", "queued.png", "arriving.png"))
    assert daemon.begun(inbox / "done.png") == 1
    (daemon.root / "presets" / "held.yaml").write_text(fast)
    wait_for(lambda: is_picture(held / "styled" / "waiting.png"))
    assert not list(daemon.root.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_worker_dies(daemon: Daemon, slow: str, fast: str, small: Image.Image, number: signal.Signals) -> None:
    """After two deaths, the Job starts again. After a third, it fails with its name, and the next photo is painted."""
    inbox, other = daemon.preset("long", slow), daemon.preset("other", fast)
    small.save(inbox / "a.png")
    daemon.start()

    def attempt(number: int) -> bool:
        return daemon.begun(inbox / "a.png") == number and bool(daemon.running())

    for death in range(1, 4):
        wait_for(partial(attempt, death))
        daemon.workers()[0].send_signal(number)
    assert f"The worker died (signal {number.value}) 3 times" in daemon.reason(inbox / "a.png")
    small.save(other / "b.png")
    wait_for(lambda: is_picture(other / "styled" / "b.png"))


@pytest.mark.slow
def test_the_worker_is_killed_while_it_writes(daemon: Daemon, fast: str) -> None:
    """Its partial file is removed immediately, not at the daemon's next start."""
    inbox, results = daemon.preset("one", fast + "output: {format: tiff}\n"), daemon.root / "one" / "styled"
    noise = np.random.default_rng(0)
    results.mkdir()
    daemon.start()
    for i in range(10):
        Image.fromarray(noise.integers(0, 256, (2500, 3500, 3), np.uint8)).save(inbox / f"{i}.png", compress_level=0)
        while not (left := list(results.glob(".*"))) and not (results / f"{i}.tif").exists():
            time.sleep(0.001)
        if left:
            daemon.workers()[0].kill()
            wait_for((results / f"{i}.tif").exists)
            if daemon.begun(inbox / f"{i}.png") == 2:  # else it was done before it died
                break
    else:
        pytest.fail("no worker was caught in the act")
    assert sorted(path.name for path in results.iterdir()) == [f"{n}.tif" for n in range(i + 1)]


@pytest.mark.slow
def test_the_worker_hangs(daemon: Daemon, slow: str, small: Image.Image) -> None:
    """The worker is suspended for good: the watchdog kills it, and another worker repeats the Job."""
    daemon.settings("patience: 12\n")
    inbox = daemon.preset("long", slow)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(daemon.running)
    worker = daemon.workers()[0]
    worker.suspend()
    wait_for(lambda: daemon.begun(inbox / "a.png") == 2 and daemon.running())
    assert not worker.is_running()
    daemon.workers()[0].suspend()  # and a Job that is cancelled in the meantime is not repeated
    daemon.run("cancel", 1)
    wait_for(lambda: [e for e in daemon.events() if e["event"] == "JobCancelled"])
    assert daemon.status()["running"] == []
    assert [row["state"] for row in daemon.jobs()] == ["cancelled"]


@pytest.mark.slow
def test_out_of_memory_on_the_device(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """The memory of the running worker is limited: its Job fails and says what to do, and the next one is painted."""
    large, inbox = daemon.preset("large", fast.replace("size: 64", "size: 2000")), daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    worker = daemon.workers()[0]
    worker.rlimit(resource.RLIMIT_AS, (worker.memory_info().vms + 60_000_000, -1))  # not enough even for small tiles
    small.resize((1500, 1000)).save(large / "b.png")
    assert "too little memory for this size: choose a smaller `size`" in daemon.reason(large / "b.png")
    small.rotate(90).save(inbox / "c.png")
    wait_for(lambda: is_picture(inbox / "styled" / "c.png"))


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["worker", "daemon"])
def test_a_retouched_result_is_not_taken_for_a_new_one(
    daemon: Daemon, slow: str, small: Image.Image, killed: str
) -> None:
    """A finished photo is replaced, and its old Result retouched while the new one is painted; a process is killed."""
    inbox = daemon.preset("long", slow.replace("5000", "60"))
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    small.rotate(180).save(daemon.home / "new.png")
    (daemon.home / "new.png").rename(inbox / "a.png")
    wait_for(daemon.running)
    small.rotate(45).save(inbox / "styled" / "a.png")
    retouched = (inbox / "styled" / "a.png").read_bytes()
    workers = daemon.workers()
    if killed == "worker":
        workers[0].kill()
    else:
        daemon.kill()
        psutil.wait_procs(workers, HANG)
        daemon.start()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 2)
    assert (inbox / "styled" / "a.png").read_bytes() == retouched, "it stays"
    assert is_picture(inbox / "styled" / "a-2.png"), "and the new photo was painted"
    assert daemon.begun(inbox / "a.png") == 3


@pytest.mark.slow
@pytest.mark.parametrize("retouched", [False, True])
def test_a_daemon_killed_before_the_ledger_knows_of_a_result(
    daemon: Daemon, fast: str, small: Image.Image, retouched: bool
) -> None:
    """The Result is found by the bytes that the worker reported, and nothing is computed again. Other bytes under its
    name are not the Result."""
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    daemon.kill()
    with closing(sqlite3.connect(daemon.root / ".stylefolder" / "ledger.sqlite3", isolation_level=None)) as ledger:
        part = b"one/styled/.stylefolder-0-part.part"
        ledger.execute("UPDATE jobs SET state = 'running', part = ?, finished_at = NULL", (part,))
    if retouched:
        small.rotate(90).save(inbox / "styled" / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done' AND part IS NULL"))
    assert daemon.begun(inbox / "a.png") == 1 + retouched
    assert (inbox / "styled" / "a-2.png").exists() == retouched


@pytest.mark.slow
def test_a_long_phase_is_not_a_hang(daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """Starting, decoding, enlarging and encoding take longer than the worker may be silent between steps."""
    daemon.settings("patience: 1\n")
    inbox = daemon.preset("one", fast + "output: {format: avif}\n")
    daemon.start()
    cat.resize((3000, 2000)).save(daemon.home / "a.png", compress_level=0)
    (daemon.home / "a.png").rename(inbox / "a.png")
    wait_for(lambda: daemon.jobs("state IN ('done', 'failed')"))
    assert [(row["state"], row["attempts"]) for row in daemon.jobs()] == [("done", 1)]


@pytest.mark.slow
def test_an_orphaned_worker_writes_no_result(daemon: Daemon, fast: str) -> None:
    """The daemon is killed while its worker writes. A new daemon's Result stays as it is when the old worker
    continues."""
    inbox, results = daemon.preset("one", fast + "output: {format: tiff}\n"), daemon.root / "one" / "styled"
    noise = np.random.default_rng(0)
    results.mkdir()
    daemon.start()
    for i in range(10):
        Image.fromarray(noise.integers(0, 256, (2500, 3500, 3), np.uint8)).save(inbox / f"{i}.png", compress_level=0)
        while not (parts := list(results.glob(".*"))) and not (results / f"{i}.tif").exists():
            time.sleep(0.001)
        worker = daemon.workers()[0]
        worker.suspend()
        if parts and not daemon.jobs("part IS NOT NULL") and not (results / f"{i}.tif").exists():
            break
        worker.resume()
    else:
        pytest.fail("no worker was caught in the act")
    daemon.kill()
    if sys.platform == "linux":  # the system kills the worker, too
        psutil.wait_procs([worker], HANG)
    daemon.start()
    wait_for((results / f"{i}.tif").exists)
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == i + 1)
    inode = (results / f"{i}.tif").stat().st_ino
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.resume()
    psutil.wait_procs([worker], HANG)
    assert not worker.is_running()
    assert (results / f"{i}.tif").stat().st_ino == inode
    assert sorted(path.name for path in results.iterdir()) == [f"{n}.tif" for n in range(i + 1)]
