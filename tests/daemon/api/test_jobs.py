"""A client follows its own Job, and goes away."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.daemon.api.harness import png
from tests.daemon.harness import Daemon
from tests.harness import HANG, wait_for


def events_of(daemon: Daemon, number: int, query: str = "") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(daemon.client.address.url).netloc, timeout=HANG)
    connection.request(
        "GET", f"/v1/jobs/{number}/events{query}", headers={"Authorization": f"Bearer {daemon.client.address.token}"}
    )
    return connection.getresponse()


def names(stream: http.client.HTTPResponse) -> list[str]:
    return [line.decode().split()[1] for line in stream.read().splitlines() if line.startswith(b"event: ")]


@pytest.mark.slow
def test_the_events_of_one_job(daemon: Daemon, fast: str, slow: str, small: Image.Image) -> None:
    """How many are ahead while it waits, then its steps, until it ends. For a finished Job, how it ended."""
    daemon.preset("one", fast)
    daemon.preset("long", slow)
    daemon.start()
    wait_for(lambda: {"one", "long"} <= {p["name"] for p in daemon.client.ask("GET", "/v1/presets")["presets"]})
    first = daemon.client.ask("POST", "/v1/jobs", png(small), preset="long")["id"]
    second = daemon.client.ask("POST", "/v1/jobs", png(small.rotate(90)), preset="one")["id"]
    stream = events_of(daemon, second)
    while not (line := stream.readline()).startswith(b"data: "):
        pass
    told_first = json.loads(line[6:])
    assert (told_first["job"]["ahead"], told_first["paused"]) == (1, False)
    daemon.client.ask("DELETE", f"/v1/jobs/{first}")
    told = names(stream)
    assert told[-1] == "JobDone"
    assert "JobStarted" in told
    assert set(told) <= {"Job", "JobQueued", "JobStarted", "JobChosen", "JobStepped", "JobDone"}
    assert names(events_of(daemon, second)) == ["Job"]


@pytest.mark.slow
def test_who_asked_is_gone(daemon: Daemon, slow: str, small: Image.Image) -> None:
    """The Job is cancelled when the client closes its stream, when its lease runs out, or at a restart."""
    daemon.preset("long", slow)
    daemon.start()
    wait_for(lambda: any(p["name"] == "long" for p in daemon.client.ask("GET", "/v1/presets")["presets"]))

    def state(number: int) -> str:
        return str(daemon.client.ask("GET", f"/v1/jobs/{number}")["state"])

    def post(turn: int) -> int:
        return int(daemon.client.ask("POST", "/v1/jobs", png(small.rotate(turn)), preset="long", lease=1)["id"])

    held, lapsed = post(1), post(2)
    stream = events_of(daemon, held, "?cancel_on_close=true")
    wait_for(lambda: state(lapsed) == "cancelled")
    wait_for(daemon.running)
    assert state(held) == "running", "past its lease, because someone is listening"
    stream.close()
    wait_for(lambda: state(held) == "cancelled")
    plain = daemon.client.ask("POST", "/v1/jobs", png(small.rotate(3)), preset="long")["id"]
    events_of(daemon, plain).close()
    leased = post(4)
    stream = events_of(daemon, leased, "?cancel_on_close=true")
    wait_for(daemon.running)
    daemon.kill()
    daemon.start()
    assert state(plain) in ("queued", "running"), "a Job without a lease is not cancelled"
    assert state(leased) == "cancelled"


def test_a_hundred_clients_and_one_that_never_reads(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    """The daemon's memory does not grow, it keeps answering, and all who read get the same events."""
    import psutil

    address = shared.client.address
    head = (
        f"GET /v1/events?previews=true HTTP/1.1\r\nHost: {urlsplit(address.url).netloc}\r\n"
        f"Authorization: Bearer {address.token}\r\n\r\n"
    ).encode()
    sockets = []
    for _ in range(100):
        s = socket.create_connection(("127.0.0.1", urlsplit(address.url).port or 0), timeout=HANG)
        s.sendall(head)
        sockets.append(s)
    _deaf, *readers = sockets
    for s in readers:
        text = b""
        while b": welcome" not in text:
            text += s.recv(4096)
    before = psutil.Process(address.pid).memory_info().rss
    small.save(inbox / "a.png")
    wait_for((inbox / "styled" / "a.png").exists)
    shared.status()
    for s in readers:
        text = b""
        while b"event: JobDone" not in text:
            text += s.recv(65536)
    assert psutil.Process(address.pid).memory_info().rss - before < 50_000_000
    for s in sockets:
        s.close()
