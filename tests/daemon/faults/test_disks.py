"""Faults of disks and permissions: small real file systems that fill up, folders closed to a real non-root user."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.errors import Refused
from tests.daemon.harness import Daemon, is_picture, namespaces
from tests.harness import HANG, wait_for

pytestmark = namespaces


class SmallDisk:
    """A tmpfs that only the daemon sees; the test reaches it through the daemon's /proc entry."""

    def __init__(self, daemon: Daemon, mounted_at: Path, megabytes: int) -> None:
        mounted_at.mkdir(parents=True, exist_ok=True)
        self.daemon = daemon
        self.mounted_at = mounted_at
        mount = f'mount -t tmpfs -o size={megabytes}m none "{mounted_at}" && exec "$@"'
        daemon.before = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"]

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.daemon.pid}/root{self.mounted_at}")

    def fill(self, *, leave: int = 0) -> None:
        with (self.path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        if leave:
            os.truncate(self.path / "ballast", (self.path / "ballast").stat().st_size - leave)

    def make_room(self) -> None:
        (self.path / "ballast").unlink()


@pytest.mark.slow
def test_full_for_the_result(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """It says why, keeps the finished Result, and writes it when there is room: nothing is computed twice."""
    disk = SmallDisk(daemon, daemon.home / "results", 1)
    daemon.settings(f"results: {disk.mounted_at}\n")
    inbox = daemon.preset("one", fast)
    daemon.start()
    disk.fill()
    small.save(inbox / "a.png")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: "cannot be written (No space left on device): free some space" in daemon.problems())
    assert daemon.status()["state"] == "degraded"
    assert daemon.client.ask("GET", "/v1/jobs")["jobs"][0]["state"] in ("queued", "running"), (
        "held, and the API answers"
    )
    disk.make_room()
    wait_for(lambda: is_picture(disk.path / "one" / "a.png") and is_picture(disk.path / "one" / "b.png"))
    wait_for(lambda: daemon.status()["state"] == "healthy")
    begun = [e["job"]["photo"] for e in daemon.events() if e["event"] == "JobStarted"]
    assert sorted(begun) == [str(inbox / "a.png"), str(inbox / "b.png")]
    assert not list(disk.path.rglob("*.part"))


@pytest.mark.slow
def test_full_for_the_ledger(daemon: Daemon, fast: str, small: Image.Image) -> None:
    disk = SmallDisk(daemon, daemon.root / ".stylefolder", 16)
    inbox = daemon.preset("one", fast)
    daemon.start()
    disk.fill()
    for i in range(30):
        small.rotate(3 * i).save(inbox / f"{i}.png")
    wait_for(lambda: "The disk of the Ledger" in daemon.problems())
    time.sleep(2)
    assert daemon.process is not None
    assert daemon.process.poll() is None, "the daemon keeps running"
    disk.make_room()
    wait_for(lambda: all((inbox / "styled" / f"{i}.png").exists() for i in range(30)))
    wait_for(lambda: daemon.problems() == "")


def test_full_for_what_is_sent(daemon: Daemon, fast: str, small: Image.Image) -> None:
    disk = SmallDisk(daemon, daemon.root / ".stylefolder", 16)
    daemon.preset("one", fast)
    daemon.start()
    wait_for(lambda: any(p["name"] == "one" for p in daemon.client.ask("GET", "/v1/presets")["presets"]))
    disk.fill(leave=500_000)
    with pytest.raises(Refused, match="free some space") as refused:
        daemon.client.ask("POST", "/v1/jobs", bytes(3_000_000), preset="one")
    assert refused.value.status == 507
    assert not list((disk.path / "spool").iterdir()), "nothing is left of it"
    disk.make_room()
    small.save(daemon.home / "a.png")
    job = daemon.client.ask("POST", "/v1/jobs", (daemon.home / "a.png").read_bytes(), preset="one")
    wait_for(lambda: daemon.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")


@pytest.fixture
def as_a_user(daemon: Daemon) -> Iterator[Daemon]:
    """The daemon without root privileges, whoever runs the tests."""
    daemon.before = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    yield daemon
    for folder, _, _ in os.walk(daemon.root):
        Path(folder).chmod(0o700)


@pytest.mark.slow
def test_a_photo_and_folders_closed_to_the_user(as_a_user: Daemon, fast: str, small: Image.Image) -> None:
    daemon = as_a_user
    inbox, closed = daemon.preset("one", fast), daemon.preset("closed", fast)
    small.save(inbox / "open.png")
    small.rotate(90).save(inbox / "secret.png")
    (inbox / "secret.png").chmod(0)
    (inbox / "folder").mkdir()
    (inbox / "folder").chmod(0)
    small.rotate(180).save(closed / "a.png")
    closed.chmod(0o500)
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "open.png"))
    assert "cannot be read (Permission denied)" in daemon.reason(inbox / "secret.png")
    wait_for(
        lambda: (
            f"The folder {inbox / 'folder'} cannot be read (Permission denied): check its permissions"
            in daemon.problems()
        )
    )
    wait_for(lambda: daemon.jobs("state = 'failed' AND preset = CAST('closed' AS BLOB)"))
    assert "check the folder's permissions" in daemon.jobs("preset = CAST('closed' AS BLOB)")[0]["reason"]
    (inbox / "secret.png").chmod(0o600)
    wait_for(lambda: is_picture(inbox / "styled" / "secret.png"))
    closed.chmod(0o700)
    assert daemon.run("retry", "--failed").returncode == 0
    wait_for(lambda: is_picture(closed / "styled" / "a.png"))
    closed.chmod(0)  # its photo may still be there
    wait_for(lambda: f"The folder {closed} cannot be read" in daemon.problems())
    assert [row["presence"] for row in daemon.photos("preset = CAST('closed' AS BLOB)")] == ["present"]
    closed.chmod(0o700)
    shutil.rmtree(closed)
    wait_for(lambda: [row["presence"] for row in daemon.photos("preset = CAST('closed' AS BLOB)")] == ["gone"])


