"""What can go wrong on a machine that has joined, or that wants to: each provoked for real."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from daemon.cluster.hub import EVENTS
from tests.daemon.cluster.conftest import Cluster, drop
from tests.daemon.harness import is_picture, namespaces
from tests.harness import HANG, wait_for

MOMENT, MINUTES = 10, 150  # seconds, the second longer than what a silence may last


@pytest.mark.parametrize(
    ("fact", "value", "sentence"),
    [
        ("protocol", 999, "speaks version 999 of the cluster's protocol and the daemon speaks version 1"),
        ("torch", "999.0", "has torch 999.0 and the daemon has 2."),
        ("weights", "0" * 64, "has other VGG19 weights (sha256 000000000000...) than the daemon (c34748d2a8b1...)"),
    ],
)
def test_another_version_cannot_join(cluster: Cluster, fact: str, value: object, sentence: str) -> None:
    """A worker with one fact changed; otherwise the real one."""
    changed = (
        "from daemon.cluster import transport\nfrom daemon.__main__ import main\nfacts = transport.facts\n"
        f"transport.facts = lambda: facts() | {{{fact!r}: {value!r}}}\nmain()"
    )
    worker = cluster.start(program=[sys.executable, "-c", changed])
    assert worker.process.wait(HANG) == 2
    assert sentence in worker.said()
    assert len(worker.said().splitlines()) == 1
    assert "No other machine has joined." in cluster.daemon.status()["remarks"]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["worker", "daemon"])
def test_one_is_frozen_for_a_moment(cluster: Cluster, cat: Image.Image, steps: str, who: str) -> None:
    """Nothing is done again."""
    daemon, worker = cluster.daemon, cluster.start().joined()
    drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    pid = daemon.pid if who == "daemon" else worker.process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(MOMENT)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert daemon.jobs()[0]["attempts"] == 1
    assert worker.said().count("Joined") == 1, worker.said()


def test_someone_gives_up_joining(cluster: Cluster) -> None:
    """A daemon that is frozen accepts connections and says nothing."""
    os.kill(cluster.daemon.pid, signal.SIGSTOP)
    try:
        worker = cluster.start()
        process = psutil.Process(worker.process.pid)
        wait_for(lambda: any(c.status == psutil.CONN_ESTABLISHED for c in process.net_connections("tcp")))
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(HANG) == 0, "and not after a time limit, with an error"
    finally:
        os.kill(cluster.daemon.pid, signal.SIGCONT)


@pytest.mark.slow
def test_the_daemon_is_frozen_for_minutes(cluster: Cluster, cat: Image.Image, slow: str, fast: str) -> None:
    """The worker gives its Job back, which is not counted as an attempt. When the daemon is back, the Job starts again,
    and can be cancelled."""
    daemon, worker = cluster.daemon, cluster.start().joined()
    inbox = daemon.preset("slow", slow)
    (result,) = drop(inbox, cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    (child,) = worker.children()
    pid = daemon.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        child.wait(MINUTES)
    finally:
        os.kill(pid, signal.SIGCONT)

    def started() -> list[dict[str, object]]:
        return [event["job"] for event in daemon.events() if event["event"] == "JobStarted"]

    wait_for(lambda: len(started()) == 2, why="for a second start")
    assert [job["attempts"] for job in started()] == [1, 1]
    assert daemon.run("cancel", started()[0]["id"]).returncode == 0
    wait_for(lambda: daemon.jobs("state = 'cancelled'"), why="for the worker to stop")
    assert not result.exists()
    drop(daemon.preset("fast", fast), cat, "b.jpg")
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the next photo")
    assert worker.process.poll() is None


@pytest.mark.slow
def test_a_late_result_is_refused(cluster: Cluster, cat: Image.Image, steps: str) -> None:
    """A frozen machine's worker process finishes a Job, which is then done by another machine. When the first thaws,
    it sends its Result, too."""
    daemon, frozen = cluster.daemon, cluster.start().joined()
    daemon.settings("local: false\npatience: 5\n")
    (result,) = drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    os.kill(frozen.process.pid, signal.SIGSTOP)
    cluster.start().joined()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result of the other")
    before = result.stat().st_mtime_ns, result.stat().st_ino
    os.kill(frozen.process.pid, signal.SIGCONT)
    drop(daemon.preset("second", steps), cat.rotate(180), "b.jpg", "c.jpg")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3, why="for the next photos, one on each")
    assert (result.stat().st_mtime_ns, result.stat().st_ino) == before
    assert [path.name for path in result.parent.iterdir()] == ["a.jpg"]
    assert "no sign of life" in daemon.said()
    started = [event["job"]["id"] for event in daemon.events() if event["event"] == "JobStarted"]
    assert sorted(started) == [1, 1, 2, 3], "the frozen machine gets no Job before it answers"


@pytest.mark.slow
def test_a_job_whose_worker_process_dies_three_times(cluster: Cluster, cat: Image.Image, steps: str) -> None:
    """It fails and is named. The machine goes on with the next one."""
    daemon, worker = cluster.daemon, cluster.start().joined()
    inbox = daemon.preset("slow", steps)
    drop(inbox, cat, "a.jpg")
    killed: set[int] = set()
    while len(killed) < 3:
        wait_for(daemon.running, why="for a step")
        for child in worker.children():
            if child.pid not in killed:
                killed.add(child.pid)
                child.send_signal(signal.SIGSEGV)
    reason = daemon.reason(inbox / "a.jpg")
    assert "signal 11" in reason
    assert "3 times" in reason
    cat.crop((9, 9, 99, 99)).save(inbox / "b.jpg")
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the next photo")
    assert worker.said().count("Joined") == 1


@pytest.mark.slow
def test_a_killed_worker_leaves_no_photos(cluster: Cluster, cat: Image.Image, steps: str, tmp_path: Path) -> None:
    """The next one on that machine removes its folder, and not that of one that is there."""
    daemon, folder = cluster.daemon, tmp_path / "temporary"
    folder.mkdir()

    def folders() -> set[Path]:
        return {path for path in folder.glob("stylefolder-worker-*") if path.is_dir()}

    killed = cluster.start(TMPDIR=str(folder)).joined()
    (lasting,) = folders()
    cluster.start(TMPDIR=str(folder)).joined()
    assert lasting in folders()
    drop(daemon.preset("slow", steps), cat, "a.jpg", "b.jpg")
    wait_for(lambda: any(lasting.rglob("*.jpg")), why="for a photo to arrive")
    killed.process.kill()
    killed.process.wait(HANG)
    assert lasting in folders()
    cluster.start(TMPDIR=str(folder)).joined()
    assert lasting not in folders()
    assert len(folders()) == 2
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 2, why="for the Results")


@pytest.mark.slow
def test_a_flood_of_events(cluster: Cluster, fast: str, tmp_path: Path) -> None:
    """20 Slots, simulated, with 1,000 steps per second each. What the daemon hears of is bounded; it answers meanwhile,
    and no Result is lost."""
    daemon, slots, report = cluster.daemon, 20, str(tmp_path / "report.json")
    inbox = daemon.preset("quick", fast)
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.bench import cluster\ncluster.STEP = 0.001\n"
        f"cluster.sleep(sys.argv[2], Path(sys.argv[4]), {slots}, 5.0, Path({report!r}))"
    )
    cluster.start(program=[sys.executable, "-c", program]).joined()
    for i in range(slots):
        Image.new("RGB", (32, 32), (i, 0, 0)).save(inbox / f"{i}.png")
    wait_for(daemon.running, why="for the first step")
    wait_for(lambda: daemon.status()["done_today"].get("quick") == slots, why="for Results")
    events = daemon.events()
    heard = [event["at"] for event in events if event["event"] == "JobStepped"]
    assert slots < len(heard) < EVENTS * (events[-1]["at"] - heard[0]) + slots
    assert len(list((inbox / "styled").iterdir())) == slots


@pytest.mark.slow
@namespaces
def test_the_disk_of_a_worker_is_full(cluster: Cluster, cat: Image.Image, fast: str, tmp_path: Path) -> None:
    """The Job fails and says where; on a machine with space, it can be done."""
    daemon, folder = cluster.daemon, tmp_path / "small"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=64k tmpfs {folder} && exec "$@"'
    full = cluster.start(["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"], TMPDIR=str(folder))
    full.joined()
    inbox = daemon.preset("quick", fast)
    (result,) = drop(inbox, cat, "a.jpg")
    reason = daemon.reason(inbox / "a.jpg")
    assert "No space left on device" in reason, reason
    full.stop()
    cluster.start().joined()
    assert daemon.run("retry", "--failed").returncode == 0
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert is_picture(result)
