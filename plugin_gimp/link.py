"""The daemon as the plug-in sees it: find or start it, send pixels, follow the Job, fetch pixels.

Standard library only, no GIMP.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

START_WITHIN = 60.0  # seconds for a daemon to answer after its start
ANSWER_WITHIN = 60.0
PROTOCOL = "1"  # as in daemon.api.client
ALIVE_WITHIN = 15.0  # a Job's event stream says something every second
LEASE = 3.0  # seconds after which the daemon cancels a Job if nobody reads its events
INSTALL = "open a terminal and run `stylefolder gimp install`"
NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "GI_TYPELIB_PATH", "GDK_BACKEND", "GIO_MODULE_DIR")
"""What GIMP, or its package, sets for its own Python. A daemon must not inherit it."""


class Trouble(Exception):
    """A sentence for the user: what happened, why, what to do."""


class NotRunning(Exception):
    """The daemon does not answer."""


class Daemon:
    """Each call is one connection. Raises Trouble, or NotRunning if the daemon does not answer."""

    def __init__(self, url: str, token: str, pin: str | None = None) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._token = token
        self._pin = pin  # the fingerprint of another machine's certificate

    def presets(self) -> list[dict[str, Any]]:
        """The presets that can be used, with name and description."""
        found: list[dict[str, Any]] = json.loads(self._ask("GET", "/v1/presets").read())["presets"]
        return [preset for preset in found if preset["size"] is not None]

    def thumbnail(self, preset: str) -> bytes:
        """A JPEG."""
        return self._ask("GET", f"/v1/presets/{urllib.parse.quote(preset, safe='')}/thumbnail").read()

    def submit(self, options: dict[str, Any], strips: Iterable[bytes], size: int) -> int:
        """Send bare samples, ``size`` bytes in all. Returns the Job's number."""
        query = {name: value for name, value in options.items() if value is not None}
        answer = self._ask("POST", "/v1/jobs?" + urllib.parse.urlencode({**query, "lease": LEASE}), strips, size)
        return int(json.loads(answer.read())["id"])

    def follow(self, job: int) -> Iterator[dict[str, Any]]:
        """What happens to the Job, until its end. If the plug-in exits before that, the daemon cancels the Job."""
        stream = self._ask("GET", f"/v1/jobs/{job}/events?cancel_on_close=true", timeout=ALIVE_WITHIN)
        try:
            for line in stream:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as e:
            raise NotRunning from e
        finally:
            stream.close()

    def result(self, job: int) -> tuple[dict[str, int], http.client.HTTPResponse]:
        """The Result's shape (width, height, channels, bits), and a response from which to read the samples."""
        answer = self._ask("GET", f"/v1/jobs/{job}/result")
        shape = {name: int(answer.headers[f"Stylefolder-{name}"]) for name in ("Width", "Height", "Channels", "Bits")}
        return {name.lower(): value for name, value in shape.items()}, answer

    def forget(self, job: int) -> None:
        """Remove what was sent, and its Result. If the Job is not finished, the first request only cancels it."""
        for _ in range(2):
            self._ask("DELETE", f"/v1/jobs/{job}").read()

    def _ask(
        self, method: str, path: str, strips: Iterable[bytes] = (), size: int = 0, timeout: float = ANSWER_WITHIN
    ) -> http.client.HTTPResponse:
        connection = self._connection(timeout)
        try:
            connection.putrequest(method, path)
            connection.putheader("Authorization", f"Bearer {self._token}")
            connection.putheader("Stylefolder-Protocol", PROTOCOL)
            if size:
                connection.putheader("Content-Type", "application/octet-stream")
                connection.putheader("Content-Length", str(size))
            connection.endheaders()
            try:
                for strip in strips:
                    connection.send(strip)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was all sent: the answer says why
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            raise NotRunning from e
        if answer.status >= 400:
            raise Trouble(_message(answer))
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        """Without proxies, as it should be."""
        if self._url.scheme == "http":
            return http.client.HTTPConnection(self._url.netloc, timeout=timeout)
        if self._pin is None:
            return http.client.HTTPSConnection(self._url.netloc, timeout=timeout, context=ssl.create_default_context())
        return _Pinned(self._url.netloc, self._pin, timeout)


