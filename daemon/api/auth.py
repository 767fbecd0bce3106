"""Who may talk to the API: whoever knows a token, and no web page of another site in the user's browser."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.api.client import PROTOCOL, PROTOCOL_HEADER
from daemon.api.schema import JobOut, error_out, job_out
from daemon.api.without_paths import without_paths
from daemon.ledger.clients import PairedClient
from daemon.ledger.job import Job

COOKIE = "__Host-stylefolder"  # browsers keep it for this host only, and only if it came by TLS
SAFE = ("GET", "HEAD")


def is_open(method: str, path: str) -> bool:
    """Whoever asks for this has no token yet."""
    return (method, path) == ("POST", "/v1/clients") or (method in SAFE and (path == "/" or path.startswith("/page/")))


@dataclass(frozen=True)
class Caller:
    """A client, or (None) the user at this machine."""

    client: PairedClient | None = None

    def may_see(self, owner: int | None) -> bool:
        """A Job of which this client has sent the photo."""
        return self.client is None or self.client.full or owner == self.client.id

    @property
    def only(self) -> int | None:
        """The client whose Jobs it may see, and no others. None for all."""
        return None if self.client is None or self.client.full else self.client.id

    def shown(self, job: Job, ahead: int | None = None, notes: Sequence[str] = ()) -> JobOut:
        """``ahead``, ``notes``: of a JobOut."""
        out = job_out(job, ahead, notes)
        return out if self.client is None else without_paths(out)


def controls(request: Request) -> None:
    """As a dependency: this is not for every client. Raises HTTPException (403)."""
    if caller_of(request).only is not None:
        raise HTTPException(403, "This client can act on its own Jobs only: pair it again with --full.")


def at_home(request: Request) -> None:
    """As a dependency: this is for the user at this machine. Raises HTTPException (403)."""
    if caller_of(request).client is not None:
        raise HTTPException(403, "Run this command on the machine of the daemon.")


def caller_of(request: Request) -> Caller:
    """For routes, as a dependency."""
    caller: Caller = request.state.caller
    return caller


Asks = Annotated[Caller, Depends(caller_of)]


class Auth:
    """ASGI middleware: answers 403 to a foreign Host (DNS rebinding) or Origin (a web page), to a client of another
    protocol, or without a token. A browser has its token in a cookie, which it would send for other sites' pages too:
    what changes anything needs a header as well that only our own page can set.
    ``who``: has a token. ``allows``: whether a Host is this machine."""

    def __init__(
        self, app: ASGIApp, who: Callable[[str], Awaitable[Caller | None]], allows: Callable[[str], bool], scheme: str
    ) -> None:
        self.app = app
        self.who = who
        self.allows = allows
        self.scheme = scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = await self._caller(scope)
            if isinstance(answer, str):
                body = json.dumps(error_out(403, answer)).encode()
                headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
                await send({"type": "http.response.start", "status": 403, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
            scope.setdefault("state", {})["caller"] = answer
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | str | None:
        """Or why the request is refused. None where nobody needs a token."""

        def given(name: bytes) -> list[str]:
            return [value.decode("latin-1") for key, value in scope["headers"] if key == name]

        hosts = given(b"host")
        if len(hosts) != 1 or not self.allows(hosts[0]):
            return "The Host is not this machine's address."
        if any(origin.lower() != f"{self.scheme}://{hosts[0].lower()}" for origin in given(b"origin")):
            return "Requests from web pages are refused."
        for spoken in given(PROTOCOL_HEADER.lower().encode()):
            if spoken != PROTOCOL:
                return (
                    f"This client speaks version {spoken[:20]} of the protocol and the daemon speaks version "
                    f"{PROTOCOL}: install the same version of Stylefolder on both."
                )
        if is_open(scope["method"], scope["path"]):
            return None
        if authorization := given(b"authorization"):
            kind, _, token = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
            token = token.strip() if kind.lower() == "bearer" else ""
        else:
            token = _in_cookie(given(b"cookie"))
            if token and scope["method"] not in SAFE and not given(PROTOCOL_HEADER.lower().encode()):
                return f"A request with a cookie needs the header {PROTOCOL_HEADER}."
        caller = await self.who(token) if token else None
        return caller or (
            "The bearer token is missing or wrong. A client that was removed can connect again with a new line: run "
            "`stylefolder pair` on the daemon's machine."
        )


def _in_cookie(headers: list[str]) -> str:
    """The token, or an empty string."""
    for header in headers:
        try:
            cookie = SimpleCookie(header).get(COOKIE)
        except CookieError:
            continue
        if cookie is not None:
            return cookie.value
    return ""
