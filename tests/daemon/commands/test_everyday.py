"""Settings, the service, the first start, the log: what users deal with besides their photos."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from daemon import certificates
from daemon.settings import Settings
from tests.daemon.harness import Daemon
from tests.harness import HANG, wait_for


def test_config(daemon: Daemon) -> None:
    """The commented file holds every default; what the editor saves is checked."""
    path = Path(daemon.run("config", "path").stdout.strip())
    assert yaml.safe_load(daemon.run("config", "show").stdout) == Settings().model_dump()
    editor = daemon.home / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/^# patience: .*/patience: 50/" "$1"\n')
    editor.chmod(0o755)
    daemon.extra = {"EDITOR": str(editor), "VISUAL": str(editor)}
    edited = daemon.run("config", "edit")
    assert (edited.returncode, edited.stdout) == (0, f"{path} is fine.\n")
    assert yaml.safe_load(daemon.run("config", "show").stdout) == {**Settings().model_dump(), "patience": 50}
    uncommented = "\n".join(
        line.removeprefix("# ")
        if line.startswith("# ") and line[2:].partition(":")[0] in Settings.model_fields
        else line
        for line in path.read_text().splitlines()
    )
    assert yaml.safe_load(uncommented) == {**Settings().model_dump(), "patience": 50}
    path.write_text("patience: soon\n")
    broken = daemon.run("config", "show")
    assert broken.returncode == 2
    assert broken.stderr.startswith(f"stylefolder: {path}:1: patience: ")
    daemon.extra = {"EDITOR": "nanoo", "VISUAL": "nanoo"}
    none = daemon.run("config", "edit")
    assert none.returncode == 2
    assert "The editor could not be started" in none.stderr
    assert daemon.run("--version").stdout.startswith("stylefolder 0.")


def test_the_first_start_says_where_to_drop_photos(daemon: Daemon) -> None:
    daemon.start()
    assert "Drop a photo into one of these folders" in (daemon.root / "README.txt").read_text()
    wait_for((daemon.root / "oil").is_dir)
    (daemon.root / "README.txt").unlink()
    daemon.stop()
    daemon.start()
    assert not (daemon.root / "README.txt").exists(), "deleted is deleted"


def test_photos_in_the_wrong_place(daemon: Daemon, small: Image.Image) -> None:
    """Beside the Inboxes, or in a folder that is not an Inbox. Sidecar files are ignored."""
    for folder in ("holiday", "oli"):
        (daemon.root / folder).mkdir()
        small.save(daemon.root / folder / "a.jpg")
    (daemon.root / "holiday" / "a.XMP").write_text("sidecar")
    (daemon.root / "holiday" / "a.MOV").write_text("video")
    small.save(daemon.root / "astray.JPG")
    daemon.start()
    says = (
        "astray.JPG is beside the folders, where nothing is styled: drop photos into one of the folders, such as oil."
    )
    wait_for(lambda: daemon.status()["problems"] == [says])
    assert says in daemon.said()
    wait_for(lambda: len(daemon.jobs("state = 'failed'")) == 2)
    reasons = {row["preset"]: row["reason"] for row in daemon.jobs()}
    assert "put a picture named style.jpg, or look.jpg for a look, into this folder" in reasons[b"holiday"]
    assert "did you mean 'oil'?" in reasons[b"oli"]
    (daemon.root / "astray.JPG").unlink()
    wait_for(lambda: daemon.status()["state"] == "healthy")
    said = daemon.run("status", "--once").stdout
    assert "failed: " in said
    assert "To try again, run `stylefolder retry 1`." in said


@pytest.mark.slow
def test_the_log_has_what_happened(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    (inbox / "w\nords.jpg").write_text("words")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'") and daemon.jobs("state = 'failed'"))
    daemon.stop()
    lines = (daemon.home / "state" / "stylefolder" / "log" / "stylefolder.log").read_text().splitlines()
    assert any(" INFO " in line and "a.png: done in" in line for line in lines)
    assert any(" WARNING " in line and "w\\nords.jpg: failed." in line for line in lines)


def test_systemd_is_told(daemon: Daemon) -> None:
    """Through the socket that systemd gives its services: ready, then alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(daemon.home / "notify"))
        listener.settimeout(HANG)
        daemon.extra = {"NOTIFY_SOCKET": str(daemon.home / "notify")}
        daemon.start()
        assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]


def test_ready_does_not_wait_for_gimp(daemon: Daemon) -> None:
    """GIMP, which can take long to report its version, is not asked at startup."""
    folder = daemon.home / "bin"
    folder.mkdir()
    for program in ("gimp", "gimp-3.0", "gimp-console-3.0"):
        (folder / program).write_text(f"#!/bin/sh\ntouch {daemon.home}/asked\nsleep 15\n")
        (folder / program).chmod(stat.S_IRWXU)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(daemon.home / "notify"))
        listener.settimeout(HANG)
        daemon.extra = {
            "NOTIFY_SOCKET": str(daemon.home / "notify"),
            "PATH": f"{folder}:{os.environ['PATH']}",
            "GIMP3_DIRECTORY": "",
        }
        daemon.start()
        assert listener.recv(100) == b"READY=1"
    assert not (daemon.home / "asked").exists()


