"""Events to many readers: bursts, and readers who fall behind."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import subprocess
import threading
from pathlib import Path

import pytest
from PIL import Image

from daemon.api import event_stream
from daemon.api.event_stream import EventStream
from daemon.api.leases import Leases
from daemon.events import JobPreview, Note
from daemon.ledger.job import Job
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import HANG, wait_for

PHOTOS = 1000


def test_a_reader_that_falls_behind_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader that reads gets all events, and the one that does not is dropped."""
    monkeypatch.setattr(event_stream, "BEHIND", 500)

    async def scene() -> None:
        stream = EventStream(lambda _: None)
        stream.attach()
        with stream.subscribed(False) as deaf, stream.subscribed(False) as reader:
            for i in range(501):
                stream.publish(Note(f"{i}"))
                await asyncio.sleep(0)
                assert await reader.next(5) is not None
            assert stream.subscribers == {reader}
            assert deaf.ended
            assert await deaf.next(0) is None

    asyncio.run(scene())


def test_a_reader_gets_the_newest_preview_only() -> None:
    """Previews are large: those that it has not read yet are not kept."""
    job = Job(1, "folder", Path("/oil/a.jpg"), "oil", "running", 1, None, None, 0.0, 0.0, None)

    async def scene() -> None:
        stream = EventStream(lambda _: None)
        stream.attach()
        with stream.subscribed(True) as reader:
            for i in range(300):
                stream.publish(JobPreview(job, bytes([i % 256]) * 10))
            stream.publish(Note("after them"))
            await asyncio.sleep(0.1)
            note, preview = await reader.next(5), await reader.next(5)
            assert note is not None
            assert preview is not None
            assert note.event == "Note"
            assert base64.b64decode(json.loads(preview.raw_data or "")["jpeg"]) == bytes([299 - 256]) * 10
            assert await reader.next(0) is None

    asyncio.run(scene())


def test_a_lease_goes_on_when_its_reader_has_left() -> None:
    lapsed: list[int] = []

    async def scene() -> None:
        leases = Leases(lapsed.append)
        leases.grant(1, 0.05)
        leases.hold(1)
        await asyncio.sleep(0.3)
        assert lapsed == [], "its events are being read"
        leases.resume(1)
        leases.resume(2)  # never had a lease
        while not lapsed:
            await asyncio.sleep(0.05)

    asyncio.run(scene())
    assert lapsed == [1]


def publish_all(stream: EventStream, count: int) -> None:
    for i in range(count):
        stream.publish(Note(f"{i}"))


def test_a_burst_reaches_every_reader_in_order() -> None:
    """From another thread, before the readers have their turn."""

    async def scene() -> None:
        stream = EventStream(lambda _: None)
        stream.attach()
        with stream.subscribed(False) as one, stream.subscribed(True) as other:
            burst = threading.Thread(target=publish_all, args=[stream, 5000])
            burst.start()
            burst.join()
            for reader in (one, other):
                events = [await reader.next(10) for _ in range(5000)]
                assert [event and event.id for event in events] == [str(i) for i in range(1, 5001)]

    asyncio.run(scene())


def test_a_thousand_photos_dropped_while_status_runs(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """`status` sees all of them, and does not mistake the burst for the daemon's end."""
    inbox = daemon.preset("one", fast)
    daemon.start()
    assert daemon.run("pause").returncode == 0
    small.save(daemon.home / "a.png")
    data = (daemon.home / "a.png").read_bytes()
    seen = daemon.home / "seen"
    with seen.open("wb") as out:
        status = subprocess.Popen([*STYLEFOLDER, "status", "--json"], env=daemon.environment, stdout=out, stderr=out)
    strays = itertools.count()

    def attached() -> bool:
        """Whether `status` reports a new stray photo."""
        (daemon.root / f"astray-{next(strays)}.jpg").touch()
        return b"astray" in seen.read_bytes()

    try:
        wait_for(attached)
        folder = daemon.home / "burst"
        folder.mkdir()
        for i in range(PHOTOS):
            (folder / f"{i}.png").write_bytes(data)
        folder.rename(inbox / "burst")
        wait_for(lambda: seen.read_bytes().count(b'"event": "JobQueued"') == PHOTOS)
        assert status.poll() is None
    finally:
        status.terminate()
        status.wait(HANG)


def test_status_while_photos_come_and_go(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Many readers of the status, while the loop changes what is pending: every answer is complete."""
    inbox = daemon.preset("one", fast)
    daemon.start()
    daemon.run("pause")
    client, stop, wrong = daemon.client, threading.Event(), list[Exception]()

    def read() -> None:
        while not stop.is_set():
            try:
                assert client.ask("GET", "/v1/status")["pid"] == client.address.pid
            except Exception as e:
                wrong.append(e)
                return

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    small.save(daemon.home / "a.png")
    data = (daemon.home / "a.png").read_bytes()
    for turn in range(5):
        photos = [Path(inbox / f"{turn}-{i}.png") for i in range(60)]
        for photo in photos:
            photo.write_bytes(data)
        wait_for(lambda: daemon.status()["pending_count"] > 0)
        for photo in photos:
            photo.unlink()
        wait_for(lambda: daemon.status()["pending_count"] == 0)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
