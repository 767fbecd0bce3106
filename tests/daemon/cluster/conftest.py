"""A daemon without Slots of its own, and workers that join it, as processes on the loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.daemon.cluster.network import Machine, switch
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import HANG, free_address, wait_for

MANY_STEPS = 60


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
        return self.process.wait(HANG)


@dataclass
class Cluster:
    """A daemon, which is started, and workers, which are not. ``folder``: for what the workers say."""

    daemon: Daemon
    address: str
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    @property
    def certificate(self) -> Path:
        return self.daemon.home / "config" / "stylefolder" / "cluster.pem"

    def slots(self) -> list[dict[str, object]]:
        return [slot for slot in self.daemon.status()["slots"] if slot["host"] is not None]

    def start(
        self,
        before: Sequence[str] = (),
        program: Sequence[str] = STYLEFOLDER,
        device: str = "cpu",
        **environment: str,
    ) -> Worker:
        """A worker. ``before``: a command that runs another one, as that of a Machine does."""
        output = self.folder / f"worker-{len(self.workers)}"
        joins = ["worker", self.address, "--certificate", str(self.certificate), "--device", device]
        environment = {**self.daemon.environment, **environment}
        with output.open("wb") as file:
            process = subprocess.Popen([*before, *program, *joins], env=environment, stdout=file, stderr=file)
        self.workers.append(Worker(process, output))
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                os.kill(worker.process.pid, signal.SIGCONT)
            worker.stop()


@contextlib.contextmanager
def cluster_at(host: str, daemon: Daemon, folder: Path) -> Iterator[Cluster]:
    """The daemon has no Slots of its own."""
    address = free_address(host)
    daemon.settings("local: false\n")
    daemon.start("--cluster", address)
    with contextlib.closing(Cluster(daemon, address, folder)) as made:
        yield made


@pytest.fixture
def cluster(daemon: Daemon, tmp_path: Path) -> Iterator[Cluster]:
    with cluster_at("127.0.0.1", daemon, tmp_path) as made:
        yield made


@pytest.fixture
def studio(daemon: Daemon, tmp_path: Path) -> Iterator[tuple[Cluster, list[Machine]]]:
    """The same on a network of machines."""
    with switch(("ada", "ben", "cleo", "dora")) as (host, machines), cluster_at(host, daemon, tmp_path) as made:
        yield made, machines


@pytest.fixture
def steps(slow: str) -> str:
    """Enough for a test to interfere, and to wait for afterwards."""
    return slow.replace("steps: 5000", f"steps: {MANY_STEPS}").replace("size: 64", "size: 128")


def drop(inbox: Path, cat: Image.Image, *names: str) -> list[Path]:
    """Different photos. Returns their Results' paths."""
    for i, name in enumerate(names):
        cat.crop((i, 0, i + 96, 64)).save(inbox / name, quality=95)
    return [inbox / "styled" / name for name in names]
