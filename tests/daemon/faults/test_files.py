"""Faults in the files themselves: links, devices, damaged and hostile pictures, odd names, odd times."""

from __future__ import annotations

import io
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

from stylecore.images.complete import BLACK_END
from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for
from tests.stylecore.images.test_raw import dng


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
    assert "webp can hold 16383 pixels per side, but the Result has 16400: choose tiff or png" in daemon.reason(
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


def test_what_is_not_a_picture_is_skipped_and_counted(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Sidecars, videos, sounds, half-finished copies. A picture without a picture's name is still a picture."""
    inbox = daemon.preset("one", fast)
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG")
    skipped = {
        "a.jpg.json": b"{}", "a.jpg:Zone.Identifier": b"[ZoneTransfer]", "a.MP": b"\0\0\0\x18ftypmp42",
        "a.acr": b"II*\0sidecar", "a.cos": b"<xml/>", "a.on1": b"on1", "a.vrd": b"CANON OPTIONAL DATA", "a.lrv": b"x",
        "a.WAV": b"RIFF....WAVE", "Picasa.ini": b"[Picasa]", "notes": b"to do", "a.pdf": b"%PDF-1.7", "empty": b"",
    }  # fmt: skip
    hidden = {"a.jpg.filepart": jpeg.getvalue(), "Icon\r": b"", "._a.jpg": b"x"}
    for name, data in {**skipped, **hidden}.items():
        (inbox / name).write_bytes(data)
    (inbox / "photo").write_bytes(jpeg.getvalue())
    (inbox / "a.jxl").write_bytes(b"\xff\x0a")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "photo.jpg"))
    assert "not a picture in a supported format" in daemon.reason(inbox / "a.jxl")
    shown = len(skipped) - 1  # the zone's identifier is hidden
    wait_for(lambda: daemon.status()["skipped"] == shown)
    assert f"{shown} files are not pictures and were skipped." in daemon.run("status", "--once").stdout
    assert sorted(path.name for path in (inbox / "failed").iterdir()) == ["a.jxl.txt"]
    (inbox / "notes").write_bytes(jpeg.getvalue())
    wait_for(lambda: is_picture(inbox / "styled" / "notes.jpg"))
    (inbox / "a.pdf").unlink()
    wait_for(lambda: daemon.status()["skipped"] == shown - 2)


def test_trash_and_libraries_are_left_alone(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    """In an Inbox and beside it: nothing in them is painted, and nothing is written into them."""
    names = ("#recycle", "@Recycle", "$RECYCLE.BIN", ".Trash-1000", "System Volume Information", "My.photoslibrary",
             "Catalog Previews.lrdata")  # fmt: skip
    for name in names:
        for parent in (inbox, shared.root):
            (parent / name / "deep").mkdir(parents=True)
            small.save(parent / name / "deep" / "deleted.png")
            small.save(parent / name / "style.png")
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    for name in names:
        for parent in (inbox, shared.root):
            assert sorted(path.name for path in (parent / name).rglob("*")) == ["deep", "deleted.png", "style.png"]
    assert [path.name for path in (inbox / "styled").iterdir()] == ["a.png"]
    assert not any(name in preset for preset in shared.status()["inboxes"] for name in names)
    for name in names:
        shutil.rmtree(shared.root / name)


def test_results_differ_by_more_than_case(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    """A RAW file and the camera's JPEG of it. Each keeps its Result when it is painted again."""
    pytest.importorskip("rawpy")
    (inbox / "IMG_1.DNG").write_bytes(dng(small))
    wait_for(lambda: is_picture(inbox / "styled" / "IMG_1.jpg"))
    small.save(inbox / "IMG_1.JPG", "JPEG")
    wait_for(lambda: is_picture(inbox / "styled" / "IMG_1-2.JPG"))
    small.rotate(180).save(inbox / "IMG_1.JPG", "JPEG")
    before = (inbox / "styled" / "IMG_1-2.JPG").read_bytes()
    wait_for(lambda: (inbox / "styled" / "IMG_1-2.JPG").read_bytes() != before)
    wait_for(lambda: shared.status()["inboxes"][inbox.name].get("running", 0) == 0)
    assert sorted(path.name for path in (inbox / "styled").iterdir()) == ["IMG_1-2.JPG", "IMG_1.jpg"]


@pytest.mark.slow
def test_what_may_be_half_a_photo_is_not_moved(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Its last pixels are zeros: black, or an interrupted copy."""
    daemon.settings("originals: move\n")
    inbox = daemon.preset("one", fast)
    out = io.BytesIO()
    small.save(out, "TIFF")
    data = bytearray(out.getvalue())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (inbox / "half.tif").write_bytes(data)
    small.save(inbox / "whole.tif")
    daemon.start()
    wait_for(lambda: daemon.status()["inboxes"].get("one", {}).get("done") == 2)
    wait_for((inbox / "originals" / "whole.tif").exists)
    assert (inbox / "half.tif").exists()
    assert BLACK_END in daemon.said()
