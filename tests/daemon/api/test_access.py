"""Who gets in, and how those who do not are answered."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from daemon.api.errors import errors_in_one_shape
from daemon.errors import Refused
from tests.daemon.api.harness import headers_of, raw_request
from tests.daemon.harness import Daemon
from tests.harness import HANG, wait_for

ROUTES = [
    ("GET", "/v1/status"),
    ("GET", "/v1/presets"),
    ("POST", "/v1/jobs?preset=oil"),
    ("GET", "/v1/jobs/1"),
    ("GET", "/v1/jobs/1/result"),
    ("GET", "/v1/jobs/1/picture"),
    ("GET", "/v1/results.zip"),
    ("GET", "/v1/me"),
    ("DELETE", "/v1/jobs/1"),
    ("GET", "/v1/events"),
    ("GET", "/v1/jobs/1/events"),
    ("GET", "/v1/presets/oil/thumbnail"),
    ("POST", "/v1/recipes"),
    ("PUT", f"/v1/files/{'0' * 64}.png"),
    ("POST", "/v1/invitations"),
    ("GET", "/v1/clients"),
    ("DELETE", "/v1/clients/1"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_token_or_from_elsewhere(shared: Daemon, method: str, path: str) -> None:
    bearer = {"Authorization": f"Bearer {shared.client.address.token}"}
    port = urlsplit(shared.client.address.url).port
    for headers in (
        {}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic " + shared.client.address.token},
        {**bearer, "Host": "evil.example"}, {**bearer, "Host": f"evil.example:{port}"},
        {**bearer, "Origin": "https://evil.example"}, {**bearer, "Origin": "null"},
    ):  # fmt: skip
        status, body = raw_request(shared, method, path, headers)
        assert status == 403, headers
        assert set(body) == {"error"}
        assert set(body["error"]) == {"status", "message"}


def test_the_token_is_for_the_user_alone(shared: Daemon) -> None:
    path = shared.home / "state" / "stylefolder" / "daemon.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert shared.client.address.url.startswith("http://127.0.0.1:")


def test_one_shape_for_all_errors(shared: Daemon) -> None:
    bearer = {"Authorization": f"Bearer {shared.client.address.token}"}
    for method, path, expected in (
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/status", 405),
        ("GET", "/v1/jobs/999999", 404),
        ("GET", "/v1/jobs/x", 422),
        ("POST", "/v1/jobs?preset=none", 404),
        ("POST", "/v1/jobs", 409),
        ("POST", "/v1/jobs?preset=oil", 400),
        ("POST", "/v1/jobs?preset=oil&width=4", 409),
        ("GET", "/v1/jobs/999999/events", 404),
        ("GET", "/v1/presets/none/thumbnail", 404),
        ("DELETE", "/v1/jobs/999999", 404),
    ):
        status, body = raw_request(shared, method, path, bearer)
        assert status == expected, (method, path, body)
        assert body["error"]["status"] == expected
        assert body["error"]["message"]
    assert headers_of(shared, "PUT", "/v1/status", bearer)["Allow"] == "GET"
    assert headers_of(shared, "PUT", "/v1/jobs/1", bearer)["Allow"] == "DELETE, GET"


def test_too_large_a_body_is_refused_and_not_kept(daemon: Daemon) -> None:
    daemon.settings("upload_limit: 2\n")
    daemon.start()
    with pytest.raises(Refused, match="larger than 2 MB") as refused:
        daemon.client.ask("POST", "/v1/jobs", b"x" * 3_000_000, preset="oil")
    assert refused.value.status == 413
    spool = daemon.root / ".stylefolder" / "spool"
    wait_for(lambda: not list(spool.iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("who", ["user", "stranger"])
def test_schemathesis_finds_nothing(shared: Daemon, tmp_path: Path, who: str) -> None:
    """The OpenAPI document is right, with a token and without. Excluded: the event streams, which do not end, and
    the checks that expect 401 for a missing token, or 405 for a wrong method, where 403 is intended (tested above)."""
    address = shared.client.address
    shared.preset("none-lasts", "style: gone.jpg\n")
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(shared.client.ask("GET", "/openapi.json")))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            str(document),
            "--url",
            address.url,
            *(["-H", f"Authorization: Bearer {address.token}"] if who == "user" else []),
            "--exclude-path-regex",
            "/events$",
            "--max-examples",
            "25" if who == "user" else "5",
            "--seed",
            "1",
            "--exclude-checks",
            "missing_required_header" if who == "user" else "missing_required_header,unsupported_method",
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_an_unexpected_error_has_the_one_shape() -> None:
    app = FastAPI()

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("division by zero")

    errors_in_one_shape(app, app.routes, Path("/root"))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/broken",
        "raw_path": b"/broken",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }
    with pytest.raises(ZeroDivisionError):  # Starlette raises it again, for the server's log
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 500
    message = "Unexpected error, ZeroDivisionError: division by zero. Report it as a bug."
    assert json.loads(sent[1]["body"]) == {"error": {"status": 500, "message": message}}
