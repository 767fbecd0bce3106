"""Several machines, each a process of its own: who does a Job, and what is left of one when a machine goes."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from daemon.cluster.parcel import pack
from daemon.ledger.job import MAX_ATTEMPTS, Order
from daemon.ledger.signature import look
from stylecore import Preset
from tests.daemon.cluster.conftest import Cluster, drop
from tests.daemon.harness import is_picture
from tests.harness import HANG, REPOSITORY, free_address, wait_for

MINUTE = 60  # seconds


def test_another_machine_styles_photos(cluster: Cluster, cat: Image.Image, fast: str) -> None:
    """It gets all that it needs. Nothing listens on any address but the one that was asked for."""
    daemon = cluster.daemon
    assert "No other machine has joined." in daemon.status()["remarks"]
    assert stat.S_IMODE(cluster.certificate.stat().st_mode) == 0o600
    inbox = daemon.preset("oil-quick", fast)
    results = drop(inbox, cat, "a.jpg", "b.jpg")
    cat.crop((9, 9, 99, 99)).save(inbox / "result", format="jpeg")  # the name of a folder of the worker's
    worker = cluster.start().joined()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3, why="for Results")
    assert all(map(is_picture, results))
    (slot,) = cluster.slots()
    assert slot["device"]["name"].startswith(f"{socket.gethostname()}: CPU")  # type: ignore[index]
    assert not daemon.workers(), "local: false"
    for process in (psutil.Process(daemon.pid), psutil.Process(worker.process.pid)):
        listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert listening
        assert set(listening) == {"127.0.0.1"}


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle_of_a_job(cluster: Cluster, cat: Image.Image, steps: str) -> None:
    """Its worker process does not survive it, and another machine does the Job, once."""
    daemon = cluster.daemon
    first = cluster.start().joined()
    (result,) = drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    (child,) = first.children()
    first.process.kill()
    child.wait(HANG)
    cluster.start().joined()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert is_picture(result)
    (job,) = daemon.jobs()
    assert (job["state"], job["attempts"]) == ("done", 2)


@pytest.mark.slow
def test_a_worker_leaves_in_the_middle_of_a_job(cluster: Cluster, cat: Image.Image, steps: str) -> None:
    """SIGTERM: it gives the Job back, which does not count as an attempt."""
    daemon = cluster.daemon
    first = cluster.start().joined()
    drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    assert first.stop() == 0, first.said()
    wait_for(lambda: daemon.jobs("state = 'queued'"), why="for the Job to be queued again")
    cluster.start().joined()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    (job,) = daemon.jobs()
    assert (job["state"], job["attempts"]) == ("done", 1)


@pytest.mark.slow
def test_the_worker_process_is_killed(cluster: Cluster, cat: Image.Image, steps: str) -> None:
    """The machine stays, and starts another."""
    daemon = cluster.daemon
    worker = cluster.start().joined()
    drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    (child,) = worker.children()
    child.kill()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert "signal 9" in daemon.said()
    assert daemon.jobs()[0]["attempts"] == 2
    assert worker.said().count("Joined") == 1


@pytest.mark.slow
def test_the_worker_process_dies_while_nothing_runs_and_while_it_starts(
    cluster: Cluster, cat: Image.Image, fast: str
) -> None:
    """Neither counts as an attempt, and no photo fails. A temporary folder that was removed is made again."""
    daemon, worker = cluster.daemon, cluster.start(TMPDIR=str(cluster.folder)).joined()
    inbox = daemon.preset("quick", fast)
    drop(inbox, cat, "a.jpg")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 1, why="for the first")
    (child,) = worker.children()
    child.kill()
    (temporary,) = (path for path in cluster.folder.glob("stylefolder-worker-*") if path.is_dir())
    shutil.rmtree(temporary)
    cat.crop((9, 9, 99, 99)).save(inbox / "b.png")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 2, why="for the second")

    (child,) = worker.children()
    child.kill()
    cat.crop((5, 5, 99, 99)).save(inbox / "c.png")
    killed = {child.pid}

    def starting() -> bool:
        found = [other for other in worker.children() if other.pid not in killed]
        for other in found:
            other.kill()
            killed.add(other.pid)
        return bool(found)

    for _ in range(MAX_ATTEMPTS + 1):
        wait_for(starting, why="for a worker process that starts")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3, why="for the third")
    assert [job["attempts"] for job in daemon.jobs()] == [1, 1, 1]
    assert "died while starting" in daemon.said()
    assert worker.said().count("Joined") == 1


@pytest.mark.slow
@pytest.mark.parametrize("away", [0, MINUTE, None])
def test_the_daemon_is_killed_and_starts_again(
    cluster: Cluster, cat: Image.Image, steps: str, away: float | None
) -> None:
    """At once, later, or never. The worker drops the Job, joins again, and does it once more; there is one Result."""
    daemon = cluster.daemon
    worker = cluster.start().joined()
    inbox = daemon.preset("slow", steps)
    drop(inbox, cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    daemon.kill()
    wait_for(lambda: not worker.children(), why="for the Job to be dropped")
    if away is None:
        assert worker.stop() == 0
        assert list(inbox.glob("styled/*")) == []
        return
    time.sleep(away)
    daemon.start("--cluster", cluster.address)
    worker.joined(2)
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert [path.name for path in (inbox / "styled").iterdir()] == ["a.jpg"]
    assert len(daemon.jobs()) == 1


@pytest.mark.slow
def test_a_job_is_cancelled(cluster: Cluster, cat: Image.Image, slow: str, fast: str) -> None:
    daemon = cluster.daemon
    worker = cluster.start().joined()
    drop(daemon.preset("slow", slow), cat, "a.jpg")
    job = wait_for(daemon.running, why="for the first step")["job"]["id"]
    assert daemon.run("cancel", job).returncode == 0
    wait_for(lambda: daemon.jobs("state = 'cancelled'"), why="for the worker to stop")
    drop(daemon.preset("fast", fast), cat, "b.jpg")
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the next Job")
    assert worker.said().count("Joined") == 1


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True])
def test_a_series_on_two_machines(cluster: Cluster, cat: Image.Image, tmp_path: Path, named: bool) -> None:
    """One table for all photos. A machine keeps the files that the preset names, and no others."""
    daemon, style = cluster.daemon, REPOSITORY / "presets" / "styles" / "overcast.jpg"
    cat.save(first := tmp_path / "first.png")
    text = f"transfer: look\nstyle: {style}\nfit: series\noutput: {{lut: cube}}\n"
    inbox = daemon.preset("wedding", text + (f"photos: {first}\n" if named else ""))
    results = drop(inbox, cat, "a.jpg", "b.jpg", "c.jpg")
    temporary = [tmp_path / "one", tmp_path / "two"]
    for folder in temporary:
        folder.mkdir()
        cluster.start(TMPDIR=str(folder)).joined()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3, why="for Results")
    assert len({result.with_name(f"{result.name}.cube").read_bytes() for result in results}) == 1
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in ([style, first] if named else [style])}
    kept = {file.stem for folder in temporary for file in folder.glob("stylefolder-*/files/*")}
    assert kept == digests


def refused(cluster: Cluster, address: str, certificate: Path) -> str:
    done = cluster.daemon.run("worker", address, "--certificate", certificate, "--device", "cpu")
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_who_cannot_join_is_told_why(cluster: Cluster, tmp_path: Path) -> None:
    address = cluster.address
    own = cluster.certificate.read_text()
    kept = tmp_path / "old.pem"
    kept.write_text(own)
    assert "copy the file" in refused(cluster, address, tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("nothing")
    assert "is not one of Stylefolder's certificates" in refused(cluster, address, tmp_path / "bad.pem")
    nobody = free_address()
    assert f"{nobody} cannot be reached" in refused(cluster, nobody, kept)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(target=greet, args=(plain,), daemon=True).start()
        where = f"127.0.0.1:{plain.getsockname()[1]}"
        assert "is no Stylefolder cluster" in refused(cluster, where, kept)
    assert "is not an address" in refused(cluster, "nowhere", kept)


@pytest.mark.slow
def test_renewed_certificates(cluster: Cluster, cat: Image.Image, fast: str, tmp_path: Path) -> None:
    """The running daemon refuses the old ones, also from those who have joined with them."""
    daemon, worker = cluster.daemon, cluster.start().joined()
    old = tmp_path / "old.pem"
    old.write_bytes(cluster.certificate.read_bytes())
    done = daemon.run("cluster", "renew")
    assert done.returncode == 0
    assert "copy it as you would a password" in done.stdout
    assert cluster.certificate.read_bytes() != old.read_bytes()
    assert worker.process.wait(HANG) != 0
    assert "other certificates" in worker.said()
    assert "other certificates" in refused(cluster, cluster.address, old)
    cluster.start().joined()
    drop(daemon.preset("quick", fast), cat, "a.jpg")
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")


def greet(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"220 hello\r\n")


def test_nothing_of_it_is_loaded_without_a_cluster() -> None:
    """Neither by the commands nor by a daemon: the packages are an extra, and slow to import."""
    heavy = "{'distributed', 'cryptography', 'torch'}"
    looked = f"import sys, daemon.watch, daemon.commands.cli; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", looked], cwd=REPOSITORY, capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def test_what_travels_can_be_read_by_another_version_of_python(tmp_path: Path, cat: Image.Image, oil: Preset) -> None:
    """Python 3.13 names the classes of paths in a way that 3.12 does not know, and Windows has its own."""
    cat.save(photo := tmp_path / "a.png")
    order = Order(1, photo, oil, look(photo), tmp_path / "out.jpg", series=(photo,))
    assert b"pathlib" not in pickle.dumps(pack(order, frozenset()))
