"""A Slot: one device's place for one Job. A LocalSlot is a worker process on this machine; a DaskSlot, in
`daemon.cluster`, is one on another machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from socket import socket
from typing import Protocol

from daemon.engine.messages import Assignment, Controls, Message
from daemon.engine.worker import run
from daemon.errors import WorkerError
from stylecore.errors import cause

STOP_WITHIN = 5.0  # seconds for a worker to end after its pipe is closed


class SlotDied(Exception):
    """The worker process ended. The message says how."""


class Slot(Protocol):
    """``pipe`` is readable when there may be something to receive. ``gone``: why it never comes back, if so.
    ``host``: the other machine that it is on."""

    @property
    def pipe(self) -> Connection | socket | None: ...
    @property
    def alive(self) -> bool: ...
    @property
    def gone(self) -> str | None: ...
    @property
    def host(self) -> str | None: ...
    @property
    def pid(self) -> int | None: ...
    def start(self, device: str, sharers: int) -> None: ...
    def cancel(self, job: int) -> None: ...
    def want_previews(self, wanted: bool) -> None: ...
    def send(self, assignment: Assignment) -> None: ...
    def receive(self, wait: float) -> Message | None: ...
    def kill(self) -> None: ...
    def dismiss(self) -> None: ...


class LocalSlot:
    """Starts a worker process, and ends it so that the device's memory is free again."""

    host = None
    gone = None  # a worker that died is followed by another

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")  # CUDA and torch's threads do not survive a fork
        self._process: BaseProcess | None = None
        self.pipe: Connection | None = None
        self.controls = Controls(self._context.RawValue("q", 0), self._context.RawValue("b", 0))

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def start(self, device: str, sharers: int) -> None:
        """``sharers``: how many Slots are on this device. Raises WorkerError if the system cannot start a process."""
        try:
            self.pipe, theirs = self._context.Pipe()
        except OSError as e:
            raise _cannot_start(e) from e
        process = self._context.Process(
            target=run, args=(theirs, device, sharers, self.controls), name="stylefolder-worker", daemon=True
        )
        try:
            process.start()
        except OSError as e:
            self.pipe.close()
            self.pipe = None
            raise _cannot_start(e) from e
        finally:
            theirs.close()
        self._process = process

    def cancel(self, job: int) -> None:
        """The worker leaves this Job before its next step; 0 for none. Any thread may call this."""
        self.controls.cancelled.value = job

    def want_previews(self, wanted: bool) -> None:
        """Any thread may call this."""
        self.controls.previews.value = wanted

    def send(self, assignment: Assignment) -> None:
        """Raises SlotDied."""
        assert self.pipe is not None
        try:
            self.pipe.send(assignment)
        except OSError as e:
            raise SlotDied(self._how()) from e

    def receive(self, wait: float) -> Message | None:
        """The next message, or None after ``wait`` seconds. Raises SlotDied."""
        if self.pipe is None:
            return None
        try:
            message: Message | None = self.pipe.recv() if self.pipe.poll(wait) else None
        except (EOFError, OSError) as e:  # can happen within a message
            raise SlotDied(self._how()) from e
        return message

    def kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.join()
        self.dismiss()

    def dismiss(self) -> None:
        """Closing the pipe ends the worker at its next step. A worker that does not react is killed. Two threads may
        call this at once: on another machine, the one that works and the one that leaves."""
        pipe, process = self.pipe, self._process
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.join(STOP_WITHIN)
            if process.is_alive():
                process.kill()
                process.join()
        self.pipe = self._process = None

    def _how(self) -> str:
        assert self._process is not None
        self._process.join(STOP_WITHIN)
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def wait_for_any(slots: Sequence[Slot], wait: float) -> None:
    """Until one of the workers has said something or died, for at most ``wait`` seconds. Then look at all of them: a
    bell that they share says no more."""
    pipes = dict.fromkeys(slot.pipe for slot in slots if slot.pipe is not None)
    for ready in multiprocessing.connection.wait(list(pipes), wait) if pipes else ():
        if isinstance(ready, socket):
            with contextlib.suppress(BlockingIOError):
                while ready.recv(4096):
                    pass


def _cannot_start(e: OSError) -> WorkerError:
    return WorkerError(f"The worker process cannot be started ({cause(e)}): close other programs or files.")
