"""The local API at work: uvicorn in a thread, on a free loopback port, its address and token in a private file."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from daemon.api.client import Address, read_address
from daemon.api.schema import utf8
from daemon.events import Listener, Note
from stylecore.errors import ResultError, StylefolderError
from stylecore.images.atomic_write import write_whole

if TYPE_CHECKING:
    import uvicorn

    from daemon.api.context import Context

START_WITHIN = 20.0  # seconds
BACKLOG = 256


@contextlib.contextmanager
def serving(context: Context, file: Path, copies: Sequence[Path], announce: Listener) -> Iterator[Address]:
    """While the context lasts, the API answers, and ``file`` and its ``copies`` say where. If a copy cannot be written,
    ``announce`` says so. Raises StylefolderError if the API does not start."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        port = listener.getsockname()[1]
        root = utf8(context.layout.root)
        address = Address(f"http://127.0.0.1:{port}", secrets.token_urlsafe(32), root, getpid())
        server, thread = _started(context, address.token, port, listener)
        try:
            with _address_in_files(address, file, copies, announce):
                yield address
        finally:
            server.should_exit = True
            context.stream.close()
            thread.join(5)


def _started(
    context: Context, token: str, port: int, listener: socket.socket
) -> tuple[uvicorn.Server, threading.Thread]:
    from uvicorn import Config, Server

    from daemon.api.app import create_app
    from daemon.api.auth import Auth

    config = Config(
        Auth(create_app(context), token, port),
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
        server_header=False,
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="stylefolder-api", daemon=True)
    thread.start()
    until = time.monotonic() + START_WITHIN
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            server.should_exit = True
            raise StylefolderError("The local API did not start: check whether a firewall blocks local ports.")
        time.sleep(0.01)
    return server, thread


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
