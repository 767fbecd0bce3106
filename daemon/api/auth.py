"""Who may talk to the API: whoever knows the token, and no web page in the user's browser."""

from __future__ import annotations

import hmac
import json

from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.api.schema import error_out


class Auth:
    """ASGI middleware: answers 403 to a foreign Host (DNS rebinding) or Origin (a web page), or without the bearer
    token."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self.token = token.encode()
        names = ("127.0.0.1", "localhost")
        self.hosts = {f"{name}:{port}".encode() for name in names}
        self.origins = {f"http://{name}:{port}".encode() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (why := self._refusal(scope["headers"])):
            body = json.dumps(error_out(403, why)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self.app(scope, receive, send)

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        def given(name: bytes) -> list[bytes]:
            return [value for key, value in headers if key == name]

        if len(given(b"host")) != 1 or given(b"host")[0].lower() not in self.hosts:
            return "The Host is not this machine's loopback address."
        if any(origin.lower() not in self.origins for origin in given(b"origin")):
            return "Requests from web pages are refused."
        authorization = given(b"authorization")
        kind, _, token = authorization[0].partition(b" ") if len(authorization) == 1 else (b"", b"", b"")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            return "The bearer token is missing or wrong: read it from the daemon's address file."
        return None
