"""The API at work: uvicorn in a thread, on a free loopback port, its address and token in a private file; and, if the
user asked for it, where other machines reach it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

from daemon.api.client import Address, read_address
from daemon.api.outside import Listen, Outside, allows, opened
from daemon.api.schema import utf8
from daemon.events import Listener, Note
from stylecore.errors import ResultError, StylefolderError
from stylecore.images.atomic_write import write_whole

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Config, Server

    from daemon.api.auth import Caller
    from daemon.api.context import Context

START_WITHIN = 20.0  # seconds
BACKLOG = 256


@contextlib.contextmanager
def serving(
    context: Context, file: Path, copies: Sequence[Path], announce: Listener, listen: Listen | None = None
) -> Iterator[Address]:
    """While the context lasts, the API answers, and ``file`` and its ``copies`` say where. If a copy cannot be written,
    ``announce`` says so. ``listen``: where other machines reach it. Raises StylefolderError if it does not start."""
    from daemon.api.app import create_app

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)))
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        port = listener.getsockname()[1]
        root = utf8(context.layout.root)
        address = Address(f"http://127.0.0.1:{port}", secrets.token_urlsafe(32), root, getpid())
        app = create_app(context)
        served = [(_inside(app, address.token, port), listener)]
        if listen is not None:
            context.outside = outside = stack.enter_context(opened(listen))
            served.append((_outside(app, context, outside), outside.socket))
            announce(Note(f"Other machines find this daemon at {outside.url}. To let one in, run `stylefolder pair`."))
        servers, thread = _started(served)
        try:
            with _address_in_files(address, file, copies, announce):
                yield address
        finally:
            for server in servers:
                server.should_exit = True
            context.stream.close()
            thread.join(5)


def _inside(app: ASGIApp, token: str, port: int) -> Config:
    """For programs of this user on this machine."""
    from daemon.api.auth import Auth, Caller

    names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def who(given: str) -> Caller | None:
        return Caller() if hmac.compare_digest(given.encode(), token.encode()) else None

    return _config(Auth(app, who, lambda host: host.lower() in names, "http"), lifespan="on")


def _outside(app: ASGIApp, context: Context, outside: Outside) -> Config:
    """For clients, by TLS. The lifespan is that of the other server."""
    from anyio import to_thread

    from daemon.api.auth import Auth
    from daemon.api.guard import Impatient

    async def who(token: str) -> Caller | None:
        return await to_thread.run_sync(context.client, token)

    auth = Auth(app, who, lambda host: allows(host, outside.names), "https")
    config = _config(auth, lifespan="off")
    config.http = Impatient
    if (tls := outside.tls) is not None:
        config.ssl_context_factory = lambda *_: tls
    return config


def _config(app: ASGIApp, lifespan: Literal["on", "off"]) -> Config:
    from uvicorn import Config

    return Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan=lifespan,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
        server_header=False,
    )


def _started(served: Sequence[tuple[Config, socket.socket]]) -> tuple[list[Server], threading.Thread]:
    """All in one event loop."""
    from uvicorn import Server

    servers = [Server(config) for config, _ in served]

    async def serve() -> None:
        await asyncio.gather(*(s.serve([listener]) for s, (_, listener) in zip(servers, served, strict=True)))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="stylefolder-api", daemon=True)
    thread.start()
    until = time.monotonic() + START_WITHIN
    while not all(server.started for server in servers):
        if not thread.is_alive() or time.monotonic() > until:
            for server in servers:
                server.should_exit = True
            raise StylefolderError("The local API did not start: check whether a firewall blocks local ports.")
        time.sleep(0.01)
    return servers, thread


@contextlib.contextmanager
def _address_in_files(address: Address, file: Path, copies: Sequence[Path], announce: Listener) -> Iterator[None]:
    """Another daemon, for another Root, may have written its address before, or may do so in the meantime."""
    data, before = json.dumps(asdict(address)).encode(), read_address(file)
    write_whole(file, data, private=True)
    for copy in copies:
        try:
            write_whole(copy, data, private=True)
        except ResultError as e:
            announce(Note(f"A GIMP plug-in will not find this daemon: {e}", warning=True))
    try:
        yield
    finally:
        for written in (file, *copies):
            if read_address(written) == address:
                with contextlib.suppress(OSError, ResultError):  # then it names a process that is gone
                    if before is not None and psutil.pid_exists(before.pid):
                        write_whole(written, json.dumps(asdict(before)).encode(), private=True)
                    else:
                        written.unlink(missing_ok=True)
