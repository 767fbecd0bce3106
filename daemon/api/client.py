"""A client of the local API, for the commands. It needs the standard library only, so that commands start fast."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from daemon.errors import NoDaemon, Refused

ANSWER_WITHIN = 60.0  # seconds
ALIVE_WITHIN = 40.0  # an event stream says something every 15 seconds
ENDED = "The daemon has stopped: run `stylefolder watch` to start it again."


@dataclass(frozen=True)
class Address:
    """Where a daemon listens, and the token that it requires."""

    url: str
    token: str
    root: str
    pid: int


def read_address(file: Path) -> Address | None:
    try:
        return Address(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


class Client:
    """Each call is one connection. Raises NoDaemon, Refused."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._host = urllib.parse.urlsplit(address.url).netloc

    def ask(self, method: str, path: str, body: bytes | IO[bytes] | None = None, **query: Any) -> Any:
        """The answer's JSON, or None if it has none."""
        answer = self._read(method, path, body, query)
        return json.loads(answer) if answer else None

    def fetch(self, path: str) -> bytes:
        return self._read("GET", path, None, {})

    def events(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Events as they happen. The first is empty, and shows that the stream is open. Ends when the daemon stops."""
        stream = self.send("GET", "/v1/events", None, query, ALIVE_WITHIN)
        try:
            for line in stream:
                if line.startswith(b": welcome"):
                    yield {}
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as e:
            raise NoDaemon(ENDED) from e
        finally:
            stream.close()

    def send(
        self, method: str, path: str, body: bytes | IO[bytes] | None, query: dict[str, Any], timeout: float
    ) -> http.client.HTTPResponse:
        given = {name: _word(value) for name, value in query.items() if value is not None}
        target = path + ("?" + urllib.parse.urlencode(given) if given else "")
        headers = {"Authorization": f"Bearer {self.address.token}", "Content-Type": "application/octet-stream"}
        connection = http.client.HTTPConnection(self._host, timeout=timeout)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            raise NoDaemon("The daemon does not answer: run `stylefolder watch` to start one.") from e
        if answer.status >= 400:
            raise Refused(answer.status, _message(answer.read()))
        return answer

    def _read(self, method: str, path: str, body: bytes | IO[bytes] | None, query: dict[str, Any]) -> bytes:
        try:
            return self.send(method, path, body, query, ANSWER_WITHIN).read()
        except (OSError, http.client.HTTPException) as e:
            raise NoDaemon(ENDED) from e


def connect(file: Path) -> Client:
    """To the running daemon. Raises NoDaemon."""
    address = read_address(file)
    if address is None:
        raise NoDaemon("No daemon is running: run `stylefolder watch` to start one.")
    client = Client(address)
    client.ask("GET", "/v1/status")
    return client


def running_daemon(file: Path) -> Client | None:
    try:
        return connect(file)
    except (NoDaemon, Refused):
        return None


def _word(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "The daemon's answer is unreadable: check that it has the same version as this command."
