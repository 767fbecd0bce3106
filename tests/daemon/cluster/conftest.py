"""A daemon without Slots of its own, and workers that join it, as processes on the loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import wait_for


@dataclass
class Worker:
    """``stylefolder worker``."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def joined(self, times: int = 1) -> Worker:
        wait_for(lambda: self.said().count("Joined ") == times or self.process.poll() is not None, why="for a worker")
        assert self.process.poll() is None, self.said()
        return self

    def children(self) -> list[psutil.Process]:
        """Its own worker processes."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Cluster:
    daemon: Daemon
    address: str
    start: Callable[[], Worker]

    @property
    def certificate(self) -> Path:
        return self.daemon.home / "config" / "stylefolder" / "cluster.pem"

    def slots(self) -> list[dict[str, object]]:
        return [slot for slot in self.daemon.status()["slots"] if slot["host"] is not None]


@pytest.fixture
def cluster(daemon: Daemon, tmp_path: Path) -> Iterator[Cluster]:
    """The daemon is started; its workers are not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    daemon.settings("local: false\n")
    workers: list[Worker] = []

    def start() -> Worker:
        output = tmp_path / f"worker-{len(workers)}"
        command = [*STYLEFOLDER, "worker", address, "--certificate", str(made.certificate), "--device", "cpu"]
        with output.open("wb") as file:
            workers.append(Worker(subprocess.Popen(command, env=daemon.environment, stdout=file, stderr=file), output))
        return workers[-1]

    made = Cluster(daemon, address, start)
    daemon.start("--cluster", address)
    yield made
    for worker in workers:
        if worker.process.poll() is None:
            os.kill(worker.process.pid, signal.SIGCONT)
        worker.stop()
