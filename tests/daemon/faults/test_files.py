"""Faults in the files themselves: links, devices, damaged and hostile pictures, odd names, odd times."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import time
import unicodedata
import zlib
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for


def test_symlinks_are_refused_with_the_reason(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "real.png")
    small.rotate(90).save(shared.home / "outside.png")
    (inbox / "inside.png").symlink_to(inbox / "real.png")
    (inbox / "outside.png").symlink_to(shared.home / "outside.png")
    (inbox / "dangling.png").symlink_to(inbox / "gone.png")
    (inbox / "loop").symlink_to(inbox)
    for name in ("inside.png", "outside.png", "dangling.png", "loop"):
        assert "symbolic link, which is not followed" in shared.reason(inbox / name)
    wait_for(lambda: is_picture(inbox / "styled" / "real.png"))
    assert shared.run("retry", "--failed").returncode == 0
    assert not (inbox / "styled" / "outside.png").exists()


def test_fifo_socket_and_device(shared: Daemon, inbox: Path, small: Image.Image, tmp_path: Path) -> None:
    os.mkfifo(inbox / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "s"))
        (tmp_path / "s").rename(inbox / "socket.jpg")
    assert "a FIFO" in shared.reason(inbox / "fifo.jpg")
    assert "a socket" in shared.reason(inbox / "socket.jpg")
    if os.getuid() == 0:
        os.mknod(inbox / "device.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
        assert "a device" in shared.reason(inbox / "device.jpg")
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))


def test_decompression_bomb_and_a_lying_header(shared: Daemon, inbox: Path) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    for name, edge in (("bomb.png", 30_000), ("huge.png", 100_000)):
        header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
        body = zlib.compress(bytes(10_000_000), 9)
        (inbox / name).write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
        )
        assert f"claims {edge} x {edge} pixels" in shared.reason(inbox / name)


def test_wrong_extension(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "png.jpg", "PNG")
    (inbox / "text.jpg").write_text("these are words")
    wait_for(lambda: is_picture(inbox / "styled" / "png.png"))
    assert "not a picture" in shared.reason(inbox / "text.jpg")


def test_odd_names(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    names = [
        "new\nline.png",
        "esc\x1b[31mape.png",
        "x" * 251 + ".png",
        os.fsdecode(b"not \xff\xfe utf-8.png"),
        unicodedata.normalize("NFC", "Müller é.png"),
        unicodedata.normalize("NFD", "Müller é.png"),
        " spaces .png",
        "-rf.png",
        "%s{}$HOME.png",
    ]
    for i, name in enumerate(names):
        small.rotate(i).save(inbox / name, "PNG")
    for name in names:
        wait_for(partial(is_picture, inbox / "styled" / name), why=repr(name))
    assert len(list((inbox / "styled").iterdir())) == len(names)
    assert "\x1b[31m" not in shared.run("status", "--once").stdout


def test_what_systems_leave_is_passed_over(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._x.jpg"):
        (inbox / name).write_bytes(b"\0\1\2")
    (inbox / "@eaDir").mkdir()
    small.save(inbox / "@eaDir" / "SYNOPHOTO_THUMB.jpg")
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert len([row for row in shared.jobs() if row["preset"] == inbox.name.encode()]) == 1


@pytest.mark.parametrize("mtime", [0, 4_000_000_000, 10_500_000_000])
def test_times_in_1970_and_in_the_future(shared: Daemon, inbox: Path, small: Image.Image, mtime: int) -> None:
    small.save(shared.home / "t.png")
    os.utime(shared.home / "t.png", (mtime, mtime))
    shutil.copy2(shared.home / "t.png", inbox / "t.png")
    wait_for(lambda: is_picture(inbox / "styled" / "t.png"))


def test_a_jpg_and_a_png_of_one_name(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "a.jpg")
    small.rotate(90).save(inbox / "a.png")
    small.rotate(180).save(inbox / "a.bmp")
    wait_for(lambda: len(list((inbox / "styled").glob("a*"))) == 3)


def test_a_result_copied_back_into_its_inbox(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "a.png")
    wait_for((inbox / "styled" / "a.png").exists)
    time.sleep(0.5)
    shutil.copy(inbox / "styled" / "a.png", inbox / "b.png")
    assert "It is a Result of" in shared.reason(inbox / "b.png")
    assert not (inbox / "styled" / "b.png").exists()


def copied(daemon: Daemon, photo: Path) -> bool:
    return any(e["event"] == "JobDone" and e["copied"] and e["job"]["photo"] == str(photo) for e in daemon.events())


def test_the_same_photo_under_another_name_is_copied(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "a.png")
    wait_for((inbox / "styled" / "a.png").exists)
    small.rotate(90).save(inbox / "c.jpg")
    wait_for((inbox / "styled" / "c.jpg").exists)
    for one, other in (("a.png", "b.png"), ("c.jpg", "d.jpeg"), ("c.jpg", "e.JPG")):
        shutil.copy(inbox / one, inbox / other)
        wait_for((inbox / "styled" / other).exists)
        assert (inbox / "styled" / other).read_bytes() == (inbox / "styled" / one).read_bytes()
        wait_for(partial(copied, shared, inbox / other))


def test_longer_than_the_format_holds(daemon: Daemon, fast: str) -> None:
    """Detected before the work starts, and nothing that a retry can fix."""
    inbox = daemon.preset("one", fast + "output: {format: webp}\n")
    Image.new("RGB", (16_400, 40), "teal").save(inbox / "wide.jpg")
    daemon.start()
    assert "webp can hold 16383 pixels per side, but the photo has 16400: choose tiff or png" in daemon.reason(
        inbox / "wide.jpg"
    )
    assert "JobStepped" not in {e["event"] for e in daemon.events()}


def test_touch_and_chmod_compute_nothing_again(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    small.save(inbox / "a.png")
    wait_for((inbox / "styled" / "a.png").exists)
    (inbox / "a.png").touch()
    (inbox / "a.png").chmod(0o600)
    time.sleep(3)
    begun = [e for e in shared.events() if e["event"] == "JobStarted" and e["job"]["photo"] == str(inbox / "a.png")]
    assert len(begun) == 1


def test_a_result_taken_away_and_the_photo_touched_is_made_again(
    shared: Daemon, inbox: Path, small: Image.Image
) -> None:
    small.save(inbox / "a.png")
    wait_for((inbox / "styled" / "a.png").exists)
    time.sleep(0.5)
    (inbox / "styled" / "a.png").unlink()
    (inbox / "a.png").touch()
    wait_for((inbox / "styled" / "a.png").exists)


@pytest.mark.slow
def test_a_file_that_comes_where_the_result_would_lie(daemon: Daemon, slow: str, small: Image.Image) -> None:
    """If the file appears while the photo is being painted, it stays, and the Result gets the next free name."""
    inbox = daemon.preset("long", slow.replace("5000", "150"))
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(daemon.running)
    (inbox / "styled").mkdir()
    (inbox / "styled" / "a.png").write_text("my own")
    wait_for(lambda: daemon.jobs("state = 'done'"))
    assert (inbox / "styled" / "a.png").read_text() == "my own"
    assert is_picture(inbox / "styled" / "a-2.png")
    assert daemon.jobs()[0]["result"] == b"long/styled/a-2.png"
