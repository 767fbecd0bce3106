"""Strangers who send too much, too slowly or without end: memory stays bounded, and others are still served."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from daemon.api.guard import EACH, HEADERS_WITHIN
from tests.daemon.api.harness import paired
from tests.daemon.harness import Daemon
from tests.harness import HANG, wait_for

GROWS = 150_000_000  # bytes that the daemon may take for it, at most


def netloc_of(box: Daemon) -> tuple[str, int]:
    url = urlsplit(box.client.ask("GET", "/v1/clients")["url"])
    assert url.hostname and url.port
    return url.hostname, url.port


def by_tls(where: tuple[str, int], source: str = "127.0.0.1") -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(where, HANG, (source, 0)))


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def memory_of(box: Daemon) -> int:
    return int(psutil.Process(box.pid).memory_info().rss)


def asks_from_elsewhere(where: tuple[str, int]) -> int:
    """The status of an answer to another machine (in Linux, all of 127.0.0.0/8 is this one)."""
    connection = http.client.HTTPConnection(*where)
    connection.sock = by_tls(where, "127.0.0.2")
    connection.request("GET", "/")
    return connection.getresponse().status


@pytest.mark.slow
def test_a_thousand_idle_connections(box: Daemon) -> None:
    where, before = netloc_of(box), memory_of(box)
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(1000):
            with contextlib.suppress(OSError):
                idle.append(stack.enter_context(contextlib.closing(socket.create_connection(where, HANG))))
        wait_for(lambda: sum(not is_closed(one) for one in idle) <= EACH)
        assert asks_from_elsewhere(where) == 200
        assert memory_of(box) - before < GROWS
    wait_for(lambda: _answers(where))


def _answers(where: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(by_tls(where)):
        return True
    return False


@pytest.mark.slow
def test_slowloris(box: Daemon) -> None:
    """Headers that never end: each connection is closed after a while, and a client's own go on."""
    where = netloc_of(box)
    slow = [by_tls(where) for _ in range(20)]
    for one in slow:
        one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    begin, closed = time.monotonic(), 0
    while closed < len(slow):
        assert time.monotonic() - begin < HANG
        assert asks_from_elsewhere(where) == 200
        for one in list(slow):
            try:
                one.sendall(b"X: y\r\n")
            except OSError:
                closed += 1
                slow.remove(one)
        closed += sum(is_closed(one) for one in slow)
        slow = [one for one in slow if one.fileno() != -1 and not is_closed(one)]
        time.sleep(1)
    assert time.monotonic() - begin > HEADERS_WITHIN / 2


@pytest.mark.slow
def test_a_body_without_end_is_refused(box: Daemon, tmp_path: Path) -> None:
    """Chunked, so its length is not known before. What is too much is not kept, and the connection is closed soon."""
    box.settings("upload_limit: 20\n")
    box.stop()
    address = str(box.process.args[-1]) if box.process is not None else ""  # type: ignore[index]
    box.start("--listen", address)
    _, client = paired(box, tmp_path / "one")
    where, before, most = netloc_of(box), memory_of(box), 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, memory_of(box))

    watching = threading.Thread(target=watch)
    watching.start()
    connection = http.client.HTTPConnection(*where)
    connection.sock = by_tls(where)
    connection.putrequest("POST", "/v1/jobs?preset=oil")
    connection.putheader("Authorization", f"Bearer {client.address.token}")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    chunk = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
    begin = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - begin < HANG:
            connection.send(chunk)
    done.set()
    watching.join()
    assert most - before < GROWS
    assert client.ask("GET", "/v1/status")["state"] in ("healthy", "degraded")
    spool = box.root / ".stylefolder" / "spool"
    wait_for(lambda: not list(spool.iterdir()))