@pytest.mark.slow
def test_umask_077_and_setgid_folders(daemon: Daemon, fast: str, small: Image.Image) -> None:
    daemon.before = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    inbox = daemon.preset("one", fast)
    group = (
        next((g for g in (50, *os.getgroups()) if g != os.getgid()), os.getgid()) if os.getuid() == 0 else os.getgid()
    )
    os.chown(inbox, -1, group)
    inbox.chmod(0o2770)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    result = (inbox / "styled" / "a.png").stat()
    assert (result.st_mode & 0o777, result.st_gid) == (0o600, group)
    assert (inbox / "styled").stat().st_mode & 0o7777 == 0o2700
    second = subprocess.run(["sh", "-c", f"umask 022; touch {inbox}/styled/x"])
    assert second.returncode == 0
    daemon.stop()
    daemon.before = []
    small.rotate(90).save(inbox / "b.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    assert (inbox / "styled" / "b.png").stat().st_mode & 0o777 == (inbox / "styled" / "x").stat().st_mode & 0o777, (
        "as for any program's files"
    )


def test_full_for_what_apply_writes(daemon: Daemon, tmp_path: Path, small: Image.Image, quick_yaml: str) -> None:
    """A disk that is really full: a small tmpfs, in a separate mount namespace."""
    script = f"""
        set -e
        mount -t tmpfs -o size=1m none {tmp_path}/small
        head -c 10m /dev/zero > {tmp_path}/small/ballast 2>/dev/null || true
        cd {tmp_path}
        for out in small/out.png small; do
            {sys.executable} -m daemon apply photo.png --preset quick.yaml -o $out || echo "status $?"
        done
    """
    (tmp_path / "small").mkdir()
    (tmp_path / "quick.yaml").write_text(quick_yaml)
    small.save(tmp_path / "photo.png")
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        env=daemon.environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.stdout.count("status 1\n") == 2
    for name in ("out.png", "photo-quick.png"):
        assert f"small/{name} cannot be written (No space left on device): free some space" in done.stderr
    assert "Traceback" not in done.stderr
