"""Machines on a network of their own: cables are pulled and machines freeze at the worst times. Each photo has one
Result."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.daemon.cluster.conftest import Cluster, drop
from tests.daemon.cluster.network import Machine, ip, needs_root
from tests.daemon.harness import is_picture
from tests.harness import HANG, wait_for

Studio = tuple[Cluster, list[Machine]]

MOMENT, MINUTES = 10, 180  # seconds
HALFWAY = 100_000_000  # bytes of a huge photo, or of its Result
SLOW = 1500  # Mbit/s


def huge(path: Path) -> None:
    """200 MB."""
    pixels = np.random.default_rng(1).integers(0, 65536, (4096, 8192, 3), np.uint16)
    part = path.with_name(f".{path.name}.part")
    tifffile.imwrite(part, pixels)
    part.rename(path)


@pytest.fixture
def unchanged(fast: str) -> str:
    """A preset whose Results take no longer than their way here and back."""
    return f"{fast}strength: 0\n"


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("during", ["job", "upload", "result"])
def test_the_link_is_down_for_a_moment(
    studio: Studio, cat: Image.Image, steps: str, unchanged: str, during: str
) -> None:
    """Nothing is done again."""
    cluster, (ada, *_) = studio
    daemon = cluster.daemon
    worker = cluster.start(ada.before).joined()
    ada.limit(SLOW)
    if during == "job":
        drop(daemon.preset("slow", steps), cat, "a.jpg")
        wait_for(daemon.running, why="for the first step")
    else:
        huge(daemon.preset("unchanged", unchanged) / "a.tif")
        count = ada.received if during == "upload" else ada.sent
        wait_for(lambda: count() > HALFWAY, why="for half of it")
    ada.pull()
    assert not daemon.jobs("state = 'done'")
    time.sleep(MOMENT)
    ada.plug()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert daemon.jobs()[0]["attempts"] == 1
    assert worker.said().count("Joined") == 1, worker.said()


@pytest.mark.slow
@needs_root
def test_a_job_is_cancelled_while_its_result_travels(studio: Studio, unchanged: str) -> None:
    """And tried again at once."""
    cluster, (ada, *_) = studio
    daemon, worker = cluster.daemon, cluster.start(ada.before).joined()
    ada.limit(SLOW)
    inbox = daemon.preset("unchanged", unchanged)
    huge(inbox / "a.tif")
    wait_for(lambda: ada.sent() > HALFWAY, why="for half of it")
    ada.pull()  # so that it cannot arrive first
    assert daemon.run("cancel", job := daemon.jobs()[0]["id"]).returncode == 0
    assert daemon.jobs()[0]["state"] == "cancelling"
    ada.plug()
    wait_for(lambda: daemon.jobs("state = 'cancelled'"), why="for its end")
    assert daemon.run("retry", job).returncode == 0
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    told = [event["event"] for event in daemon.events()]
    assert (told.count("JobCancelled"), told.count("JobDone")) == (1, 1)
    assert [path.name for path in (inbox / "styled").iterdir()] == ["a.tif"]
    assert worker.said().count("Joined") == 1


@pytest.mark.slow
@needs_root
def test_machines_that_vanish_hold_up_no_other(studio: Studio, cat: Image.Image, unchanged: str) -> None:
    """Two machines lose their links with six Results on their way."""
    cluster, (ada, ben, cleo, _) = studio
    daemon, inbox = cluster.daemon, cluster.daemon.preset("unchanged", unchanged)
    for machine in (ada, ben):
        cluster.start(machine.before, device="cpu,cpu,cpu").joined()
        machine.limit_sending(1)
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (2048, 2048, 3), np.uint8)
        Image.fromarray(noise).save(daemon.home / "noise.jpg", quality=95)
        (daemon.home / "noise.jpg").rename(inbox / f"{i}.jpg")
    wait_for(lambda: min(ada.sent(), ben.sent()) > 1_500_000, why="for a part of the Results")
    cluster.start(cleo.before).joined()
    other = daemon.preset("other", unchanged)
    (before,) = drop(other, cat, "before.jpg")
    wait_for(before.exists, why="for the Result of a third machine")
    for machine in (ada, ben):
        machine.pull()
    (after,) = drop(other, cat.rotate(180), "after.jpg")
    wait_for(after.exists, why="for another one")
    assert "was lost" not in daemon.said(), "before anyone noticed"
    for machine in (ada, ben):
        machine.plug()


@pytest.mark.slow
@needs_root
def test_the_daemon_stops_while_a_result_travels(studio: Studio, unchanged: str) -> None:
    """It waits for it."""
    cluster, (ada, *_) = studio
    daemon = cluster.daemon
    cluster.start(ada.before).joined()
    ada.limit(SLOW)
    inbox = daemon.preset("unchanged", unchanged)
    huge(inbox / "a.tif")
    wait_for(lambda: ada.sent() > HALFWAY, why="for half of it")
    assert daemon.stop() == 0
    assert [job["state"] for job in daemon.jobs()] == ["done"]
    assert [path.name for path in (inbox / "styled").iterdir()] == ["a.tif"]


@pytest.mark.slow
@needs_root
def test_a_machine_that_the_daemon_cannot_reach(studio: Studio) -> None:
    """Its firewall blocks incoming connections: it gets no Jobs, and says why."""
    cluster, (ada, *_) = studio
    ada.block_incoming()
    worker = cluster.start(ada.before)
    assert worker.process.wait(HANG) == 1
    assert "The daemon cannot connect to ada at" in worker.said()
    assert "allow that in its firewall" in worker.said()
    assert "Traceback" not in worker.said()
    assert "No other machine has joined." in cluster.daemon.status()["remarks"]


@pytest.mark.slow
@needs_root
def test_the_daemons_own_address_is_away(studio: Studio, cat: Image.Image, fast: str) -> None:
    """As after a change of network, or a VPN that ends. The cluster says so, and listens again when it is back."""
    cluster, (ada, *_) = studio
    daemon, worker = cluster.daemon, cluster.start(ada.before).joined()
    address, device = cluster.address.partition(":")[0], ada.cable.rpartition("-")[0]
    ip("address", "del", f"{address}/24", "dev", device)
    wait_for(lambda: any("cannot listen" in p for p in daemon.status()["problems"]), MINUTES, why="for the problem")
    ip("address", "add", f"{address}/24", "dev", device)
    worker.joined(2)
    wait_for(lambda: not daemon.status()["problems"], why="for the problem's end")
    (result,) = drop(daemon.preset("quick", fast), cat, "a.jpg")
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert is_picture(result)


@pytest.mark.slow
@needs_root
def test_machines_are_away_for_minutes(studio: Studio, cat: Image.Image, steps: str, unchanged: str) -> None:
    """One is frozen in the middle of a Job, one loses its link then, and one while it sends a Result. Another machine
    does their Jobs. When they are back, what they still have is refused, and they get new Jobs."""
    cluster, (ada, ben, cleo, dora) = studio
    daemon = cluster.daemon
    inbox, other = daemon.preset("slow", steps), daemon.preset("unchanged", unchanged)
    sender = cluster.start(cleo.before).joined()
    cleo.limit(SLOW)
    huge(other / "huge.tif")
    wait_for(lambda: cleo.sent() > HALFWAY, why="for half of a Result")
    cleo.pull()
    frozen, cut = cluster.start(ada.before).joined(), cluster.start(ben.before).joined()
    results = drop(inbox, cat, "a.jpg", "b.jpg")
    wait_for(lambda: sum(r["step"] > 0 for r in daemon.status()["running"]) == 2, why="for both to begin")
    os.kill(frozen.process.pid, signal.SIGSTOP)
    ben.pull()
    away = time.monotonic()
    cluster.start(dora.before).joined()
    results.append(other / "styled" / "huge.tif")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3, why="for the Results")
    before = {result: (result.stat().st_mtime_ns, result.stat().st_ino) for result in results}
    time.sleep(max(0.0, MINUTES - (time.monotonic() - away)))
    for cable in (ben, cleo):
        cable.plug()
    os.kill(frozen.process.pid, signal.SIGCONT)
    for worker in (frozen, cut, sender):
        worker.joined(2)
    cat.crop((9, 9, 99, 99)).save(inbox / "c.jpg")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 4, why="for a new photo")
    assert {result: (result.stat().st_mtime_ns, result.stat().st_ino) for result in results} == before
    assert sorted(path.name for path in (inbox / "styled").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]
    assert all(map(is_picture, results))
    assert [job["attempts"] for job in daemon.jobs()] == [2, 2, 2, 1]
