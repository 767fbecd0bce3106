"""A daemon that clients reach."""

from __future__ import annotations

import pytest

from tests.daemon.harness import Daemon
from tests.harness import free_address


@pytest.fixture
def box(daemon: Daemon) -> Daemon:
    """A daemon that clients reach."""
    return daemon.start("--listen", free_address())
