"""How the daemon is stopped, and what it reports to systemd."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

WATCHDOG = 120  # seconds without a sign of life after which systemd restarts the daemon
SIGN_EVERY = WATCHDOG / 4
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def die_with_parent() -> None:
    """If the parent is killed, the system kills this process, too, at once. On Linux only: elsewhere, it notices before
    its next step."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGKILL)


def stop_signals() -> list[signal.Signals]:
    """Ctrl+C, SIGTERM, and a terminal that closes, unless `nohup` wants us to go on then."""
    found = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


def leave_terminal(number: int) -> None:
    """After the signal of this ``number``: if the terminal has closed, what is still printed goes nowhere, and must not
    fail."""
    if number == getattr(signal, "SIGHUP", None):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            with contextlib.suppress(OSError):
                if stat.S_ISCHR(os.fstat(stream).st_mode):  # isatty denies it now
                    os.dup2(nowhere, stream)


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """The first of ``stop_signals`` ends the loop after its current turn; a second one ends it immediately."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        leave_terminal(number)
        if asked and number != getattr(signal, "SIGHUP", None):  # the shell and the system send one each
            raise KeyboardInterrupt
        asked = True

    old: dict[int, Any] = {number: signal.signal(number, ask) for number in stop_signals()}
    if hasattr(signal, "SIGIO"):  # sent when a lease of `folders.completeness` breaks; by default, it ends the process
        old[signal.SIGIO] = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Systemd:
    """Messages to the service manager, if it started us and wants any (sd_notify(3))."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET")
        self._signed = 0.0
        self._deaf = False  # and that was said

    def ready(self) -> None:
        self._tell("READY=1")

    def alive(self) -> None:
        """Cheap: call it often during long work."""
        if self._address and time.monotonic() - self._signed > SIGN_EVERY:
            self._signed = time.monotonic()
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(1)
            try:
                notify.sendto(state.encode(), address)
            except OSError as e:
                if not self._deaf:
                    print(f"systemd is not listening on {address} ({e}).", file=sys.stderr)  # noqa: T201
                self._deaf = True