class _Pinned(http.client.HTTPSConnection):
    """To a machine whose certificate has this fingerprint, whatever its name. Nothing is sent to another one."""

    def __init__(self, host: str, pin: str, timeout: float) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__(host, timeout=timeout, context=context)
        self._pin = pin

    def connect(self) -> None:
        super().connect()
        digest = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").digest()
        if not hmac.compare_digest(base64.urlsafe_b64encode(digest).decode().rstrip("="), self._pin):
            self.close()
            raise Trouble(
                f"{self.host} has another certificate than when you connected: if you expect that, run `stylefolder "
                "pair` there and `stylefolder connect` here again."
            )


def is_look(preset: dict[str, Any]) -> bool:
    """Whether it changes colours and tones only, so that it has no size and no strokes."""
    return preset.get("transfer") == "look"


def connect(folder: Path, say: Callable[[str], None]) -> Daemon:
    """Connect to the daemon whose address is in the plug-in's folder. If none answers, announce that with ``say`` and
    start one.

    Raises Trouble.
    """
    if (elsewhere := _address(folder / "connection.json")) is not None:
        if not _answers(elsewhere):
            raise Trouble(
                "The other machine's daemon does not answer: check that it runs and that the network is up, or run "
                "`stylefolder disconnect` in a terminal to use this machine."
            )
        return elsewhere
    daemon = _running(folder)
    if daemon is not None:
        return daemon
    say("Starting Stylefolder...")
    process, log = _start(folder)
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until:
        time.sleep(0.1)
        if (daemon := _running(folder)) is not None:
            return daemon
        if process.poll() is not None:
            raise Trouble(
                f"Stylefolder did not start: {_last_line(log)} If it is already running, {INSTALL} so that GIMP can "
                "reach it."
            )
    raise Trouble(f"Stylefolder did not answer within {START_WITHIN:.0f} seconds: see {log}.")


def _running(folder: Path) -> Daemon | None:
    daemon = _address(folder / "daemon.json")
    return daemon if daemon is not None and _answers(daemon) else None  # one that was killed leaves its address


def _address(file: Path) -> Daemon | None:
    try:
        address = json.loads(file.read_text(encoding="utf-8"))
        return Daemon(address["url"], address["token"], address.get("pin"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Trouble(f"The daemon's address cannot be read from {file} ({e}): {INSTALL}.") from e


def _answers(daemon: Daemon) -> bool:
    try:
        daemon._ask("GET", "/v1/status").read()
    except NotRunning:
        return False
    return True


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    try:
        wanted = json.loads((folder / "command.json").read_text(encoding="utf-8"))
        command, log = [str(word) for word in wanted["command"]], Path(wanted["log"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Trouble(f"Stylefolder was not found: {INSTALL}.") from e
    if Path("/.flatpak-info").exists():
        command = ["flatpak-spawn", "--host", *command]
    elif not Path(command[0]).exists():
        raise Trouble(f"Stylefolder is no longer at {command[0]}: {INSTALL}.")
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:  # in a separate session, so that it survives GIMP's Cancel and exit
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=Path.home(),
                start_new_session=True,
            )
    except OSError as e:
        raise Trouble(f"Stylefolder cannot be started ({e}): start it in a terminal with `stylefolder watch`.") from e
    return process, log


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "there is no output."


def _message(answer: http.client.HTTPResponse) -> str:
    try:
        said = str(json.loads(answer.read())["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        said = f"The daemon sent an unexpected answer ({answer.status})."
    return f"{said} If this happens again, {INSTALL}." if answer.status == http.client.FORBIDDEN else said