@pytest.fixture
def systemctl(daemon: Daemon) -> Path:
    """A stand-in that records its arguments, because containers have no systemd session. Returns the record."""
    folder = daemon.home / "bin"
    folder.mkdir()
    (folder / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {daemon.home}/asked\n')
    (folder / "systemctl").chmod(stat.S_IRWXU)
    daemon.extra = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return daemon.home / "asked"


def test_service(daemon: Daemon, systemctl: Path) -> None:
    done = daemon.run("service", "install", daemon.root / "50% of $HOME")
    unit = daemon.home / "config" / "systemd" / "user" / "stylefolder.service"
    assert (done.returncode, done.stdout) == (0, f"Installed and started: {unit}\n"), done.stderr
    assert systemctl.read_text().splitlines() == [
        "--user show-environment",
        "--user daemon-reload",
        "--user enable stylefolder.service",
        "--user restart stylefolder.service",
    ]
    text = unit.read_text()
    assert f"watch --plain '{daemon.root}/50%% of $$HOME'\n" in text
    if analyse := shutil.which("systemd-analyze"):
        checked = subprocess.run([analyse, "--user", "verify", str(unit)], capture_output=True, text=True)
        assert "stylefolder.service" not in checked.stderr, checked.stderr
    removed = daemon.run("service", "remove")
    assert (removed.returncode, removed.stdout, unit.exists()) == (0, f"Removed {unit}\n", False)
    assert systemctl.read_text().splitlines()[4:] == [
        "--user disable --now stylefolder.service",
        "--user daemon-reload",
    ]
    assert daemon.run("service", "remove").stdout == "The service is not installed.\n"


def test_a_worker_as_a_service(daemon: Daemon, systemctl: Path, tmp_path: Path) -> None:
    """Beside the daemon's own. The file is checked first: a service has nobody to complain to."""
    own, unit = tmp_path / "cluster.pem", daemon.home / "config" / "systemd" / "user" / "stylefolder-worker.service"
    asked = ["service", "install", "--worker", "192.168.1.10:8786", "--certificate", own, "--device", "cpu"]
    assert f"{own} cannot be read" in daemon.run(*asked).stderr
    assert not unit.exists()
    certificates.save(certificates.create("stylefolder"), own)
    done = daemon.run(*asked)
    assert (done.returncode, done.stdout) == (0, f"Installed and started: {unit}\n"), done.stderr
    assert f"worker 192.168.1.10:8786 --certificate {own} --device cpu\n" in unit.read_text()
    assert systemctl.read_text().splitlines()[-1] == "--user restart stylefolder-worker.service"
    if analyse := shutil.which("systemd-analyze"):
        checked = subprocess.run([analyse, "--user", "verify", str(unit)], capture_output=True, text=True)
        assert "stylefolder-worker.service" not in checked.stderr, checked.stderr
    assert "no ROOT" in daemon.run("service", "install", "--worker", "192.168.1.10:8786").stderr
    assert daemon.run("service", "remove").stdout == "The service is not installed.\n"
    assert daemon.run("service", "remove", "--worker").stdout == f"Removed {unit}\n"


def test_no_systemd(daemon: Daemon) -> None:
    daemon.extra = {"PATH": str(daemon.home)}
    done = daemon.run("service", "install")
    assert (done.returncode, done.stderr) == (
        2,
        "stylefolder: There is no systemctl here: add `stylefolder watch` to your startup programs.\n",
    )


def test_a_systemd_without_a_session(daemon: Daemon, systemctl: Path) -> None:
    """If systemd refuses, nothing is left behind, and an earlier installation can still be removed."""
    tool = daemon.home / "bin" / "systemctl"
    unit = daemon.home / "config" / "systemd" / "user" / "stylefolder.service"
    daemon.run("service", "install")
    tool.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    assert daemon.run("service", "remove").stdout == f"Removed {unit}\n"
    done = daemon.run("service", "install")
    assert (done.returncode, done.stderr) == (
        2,
        "stylefolder: There is no systemd session: add `stylefolder watch` to your startup programs "
        "(Failed to connect to bus).\n",
    )
    assert not unit.exists()


def test_doctor_looks_at_settings_and_daemon(daemon: Daemon, small: Image.Image) -> None:
    daemon.start()
    small.save(daemon.root / "astray.jpg")
    wait_for(lambda: daemon.status()["problems"])
    daemon.settings("originals: delete\n")
    done = daemon.run("doctor", daemon.root)
    assert done.returncode == 1
    assert "WRONG settings: " in done.stdout and "settings.yaml:1: originals: " in done.stdout
    assert f"ok    daemon: process {daemon.pid} watches {daemon.root}, degraded" in done.stdout
    assert "WRONG daemon: astray.jpg is beside the folders" in done.stdout
