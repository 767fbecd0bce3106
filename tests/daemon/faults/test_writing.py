"""Faults in how photos arrive: slow, stalled, preallocated, renamed, linked, in bursts."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for


def jpeg(image: Image.Image, path: Path) -> bytes:
    image.save(path, "JPEG", quality=95)
    return path.read_bytes()


def jobs_of(daemon: Daemon, photo: Path) -> list[tuple[str, str | None]]:
    name = os.fsencode(photo.relative_to(daemon.root))
    return [(row["state"], row["reason"]) for row in daemon.jobs() if row["photo"] == name]


def test_slow_writer_with_stalls(shared: Daemon, inbox: Path, small: Image.Image, tmp_path: Path) -> None:
    data = jpeg(small, tmp_path / "a.jpg")
    with (inbox / "a.jpg").open("wb") as file:
        for i in range(0, len(data), len(data) // 3 + 1):
            file.write(data[i : i + len(data) // 3 + 1])
            file.flush()
            time.sleep(2)
        assert not jobs_of(shared, inbox / "a.jpg"), "its writer has it open"
    wait_for(lambda: [state for state, _ in jobs_of(shared, inbox / "a.jpg")] == ["done"])
    assert is_picture(inbox / "styled" / "a.jpg")


def test_preallocated_with_the_writer_still_at_work(
    shared: Daemon, inbox: Path, small: Image.Image, tmp_path: Path
) -> None:
    data = jpeg(small, tmp_path / "a.jpg")
    fd = os.open(inbox / "a.jpg", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(fd, 0, len(data))
    time.sleep(2.5)
    assert not jobs_of(shared, inbox / "a.jpg")
    os.write(fd, data)
    os.close(fd)
    wait_for(lambda: [state for state, _ in jobs_of(shared, inbox / "a.jpg")] == ["done"])
    assert is_picture(inbox / "styled" / "a.jpg")


def test_reopened_and_appended(shared: Daemon, inbox: Path, small: Image.Image, tmp_path: Path) -> None:
    """Half a file is written and closed, and the rest follows later. The half fails with a reason; the whole is
    painted, and the reason is removed."""
    data = jpeg(small, tmp_path / "a.jpg")
    (inbox / "a.jpg").write_bytes(data[:700])
    assert "cut off" in shared.reason(inbox / "a.jpg")
    with (inbox / "a.jpg").open("ab") as file:
        file.write(data[700:])
    wait_for(lambda: is_picture(inbox / "styled" / "a.jpg"))
    wait_for(lambda: not (inbox / "failed").exists())


def test_empty_file_filled_later(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    (inbox / "a.png").touch()
    assert "is empty" in shared.reason(inbox / "a.png")
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    wait_for(lambda: not (inbox / "failed").exists())


def test_truncated_and_zero_tailed_jpeg(shared: Daemon, inbox: Path, small: Image.Image, tmp_path: Path) -> None:
    data = jpeg(small, tmp_path / "a.jpg")
    (inbox / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    (inbox / "zeros.jpg").write_bytes(data[: len(data) * 2 // 3] + bytes(len(data) // 3))
    (inbox / "padded.jpg").write_bytes(data + bytes(5000))
    assert "cut off" in shared.reason(inbox / "cut.jpg")
    assert "not copied completely" in shared.reason(inbox / "zeros.jpg")
    wait_for(lambda: is_picture(inbox / "styled" / "padded.jpg"))


@pytest.mark.parametrize(
    "name", ["a.png.part", "a.png.crdownload", "a.tmp", ".a.png.Xy12Zw", ".syncthing.a.png.tmp", "~syncthing~a.png.tmp"]
)
def test_renamed_when_whole(shared: Daemon, inbox: Path, small: Image.Image, name: str) -> None:
    small.save(inbox / name, "PNG")
    time.sleep(2)
    assert not [row for row in shared.jobs() if row["preset"] == inbox.name.encode()]
    (inbox / name).rename(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))


def test_moved_in_and_hardlinked(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    outside = shared.home / "outside"
    outside.mkdir(exist_ok=True)
    small.save(outside / "moved.png")
    small.rotate(180).save(outside / "linked.png")
    (outside / "moved.png").rename(inbox / "moved.png")
    os.link(outside / "linked.png", inbox / "linked.png")
    wait_for(lambda: is_picture(inbox / "styled" / "moved.png") and is_picture(inbox / "styled" / "linked.png"))


def test_a_folder_moved_in_and_copied_in(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    trip = shared.home / "trip"
    (trip / "day 1").mkdir(parents=True)
    for i in range(3):
        small.rotate(i).save(trip / "day 1" / f"{i}.png")
    shutil.copytree(trip, inbox / "copied")
    trip.rename(inbox / "moved")
    for folder in ("copied", "moved"):
        for i in range(3):
            wait_for(partial(is_picture, inbox / "styled" / folder / "day 1" / f"{i}.png"))


def test_mkdir_and_write_at_once_200_times(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    """The folder and its photo exist before the folder can be watched."""
    small.save(inbox / "first.png")
    data = (inbox / "first.png").read_bytes()
    for i in range(200):
        (inbox / f"{i}").mkdir()
        (inbox / f"{i}" / "a.png").write_bytes(data)
    wait_for(lambda: all((inbox / "styled" / f"{i}" / "a.png").exists() for i in range(200)))


@pytest.mark.slow
def test_stopped_while_6000_files_arrive(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """While the daemon is suspended with SIGSTOP, the kernel's event queue overflows."""
    inbox = daemon.preset("many", fast)
    daemon.start()
    wait_for(lambda: daemon.status()["state"] == "healthy")
    small.save(daemon.home / "a.png")
    data = (daemon.home / "a.png").read_bytes()
    os.kill(daemon.pid, signal.SIGSTOP)
    for i in range(6000):
        (inbox / f"{i}.png").write_bytes(data)
    os.kill(daemon.pid, signal.SIGCONT)
    wait_for(lambda: len(daemon.jobs("state IN ('queued', 'running', 'done')")) == 6000)
    assert daemon.jobs("state = 'failed'") == []
