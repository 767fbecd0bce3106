"""A daemon that clients reach."""

from __future__ import annotations

import socket

import pytest

from tests.daemon.harness import Daemon


@pytest.fixture
def box(daemon: Daemon) -> Daemon:
    """A daemon that clients reach."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return daemon.start("--listen", f"127.0.0.1:{port}")
