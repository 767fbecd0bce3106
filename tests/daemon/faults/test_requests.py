"""What users ask of a daemon: to stop, to cancel, to pause, to start twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.daemon.harness import STYLEFOLDER, Daemon, is_picture
from tests.harness import HANG, wait_for


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_in_mid_job(daemon: Daemon, slow: str, small: Image.Image, times: int) -> None:
    inbox = daemon.preset("long", slow)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(daemon.running)
    workers = daemon.workers()
    for _ in range(times):
        os.kill(daemon.pid, signal.SIGTERM)
        time.sleep(0.01)
    assert daemon.process is not None
    status = daemon.process.wait(HANG)
    if times == 1:
        assert status == 0
        assert [row["state"] for row in daemon.jobs()] == ["queued"], "it resumes at the next start"
    assert "Traceback" not in daemon.said()
    psutil.wait_procs(workers, HANG)
    assert not any(worker.is_running() for worker in workers)
    assert not list(inbox.rglob("styled/*"))
    daemon.start()
    wait_for(lambda: daemon.begun(inbox / "a.png") == 2)
    assert daemon.jobs()[0]["attempts"] <= 2


def test_a_second_daemon_ends_and_names_the_first(shared: Daemon) -> None:
    second = subprocess.run(
        [*STYLEFOLDER, "watch", str(shared.root)], env=shared.environment, capture_output=True, text=True, timeout=HANG
    )
    assert second.returncode == 2
    assert f"Another Stylefolder (process {shared.pid}) already watches {shared.root}" in second.stderr
    assert shared.status()["pid"] == shared.pid, "the first one's address is left as it is"


def test_a_stale_lock_is_recovered(daemon: Daemon) -> None:
    daemon.start()
    daemon.kill()
    own = daemon.root / ".stylefolder"
    assert (own / "lock").exists()
    (own / "owner").write_text(f"{os.getpid()}")  # a number that another process has now
    daemon.start()
    assert daemon.status()["state"] == "healthy"


@pytest.mark.slow
def test_cancel_stops_within_two_steps(
    daemon: Daemon, fast: str, slow: str, cat: Image.Image, small: Image.Image
) -> None:
    """Steps are long enough that each is reported."""
    inbox, other = daemon.preset("long", slow.replace("size: 64", "size: 320")), daemon.preset("one", fast)
    cat.save(inbox / "a.png")
    daemon.start()
    running = wait_for(daemon.running)
    small.save(other / "b.png")
    number = running["job"]["id"]
    at = daemon.status()["running"][0]["step"]
    assert daemon.client.ask("DELETE", f"/v1/jobs/{number}")["state"] == "cancelling"
    wait_for(lambda: [e for e in daemon.events() if e["event"] == "JobCancelled"])
    last = max(e["step"] for e in daemon.events() if e["event"] == "JobStepped")
    assert last <= at + 2
    wait_for(lambda: is_picture(other / "styled" / "b.png"))
    assert not (inbox / "styled").exists()
    assert daemon.run("retry", number).returncode == 0
    wait_for(lambda: daemon.begun(inbox / "a.png") == 2 and daemon.running())


@pytest.mark.slow
def test_pause_resume_cancel_and_retry(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    daemon.start()
    assert daemon.run("pause").returncode == 0
    assert daemon.status()["state"] == "paused"
    small.save(inbox / "a.png")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 2)
    daemon.stop()
    daemon.start()
    assert daemon.status()["state"] == "paused", "also after a restart"
    first = daemon.jobs()[0]["id"]
    assert (
        daemon.run("cancel", first).stdout
        == f"Job {first} is cancelled. To start it again, run `stylefolder retry {first}`.\n"
    )
    assert daemon.run("resume").returncode == 0
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    assert not (inbox / "styled" / "a.png").exists()
    assert daemon.run("retry", first).returncode == 0
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert daemon.run("cancel", first).stdout == f"Job {first} is already done: there is nothing to cancel.\n"
    missing = daemon.run("cancel", 999)
    assert (missing.returncode, missing.stderr) == (2, "stylefolder: There is no Job 999.\n")


def test_no_daemon(daemon: Daemon) -> None:
    for command in (["status"], ["pause"], ["resume"], ["cancel", 1], ["retry", "--failed"]):
        done = daemon.run(*command)
        assert (done.returncode, done.stderr) == (
            3,
            "stylefolder: No daemon is running: run `stylefolder watch` to start one.\n",
        )


@pytest.mark.slow
def test_what_someone_waits_for_goes_ahead(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    daemon.start()
    daemon.run("pause")
    for i in range(20):
        small.rotate(i).save(inbox / f"{i}.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 20)
    small.rotate(45).save(daemon.home / "urgent.png")
    job = daemon.client.ask("POST", "/v1/jobs", (daemon.home / "urgent.png").read_bytes(), preset="one")
    assert job["ahead"] == 0
    daemon.run("resume")
    wait_for(lambda: daemon.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 21)
    assert next(e["job"]["id"] for e in daemon.events() if e["event"] == "JobStarted") == job["id"]


@pytest.mark.slow
def test_sigterm_while_it_writes(daemon: Daemon, fast: str) -> None:
    """While the large Result is being encoded: the Job is finished, or started again, and there is one Result."""
    inbox = daemon.preset("one", fast)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (2500, 3500, 3), np.uint8)).save(
        inbox / "a.png", compress_level=0
    )
    daemon.start()
    wait_for(lambda: [e for e in daemon.events() if e["event"] == "JobStepped"])
    assert daemon.stop() == 0
    ended = {row["state"] for row in daemon.jobs()}
    assert ended == ({"done"} if (inbox / "styled" / "a.png").exists() else {"queued"})
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    assert [path.name for path in (inbox / "styled").iterdir()] == ["a.png"]
    assert daemon.begun(inbox / "a.png") == (1 if ended == {"done"} else 2)


def test_a_second_daemon_on_another_root_leaves_the_first_to_be_found(shared: Daemon, tmp_path: Path) -> None:
    second = Daemon(tmp_path / "Other", shared.home)
    second.root.mkdir()
    first = shared.pid
    process = subprocess.Popen(
        [*STYLEFOLDER, "watch", str(second.root), "--plain"],
        env=shared.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: shared.pid == process.pid)
    process.terminate()
    assert process.wait(HANG) == 0
    assert shared.pid == first
    assert shared.run("status", "--once").returncode == 0
