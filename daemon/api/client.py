"""A client of the API, for the commands. It needs the standard library only, so that commands start fast."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from daemon.errors import NoDaemon, Refused

ANSWER_WITHIN = 60.0  # seconds
ALIVE_WITHIN = 40.0  # an event stream says something every 15 seconds
PROTOCOL = "1"  # raise it whenever a client of one version cannot use a daemon of another
PROTOCOL_HEADER = "Stylefolder-Protocol"
ENDED = "The daemon has stopped: run `stylefolder watch` to start it again."


@dataclass(frozen=True)
class Address:
    """Where a daemon listens, and the token that it requires. ``root``, ``pid``: of one on this machine. ``pin``: the
    fingerprint of the certificate that another machine's must have. ``number``: this client's, there. ``token``: empty
    before the first connection."""

    url: str
    token: str
    root: str = ""
    pid: int = 0
    pin: str | None = None
    number: int | None = None

    @property
    def elsewhere(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc


def read_address(file: Path) -> Address | None:
    try:
        return Address(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


class Client:
    """Each call is one connection. Raises NoDaemon, Refused."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def ask(self, method: str, path: str, body: bytes | IO[bytes] | None = None, **query: Any) -> Any:
        """The answer's JSON, or None if it has none."""
        answer = self._read(method, path, body, query)
        return json.loads(answer) if answer else None

    def post(self, path: str, fields: dict[str, Any]) -> Any:
        """JSON to JSON."""
        return json.loads(self._read("POST", path, json.dumps(fields).encode(), {}, "application/json"))

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
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None,
        query: dict[str, Any],
        timeout: float,
        kind: str = "application/octet-stream",
    ) -> http.client.HTTPResponse:
        given = {name: _word(value) for name, value in query.items() if value is not None}
        target = path + ("?" + urllib.parse.urlencode(given) if given else "")
        headers = {
            "Authorization": f"Bearer {self.address.token}",
            "Content-Type": kind,
            PROTOCOL_HEADER: PROTOCOL,
        }
        try:
            connection = self._connection(timeout)
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
        except ssl.SSLCertVerificationError as e:
            raise NoDaemon(self._mistrusted(e.verify_message)) from e
        except (OSError, http.client.HTTPException) as e:
            raise NoDaemon(self._silent) from e
        if answer.status >= 400:
            raise Refused(answer.status, _message(answer.read()))
        return answer

    def _mistrusted(self, why: str) -> str:
        host = self.address.host
        if self.address.token:
            return (
                f"{host} has another certificate than when you connected ({why}): if you expect that, run "
                "`stylefolder pair` there and `stylefolder connect` here again."
            )
        if self.address.pin is None:
            return f"{host} has a certificate that this machine does not trust ({why}): install its authority's here."
        return f"{host} does not have the certificate that the line names: copy all of the line again."

    @property
    def _silent(self) -> str:
        if self.address.elsewhere and not self.address.token:
            return (
                f"No daemon answers at {self.address.host}: check that it runs with `--listen`, that its firewall "
                "allows that port, and that the network is up."
            )
        if self.address.elsewhere:
            return (
                f"The daemon at {self.address.host} does not answer: check that it runs and that the network is up, or "
                "run `stylefolder disconnect` to use this machine."
            )
        return "The daemon does not answer: run `stylefolder watch` to start one."

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host = self.address.host
        if not self.address.elsewhere:
            return http.client.HTTPConnection(host, timeout=timeout)
        if self.address.pin is None:
            return http.client.HTTPSConnection(host, timeout=timeout, context=ssl.create_default_context())
        return PinnedConnection(host, self.address.pin, timeout)

    def _read(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None,
        query: dict[str, Any],
        kind: str = "application/octet-stream",
    ) -> bytes:
        try:
            return self.send(method, path, body, query, ANSWER_WITHIN, kind).read()
        except (OSError, http.client.HTTPException) as e:
            raise NoDaemon(self._silent if self.address.elsewhere else ENDED) from e


class PinnedConnection(http.client.HTTPSConnection):
    """To a machine whose certificate has this fingerprint, whatever its name and whoever signed it. Nothing is sent to
    another one."""

    def __init__(self, host: str, pin: str, timeout: float) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__(host, timeout=timeout, context=context)
        self._pin = pin

    def connect(self) -> None:
        super().connect()
        certificate = self.sock.getpeercert(binary_form=True)
        if certificate is None or not hmac.compare_digest(fingerprint(certificate), self._pin):
            self.close()
            error = ssl.SSLCertVerificationError("another fingerprint")
            error.verify_message = "another fingerprint"
            raise error


def fingerprint(certificate: bytes) -> str:
    """The sha256 of a certificate in DER, in 43 letters that can stand in a URL."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=")


def connect(file: Path, elsewhere: Path | None = None) -> Client:
    """To the running daemon whose address is in ``file``, or to another machine's, if there is a file ``elsewhere``.
    Raises NoDaemon, Refused."""
    address = None if elsewhere is None else read_address(elsewhere)
    if address is None and (address := read_address(file)) is None:
        raise NoDaemon("No daemon is running: run `stylefolder watch` to start one.")
    client = Client(address)
    client.ask("GET", "/v1/status")
    return client


def connected(elsewhere: Path) -> Client | None:
    """To the other machine's daemon that this machine uses, if it does. Whether it answers shows later."""
    address = read_address(elsewhere)
    return None if address is None else Client(address)


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
