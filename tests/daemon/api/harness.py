"""Paired clients, requests that a client would not send, and refusals."""

from __future__ import annotations

import http.client
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from daemon.api.client import Address, Client
from daemon.errors import Refused
from tests.daemon.harness import Daemon
from tests.harness import HANG


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def raw_request(daemon: Daemon, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(daemon.client.address.url).netloc, timeout=HANG)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def headers_of(daemon: Daemon, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPMessage:
    connection = http.client.HTTPConnection(urlsplit(daemon.client.address.url).netloc, timeout=HANG)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.headers


def line_of(box: Daemon, *options: str) -> str:
    done = box.run("pair", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().removeprefix("stylefolder connect ").strip("'")


def laptop(box: Daemon, folder: Path) -> Daemon:
    """Another machine, as far as files go."""
    folder.mkdir()
    return Daemon(folder / "Root", folder)


def paired(box: Daemon, folder: Path, *options: str) -> tuple[Daemon, Client]:
    made = laptop(box, folder)
    done = made.run("connect", line_of(box, *options))
    assert done.returncode == 0, done.stderr
    fields = json.loads((folder / "config" / "stylefolder" / "connection.json").read_text())
    return made, Client(Address(**fields))


def refusal(client: Client, method: str, path: str, **query: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        client.ask(method, path, **query)
    return caught.value.status, str(caught.value)
