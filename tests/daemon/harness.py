"""A daemon as its users run it: a process over a real Root, with its own home folder."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from daemon.api.client import Client, read_address
from tests.harness import HANG, REPOSITORY, wait_for

STYLEFOLDER = [sys.executable, "-m", "daemon"]
ONE_STEP = f"style: {REPOSITORY / 'presets' / 'styles' / 'oil.jpg'}\nsteps: 1\nsize: 64\n"  # the fastest preset


NAMESPACES = subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode == 0
namespaces = pytest.mark.skipif(not NAMESPACES, reason="this machine does not allow user namespaces (unshare)")


@dataclass
class Daemon:
    """``stylefolder watch`` over ``root``. ``before``: a command that wraps it, such as a shell."""

    root: Path
    home: Path
    before: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)  # of the environment

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "HOME": self.home,
            "XDG_CONFIG_HOME": self.home / "config",
            "XDG_STATE_HOME": self.home / "state",
            "XDG_DATA_HOME": self.home / "data",
        }
        return {
            **os.environ,
            **{name: str(path) for name, path in own.items()},
            "PYTHONPATH": str(REPOSITORY),
            **self.extra,
        }

    def preset(self, name: str, text: str) -> Path:
        """Create a preset in the Root, with its Inbox. Returns the Inbox."""
        (self.root / "presets").mkdir(parents=True, exist_ok=True)
        part = self.root / "presets" / f".{name}.part"
        part.write_text(text)
        part.rename(self.root / "presets" / f"{name}.yaml")  # atomic: a running daemon never reads half of it
        (self.root / name).mkdir(exist_ok=True)
        return self.root / name

    def settings(self, text: str) -> None:
        path = self.home / "config" / "stylefolder" / "settings.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *more: str) -> Daemon:
        """Start the daemon, and wait until its API answers."""
        self.output = (self.home / "output").open("ab")
        command = [*self.before, *STYLEFOLDER, "watch", str(self.root), "--json", *more]
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.output, stderr=self.output)
        wait_for(lambda: self._answers() or self.process.poll() is not None, why="for the API")  # type: ignore[union-attr]
        assert self._answers(), self.said()
        return self

    def _answers(self) -> bool:
        address = read_address(self.home / "state" / "stylefolder" / "daemon.json")
        return address is not None and psutil.pid_exists(address.pid)

    @property
    def client(self) -> Client:
        address = read_address(self.home / "state" / "stylefolder" / "daemon.json")
        assert address is not None
        return Client(address)

    @property
    def pid(self) -> int:
        return self.client.address.pid

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*STYLEFOLDER, *map(str, arguments)], env=self.environment, capture_output=True, text=True, timeout=HANG
        )

    def status(self) -> Any:
        return self.client.ask("GET", "/v1/status")

    def problems(self) -> str:
        return "\n".join(self.status()["problems"])

    def remarks(self) -> str:
        return "\n".join(self.status()["remarks"])

    def events(self) -> list[dict[str, Any]]:
        lines = (self.home / "output").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def begun(self, photo: Path) -> int:
        """How often a Job for it was started."""
        return len([e for e in self.events() if e["event"] == "JobStarted" and e["job"]["photo"] == str(photo)])

    def said(self) -> str:
        return (self.home / "output").read_text()

    def jobs(self, where: str = "1") -> list[sqlite3.Row]:
        """Rows of the Ledger, read from another process."""
        return self._rows(f"SELECT * FROM jobs WHERE {where} ORDER BY id")

    def _rows(self, statement: str) -> list[sqlite3.Row]:
        path = self.root / ".stylefolder" / "ledger.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=HANG)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(statement).fetchall()

    def photos(self, where: str = "1") -> list[sqlite3.Row]:
        return self._rows(f"SELECT * FROM photos WHERE {where}")

    def workers(self) -> list[psutil.Process]:
        try:
            return [p for p in psutil.Process(self.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def running(self) -> Any:
        """The Job that has made a step, if there is one."""
        return next((r for r in self.status()["running"] if r["step"] > 0), None)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(HANG)

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            address = read_address(self.home / "state" / "stylefolder" / "daemon.json")
            os.kill(address.pid if address else self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(HANG)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self.output.close()
        return int(self.process.returncode)

    def reason(self, photo: Path) -> str:
        """Why it failed, once it has."""
        inbox = self.root / photo.relative_to(self.root).parts[0]
        path = inbox / "failed" / f"{photo.relative_to(inbox)}.txt"
        wait_for(path.exists, why=f"for {path}")
        return path.read_text()


def is_picture(path: Path) -> bool:
    if not path.exists():
        return False
    with Image.open(path) as image:
        image.load()
    return True


def each_done_once(daemon: Daemon, inbox: Path, count: int) -> int:
    """Check that the photos 0000.png, 0001.png, ... have one Result each. Returns how many times one was started
    again."""
    wait_for(lambda: daemon.status()["running"] == [])
    rows = daemon.jobs()
    assert Counter(row["state"] for row in rows) == {"done": count}
    assert len({row["photo"] for row in rows}) == count
    results = list((inbox / "styled").iterdir())
    assert {path.name for path in results} == {f"{i:04}.png" for i in range(count)}, "no second Result, no part of one"
    assert all(map(is_picture, results))
    told = Counter(e["job"]["photo"] for e in daemon.events() if e["event"] == "JobDone")
    assert max(told.values()) == 1
    begun = Counter(e["job"]["photo"] for e in daemon.events() if e["event"] == "JobStarted")
    return sum(times - 1 for times in begun.values())


def run(home: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STYLEFOLDER, *map(str, arguments)], env=home, capture_output=True, text=True, timeout=HANG)
