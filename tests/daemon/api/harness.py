"""Requests that the client would not send."""

from __future__ import annotations

import http.client
import io
import json
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

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
