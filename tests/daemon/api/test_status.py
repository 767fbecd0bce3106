"""What the status says of the daemon and its Slots."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing

from PIL import Image

from tests.daemon.harness import Daemon
from tests.harness import wait_for


def test_the_status_is_bounded(daemon: Daemon, small: Image.Image, cat: Image.Image) -> None:
    """However many photos are waiting, the status lists the first ones and counts them all."""
    daemon.start()
    folder = daemon.root / "mine"
    folder.mkdir()
    cat.save(daemon.home / "style.jpg")
    with (folder / "style.jpg").open("wb") as writer:  # photos wait until their style picture is complete
        writer.write((daemon.home / "style.jpg").read_bytes())
        small.save(folder / "0.png")
        for i in range(1, 300):
            os.link(folder / "0.png", folder / f"{i}.png")
        status = wait_for(lambda: (found := daemon.status())["pending_count"] == 300 and found)
        assert len(status["pending"]) == 100
        assert daemon.run("status", "--once").stdout.count("waiting: ") == 101


def test_the_status_shows_each_slot(daemon: Daemon, small: Image.Image, slow: str) -> None:
    """Its device and its Job. Either can be cancelled alone."""
    folder = daemon.preset("slow", slow)
    daemon.start("--device", "cpu,cpu")
    small.save(folder / "a.png")
    small.rotate(90).save(folder / "b.png")
    status = wait_for(
        lambda: (
            (found := daemon.status())
            and all(r["step"] for r in found["running"][:2] or [{"step": 0}])
            and len(found["running"]) == 2
            and found
        )
    )
    jobs = {running["job"]["id"] for running in status["running"]}
    assert {slot["job"] for slot in status["slots"]} == jobs
    assert len(daemon.workers()) == 2
    assert all(slot["device"]["name"].startswith("CPU") for slot in status["slots"])
    assert status["device"] == status["slots"][0]["device"]
    shown = daemon.run("status", "--once").stdout
    assert "a.png" in shown
    assert "b.png" in shown
    one, other = sorted(jobs)
    daemon.client.ask("DELETE", f"/v1/jobs/{one}")
    wait_for(lambda: [running["job"]["id"] for running in daemon.status()["running"]] == [other])
    assert daemon.jobs(f"id = {one}")[0]["state"] == "cancelled"


def test_a_busy_ledger_does_not_hold_up_the_api(daemon: Daemon) -> None:
    """Another program locks the Ledger: what needs to write waits, and everything else is answered."""
    daemon.start()
    client, ended = daemon.client, threading.Event()

    def pause() -> None:
        client.ask("POST", "/v1/pause")
        ended.set()

    path = daemon.root / ".stylefolder" / "ledger.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=pause)
        waiting.start()
        for _ in range(5):
            assert client.ask("GET", "/v1/presets")["presets"]
            assert client.fetch("/v1/presets/oil/thumbnail")
            assert client.ask("GET", "/v1/status")["state"] == "healthy"
            assert client.ask("GET", "/v1/jobs") == {"jobs": []}
        assert not ended.is_set(), "it waits for the lock"
        other.execute("ROLLBACK")
    waiting.join()
    assert ended.is_set()
