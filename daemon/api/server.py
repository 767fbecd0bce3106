"""The local API at work: uvicorn in a thread, on a loopback port of its own, its address and token in a private file."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from daemon.api.client import Address, read_address
from daemon.events import Event, Note
from stylecore.errors import ResultError, StylefolderError
from stylecore.images.atomic_write import write_whole

if TYPE_CHECKING:
    import uvicorn

    from daemon.api.app import Inside

START_WITHIN = 20.0


@contextlib.contextmanager
def serving(inside: Inside, file: Path, copies: Sequence[Path], tell: Callable[[Event], None]) -> Iterator[Address]:
    """While the context lasts, the API answers, and the file says where; so do the copies, or ``tell`` says why one does
    not. Raises StylefolderError where it does not start."""
    from uvicorn import Config, Server

    from daemon.api.app import create_app
    from daemon.api.auth import Guard

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    port = listener.getsockname()[1]
    root = os.fsencode(inside.root).decode("utf-8", "backslashreplace")
    address = Address(f"http://127.0.0.1:{port}", secrets.token_urlsafe(32), root, os.getpid())
    app = Guard(create_app(inside), address.token, port)
    server = Server(
        Config(app, log_config=None, log_level="critical", access_log=False, lifespan="on", ws="none",
                       timeout_graceful_shutdown=1, timeout_keep_alive=30, server_header=False)
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="stylefolder-api", daemon=True)
    thread.start()
    before = None
    try:
        _until_started(server, thread)
        said = json.dumps(asdict(address)).encode()
        before = read_address(file)
        write_whole(file, said, private=True)
        for copy in copies:
            try:
                write_whole(copy, said, private=True)
            except ResultError as e:
                tell(Note(f"A plug-in will not find this daemon: {e}", warning=True))
        yield address
    finally:
        for written in (file, *copies):
            if read_address(written) == address:  # another daemon, of another Root, may have written its own
                with contextlib.suppress(OSError, ResultError):  # then it names a process that is gone
                    if before is not None and psutil.pid_exists(before.pid):  # it was there first, and is found again
                        write_whole(written, json.dumps(asdict(before)).encode(), private=True)
                    else:
                        written.unlink(missing_ok=True)
        server.should_exit = True
        inside.hub.close()
        thread.join(5)
        listener.close()


def _until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + START_WITHIN
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise StylefolderError("The local API did not start: look whether something forbids local ports.")
        time.sleep(0.01)
