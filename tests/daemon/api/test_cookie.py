"""A browser's token is in a cookie: what other sites' pages cannot do with it."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from daemon.api.auth import COOKIE
from tests.daemon.api.harness import line_of, png
from tests.daemon.harness import Daemon
from tests.harness import HANG, wait_for

OURS = {"Stylefolder-Protocol": "1"}


def request(
    url: str, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=HANG, context=context)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@pytest.fixture
def signed_in(box: Daemon) -> tuple[str, dict[str, str]]:
    """The address, and the header with the cookie."""
    line = line_of(box)
    url, code = line.split("/#")[0], line.rpartition(".")[2]
    wish = json.dumps({"code": code, "name": "a browser", "cookie": True}).encode()
    status, headers, body = request(url, "POST", "/v1/clients", {"Content-Type": "application/json"}, wish)
    assert (status, json.loads(body)["token"]) == (201, None)
    cookie = headers["Set-Cookie"]
    for attribute in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"):
        assert attribute in cookie
    assert cookie.startswith(f"{COOKIE}=") and "Domain" not in cookie
    return url, {"Cookie": cookie.partition(";")[0]}


def test_the_cookie_reads_but_changes_only_with_our_header(signed_in: tuple[str, dict[str, str]]) -> None:
    """A form of another site cannot set a header; a script of another site would need our consent for it (CORS)."""
    url, cookie = signed_in
    assert request(url, "GET", "/v1/status", cookie)[0] == 200
    status, _, body = request(url, "POST", "/v1/jobs?preset=oil", cookie, b"x")
    assert (status, "needs the header" in body.decode()) == (403, True)
    assert request(url, "DELETE", "/v1/clients/1", cookie)[0] == 403
    assert request(url, "POST", "/v1/jobs?preset=oil", {**cookie, **OURS}, b"x")[0] == 201
    assert request(url, "OPTIONS", "/v1/jobs", {"Origin": "https://evil.example", **cookie})[0] == 403
    for origin in ("https://evil.example", "null", url.replace("https", "http")):
        assert request(url, "GET", "/v1/status", {**cookie, "Origin": origin})[0] == 403
    status, headers, _ = request(url, "GET", "/v1/status", {**cookie, "Origin": url})
    assert status == 200 and headers["Access-Control-Allow-Origin"] is None
    assert request(url, "GET", "/v1/status", {**cookie, "Host": "evil.example"})[0] == 403
    assert request(url, "DELETE", "/v1/clients/1", {**cookie, **OURS})[0] == 200
    assert request(url, "GET", "/v1/status", cookie)[0] == 403, "signed out"


def test_damaged_cookies_are_no_token(signed_in: tuple[str, dict[str, str]]) -> None:
    url, _ = signed_in
    for cookie in ("", "=;=;", f"{COOKIE}=", f'{COOKIE}="', f"{COOKIE}=x; {COOKIE}=y", "a" * 5000, "\x7f=\x01"):
        assert request(url, "GET", "/v1/status", {"Cookie": cookie})[0] == 403


def test_the_page_needs_no_token_and_loads_nothing_from_elsewhere(box: Daemon) -> None:
    url = str(box.client.ask("GET", "/v1/clients")["url"])
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg"):
        status, headers, body = request(url, "GET", path, {})
        assert status == 200 and body
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert b"http://www.w3.org" in body or b"http" not in body.replace(b"https?", b"")
    for path in ("/page/nothing.js", "/page/..%2Fauth.py", "/page/%2e%2e/auth.py", "/page/../auth.py"):
        assert request(url, "GET", path, {})[0] in (403, 404)
    assert request(url, "POST", "/", {})[0] == 403


def test_pictures_to_look_at(box: Daemon, signed_in: Any, fast: str, small: Image.Image) -> None:
    """A JPEG of any format, decoded in a process of its own; nothing of other clients."""
    box.preset("quick", fast)
    wait_for(lambda: "quick" in {p["name"] for p in box.client.ask("GET", "/v1/presets")["presets"]})
    url, cookie = signed_in
    ours = {**cookie, **OURS}
    _, _, body = request(url, "POST", "/v1/jobs?preset=quick&name=a.png&format=tiff", ours, png(small))
    number = json.loads(body)["id"]
    bad = json.loads(request(url, "POST", "/v1/jobs?preset=quick&name=b.png", ours, b"\x89PNG rest")[2])["id"]
    wait_for(lambda: len(box.jobs("state IN ('done', 'failed')")) == 2)
    for of in ("photo", "result"):
        status, headers, body = request(url, "GET", f"/v1/jobs/{number}/picture?of={of}&edge=32", cookie)
        assert (status, headers["Content-Type"], body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    assert request(url, "GET", f"/v1/jobs/{bad}/picture", cookie)[0] == 404
    assert request(url, "GET", f"/v1/jobs/{bad}/picture?of=result", cookie)[0] == 404
    theirs = box.client.ask("POST", "/v1/jobs", png(small), preset="quick", name="c.png")["id"]
    wait_for(lambda: len(box.jobs("state = 'done'")) == 2)
    for path in (f"/v1/jobs/{theirs}/picture", f"/v1/results.zip?job={theirs}"):
        assert request(url, "GET", path, cookie)[0] == 404
    status, _, body = request(url, "GET", "/v1/results.zip", cookie)
    assert status == 200 and body[:2] == b"PK"
