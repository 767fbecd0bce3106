"""File servers and foreign file systems: real mounts (bindfs, FAT, SMB), and a preloaded library for the errors that no
mount here produces. Work never fails because an optional system call is refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.ledger.ledger import Ledger
from tests.daemon.faults.mounts import behind, mounted, needs
from tests.daemon.harness import ONE_STEP, Daemon, is_picture
from tests.harness import wait_for


def paint_two(daemon: Daemon, small: Image.Image) -> None:
    """A photo before a restart and one after it. Each has one Result, and nothing is wrong."""
    inbox = daemon.preset("one", ONE_STEP)
    daemon.start()
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"), why=daemon.said())
    wait_for(lambda: daemon.status()["inboxes"]["one"].get("done") == 1)
    assert daemon.status()["problems"] == []
    daemon.kill()
    daemon.start()
    small.rotate(90, expand=True).save(inbox / "b.png")
    wait_for(lambda: daemon.status()["inboxes"].get("one", {}).get("done") == 2, why=daemon.said())
    assert daemon.status()["problems"] == []
    assert sorted(path.name for path in (inbox / "styled").iterdir()) == ["a.png", "b.png"], "nothing is painted twice"
    begun = [e["job"]["photo"] for e in daemon.events() if e["event"] == "JobStarted"]
    assert [Path(photo).name for photo in begun] == ["a.png", "b.png"]


@needs("bindfs")
@pytest.mark.slow
def test_chmod_and_chown_are_refused(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    with mounted(["bindfs", "--chmod-deny", "--chown-deny", "--chgrp-deny", str(behind(tmp_path))], daemon.root):
        paint_two(daemon, small)
        daemon.stop()


@needs("bindfs")
@pytest.mark.slow
def test_no_shared_memory(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    """As on NFS and SMB. A Ledger that was written elsewhere, with a write-ahead log, is converted."""
    folder = behind(tmp_path)
    ledger = folder / ".stylefolder" / "ledger.sqlite3"
    Ledger(ledger, folder).close()
    assert ledger.read_bytes()[18] == 2
    with mounted(["bindfs", "-o", "direct_io", str(folder)], daemon.root):
        paint_two(daemon, small)
        assert "The Ledger uses a rollback journal" in daemon.remarks()
        assert "(No such device)" in daemon.remarks()
        assert "rollback journal" in daemon.run("doctor").stdout
        assert "rollback journal" in daemon.run("status", "--once").stdout
        daemon.stop()
    assert ledger.read_bytes()[18] == 1


@needs("fusefat", "mkfs.vfat")
@pytest.mark.long  # by hand: this FAT stops answering now and then, and with it whoever uses it
@pytest.mark.timeout(600)
def test_fat(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    """No owner, no links, no chmod, times of two seconds, names without case, files that cannot be made to grow."""
    image = tmp_path / "fat"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    with mounted(["fusefat", "-o", "rw+", str(image)], daemon.root):
        paint_two(daemon, small)
        assert "(Operation not permitted)" in daemon.remarks()
        inbox = daemon.preset("case", ONE_STEP)
        small.save(inbox / "IMG_1.jpg")
        small.rotate(180).save(inbox / "img_1.bmp")
        small.rotate(90).save(inbox / "Img_1.png")
        wait_for(lambda: daemon.status()["inboxes"].get("case", {}).get("done") == 3)
        names = sorted(path.name.casefold() for path in (inbox / "styled").iterdir())
        assert names == ["img_1-2.png", "img_1.jpg", "img_1.png"]
        subprocess.run(
            ["pkill", "-9", "-f", f"fusefat .*{image}"]
        )  # it may stop answering when SQLite closes its files
        daemon.kill()


@contextlib.contextmanager
def smb_share(tmp_path: Path) -> Iterator[Path]:
    """A real SMB server on loopback, mounted with smbnetfs."""
    share, state, home = behind(tmp_path), tmp_path / "samba", tmp_path / "smbhome"
    for folder in (state, home / ".smb"):
        folder.mkdir(parents=True)
    folders = "\n".join(
        f"{name} = {state}"
        for name in ("private dir", "lock directory", "state directory", "cache directory", "pid directory")
    )
    (state / "smb.conf").write_text(
        f"[global]\nserver role = standalone server\nmap to guest = Bad User\nguest account = root\n"
        f"bind interfaces only = yes\ninterfaces = lo\nsmb ports = 445\ndisable netbios = yes\nload printers = no\n"
        f"{folders}\nncalrpc dir = {state}/ncalrpc\nlog file = {state}/log\n"
        f"[photos]\npath = {share}\nguest ok = yes\nread only = no\n"
    )
    files = {
        "smbnetfs.conf": 'include "smbnetfs.auth"\ninclude "smbnetfs.host"\n',
        "smbnetfs.auth": "",
        "smbnetfs.host": "host localhost visible=true\n",
        "smb.conf": "[global]\nclient min protocol = SMB2\nname resolve order = host\n",
    }
    for name, text in files.items():
        (home / ".smb" / name).write_text(text)
        (home / ".smb" / name).chmod(0o600)
    subprocess.run(["smbd", "-s", str(state / "smb.conf"), "-D"], check=True)
    try:
        wait_for(lambda: _listens(445))
        command = ["smbnetfs", "-o", f"config={home}/.smb/smbnetfs.conf"]
        with mounted(command, tmp_path / "net", {"HOME": str(home)}) as net:
            photos = net / "localhost" / "photos"
            wait_for(lambda: os.path.isdir(photos))
            yield photos
    finally:
        os.kill(int((state / "smbd.pid").read_text()), signal.SIGTERM)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@needs("smbd", "smbnetfs")
@pytest.mark.slow
@pytest.mark.skipif(_listens(445), reason="another SMB server is running")
def test_smb(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    """No links. Photos that another machine puts on the server are found."""
    with smb_share(tmp_path) as photos:
        daemon.root = photos / "Root"
        paint_two(daemon, small)
        assert "on fuse.smbnetfs, which does not report all changes" in daemon.remarks()
        small.rotate(180).save(behind(tmp_path) / "Root" / "one" / "c.png")
        wait_for(lambda: is_picture(behind(tmp_path) / "Root" / "one" / "styled" / "c.png"))
        daemon.stop()


@pytest.fixture(scope="session")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that refuses system calls."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    library = tmp_path_factory.mktemp("refusals") / "refusals.so"
    source = Path(__file__).with_name("refusals.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refuse", "remark"),
    [
        ("flock=ENOLCK", "has no locks (No locks available), so a heartbeat"),
        ("flock=ENOSYS fcntl_lock=ENOLCK", "has no locks (No locks available)."),
        ("fsync_file=EINVAL", "has no syncing (Invalid argument)."),
        ("mmap=ENODEV", "The Ledger uses a rollback journal"),
        ("fsync_folder=EINVAL", ""),
        ("fsync_folder=EIO", ""),
        ("link=EPERM", ""),
        ("chmod=EPERM chown=EPERM lease=EINVAL", ""),
        ("flock=EOPNOTSUPP fsync_folder=EINVAL mmap=ENODEV link=EPERM chmod=EPERM chown=EPERM", "heartbeat"),
    ],
)
def test_refused_system_calls(daemon: Daemon, small: Image.Image, refusals: Path, refuse: str, remark: str) -> None:
    daemon.extra = {"LD_PRELOAD": str(refusals), "REFUSE_IN": str(daemon.root), "REFUSE": refuse}
    paint_two(daemon, small)
    assert remark in daemon.remarks()
    if "The Ledger is" in daemon.remarks():
        assert not (daemon.root / ".stylefolder" / "ledger.sqlite3").exists()
        assert len(list((daemon.home / "state").rglob("ledgers/Root-*.sqlite3"))) == 1
    daemon.stop()


@needs("bindfs")
@pytest.mark.slow
def test_a_dead_mount_stops_only_its_own_inbox(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    inbox = daemon.preset("one", ONE_STEP)
    daemon.preset("two", ONE_STEP)
    with mounted(["bindfs", "-f", str(behind(tmp_path))], daemon.root / "two", background=True):
        subprocess.run(["pkill", "-9", "-f", f"bindfs -f {behind(tmp_path)}"], check=True)
        wait_for(lambda: not os.path.isdir(daemon.root / "two"))
        small.save(inbox / "a.png")
        daemon.start()
        wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
        new = daemon.preset("new", ONE_STEP)
        small.save(new / "b.png")
        wait_for(lambda: is_picture(new / "styled" / "b.png"))
        assert any("two" in problem for problem in daemon.status()["problems"])
        assert "Traceback" not in daemon.said()
        daemon.stop()


@needs("bindfs")
@pytest.mark.slow
def test_a_root_that_is_unmounted_is_not_made_again_below(daemon: Daemon, tmp_path: Path, small: Image.Image) -> None:
    server = behind(tmp_path)
    with mounted(["bindfs", str(server)], daemon.root):
        daemon.preset("one", ONE_STEP)
        daemon.start()
        subprocess.run(["umount", "-l", str(daemon.root)], check=True)
        wait_for(lambda: "Work continues when it is back" in daemon.said())
        small.save(server / "one" / "a.png")
        subprocess.run(["bindfs", str(server), str(daemon.root)], check=True)
        wait_for(lambda: is_picture(server / "one" / "styled" / "a.png"))
        daemon.stop()
    assert list(daemon.root.iterdir()) == [], "nothing was put on the disk below"


@pytest.mark.slow
def test_a_ledger_stays_where_it_is(daemon: Daemon, small: Image.Image, refusals: Path) -> None:
    """Even if the file system has locks again. Without locks there either, SQLite makes its own."""
    inbox = daemon.preset("one", ONE_STEP)
    daemon.extra = {"LD_PRELOAD": str(refusals), "REFUSE_IN": str(daemon.root.parent), "REFUSE": "fcntl_lock=ENOLCK"}
    daemon.start()
    small.save(inbox / "a.png")
    wait_for(lambda: daemon.status()["inboxes"].get("one", {}).get("done") == 1)
    (daemon.root / "README.txt").unlink()
    daemon.kill()
    daemon.extra = {}
    daemon.start()
    assert daemon.status()["inboxes"]["one"]["done"] == 1
    assert "lacked locks or syncing before" in daemon.remarks()
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: daemon.status()["inboxes"]["one"].get("done") == 2)
    assert sorted(path.name for path in (inbox / "styled").iterdir()) == ["a.png", "b.png"]
    assert not (daemon.root / "README.txt").exists(), "only a new Root has it"
    daemon.stop()
