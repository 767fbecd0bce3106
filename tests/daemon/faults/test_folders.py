"""Faults of folders and photos: removed, replaced, renamed, moved while the daemon runs; inotify used up."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture, namespaces
from tests.harness import wait_for


@pytest.mark.slow
@namespaces
@pytest.mark.parametrize(
    ("limit", "value", "why"),
    [("watches", 2, "inotify watch limit reached"), ("instances", 0, "inotify instance limit reached")],
)
def test_inotify_used_up(daemon: Daemon, fast: str, small: Image.Image, limit: str, value: int, why: str) -> None:
    """In a user namespace with its own limit: the message names the limit, and the folders are scanned instead."""
    daemon.before = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'echo {value} > /proc/sys/user/max_inotify_{limit}; exec "$@"',
        "sh",
    ]
    inbox = daemon.preset("one", fast)
    daemon.start()
    wait_for(lambda: f"({why})" in daemon.problems() and "scanned every few seconds instead" in daemon.problems())
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))


@pytest.mark.slow
def test_the_root_is_taken_away_and_made_again(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    shutil.rmtree(daemon.root, ignore_errors=True)
    wait_for(lambda: f"The folder {daemon.root} was removed. Work continues when it is back." in daemon.said())
    shutil.rmtree(daemon.root, ignore_errors=True)
    daemon.preset("one", fast)
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    wait_for(lambda: daemon.status()["state"] == "healthy")


@pytest.mark.slow
def test_the_root_is_renamed_and_comes_back(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Like an unplugged disk: nothing is written under the old name in the meantime, and nothing is computed again."""
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    daemon.root.rename(daemon.home / "elsewhere")
    wait_for(lambda: "was removed" in daemon.said())
    time.sleep(1)
    assert not daemon.root.exists()
    (daemon.home / "elsewhere").rename(daemon.root)
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    assert daemon.begun(inbox / "a.png") == 1


def test_an_inbox_is_taken_away_made_again_and_renamed(
    shared: Daemon, inbox: Path, fast: str, small: Image.Image
) -> None:
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    shutil.rmtree(inbox)
    time.sleep(1)
    inbox.mkdir()
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    shared.preset("renamed", fast.replace("oil.jpg", "charcoal.jpg"))
    (shared.root / "renamed").rmdir()
    small.rotate(180).save(inbox / "c.png")
    inbox.rename(shared.root / "renamed")
    wait_for(lambda: is_picture(shared.root / "renamed" / "styled" / "c.png"))


@pytest.mark.slow
def test_a_photo_is_deleted_while_queued_and_while_running(
    daemon: Daemon, fast: str, slow: str, small: Image.Image
) -> None:
    """A queued Job is cancelled, with the reason. A running Job still gives its Result."""
    inbox, long = daemon.preset("one", fast), daemon.preset("long", slow.replace("5000", "150"))
    small.save(long / "running.png")
    daemon.start()
    wait_for(daemon.running)
    small.rotate(90).save(inbox / "queued.png")
    wait_for(lambda: daemon.jobs("state = 'queued'"))
    assert daemon.running(), "the Job is still running"
    (long / "running.png").unlink()
    (inbox / "queued.png").unlink()
    wait_for(lambda: is_picture(long / "styled" / "running.png"))
    wait_for(lambda: daemon.jobs("state = 'cancelled'"))
    assert daemon.jobs("state = 'cancelled'")[0]["reason"] == "The photo was removed before its turn."


@pytest.mark.slow
def test_a_photo_is_replaced_while_running(daemon: Daemon, slow: str, small: Image.Image) -> None:
    """The old version finishes, and the new one is queued: two Jobs, and in the end the Result of the new one."""
    inbox = daemon.preset("long", slow.replace("5000", "150"))
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(daemon.running)
    small.rotate(180).save(daemon.home / "new.png")
    (daemon.home / "new.png").rename(inbox / "a.png")
    wait_for(lambda: len([e for e in daemon.events() if e["event"] == "JobDone"]) == 2)
    first, second = [e for e in daemon.events() if e["event"] == "JobDone"]
    assert first["job"]["result"] == second["job"]["result"] == str(inbox / "styled" / "a.png")
    assert len(daemon.jobs()) == 2


@pytest.mark.slow
def test_a_folder_moved_out_and_back(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """The folder's Jobs are cancelled when their turn comes, and queued again when the folder is back."""
    inbox = daemon.preset("one", fast)
    (inbox / "trip").mkdir()
    for i in range(3):
        small.rotate(90 * i).save(inbox / "trip" / f"{i}.png")
    daemon.start()
    daemon.run("pause")
    wait_for(lambda: len(daemon.jobs()) == 3)
    (inbox / "trip").rename(daemon.home / "trip")
    daemon.run("resume")
    wait_for(lambda: not daemon.jobs("state IN ('queued', 'running')"))
    assert daemon.jobs("state = 'cancelled'")
    (daemon.home / "trip").rename(inbox / "trip")
    wait_for(lambda: len([path for path in (inbox / "styled" / "trip").glob("[0-9].png") if is_picture(path)]) == 3)


@pytest.mark.slow
def test_a_root_behind_a_symbolic_link(daemon: Daemon, small: Image.Image, cat: Image.Image) -> None:
    """The style picture in its folder is not taken for a photo, and stays where it is."""
    daemon.settings("originals: move\n")
    real, daemon.root = daemon.root, daemon.home / "link"
    daemon.root.symlink_to(real)
    folder = daemon.root / "mine"
    folder.mkdir()
    cat.save(folder / "style.jpg")
    small.save(folder / "a.png")
    daemon.start()
    wait_for((folder / "originals" / "a.png").exists)
    time.sleep(1)
    assert (folder / "style.jpg").exists()
    assert len(daemon.jobs()) == 1


def test_a_folder_whose_name_is_not_utf8(shared: Daemon, cat: Image.Image) -> None:
    """Every view shows it, with escapes."""
    folder = Path(os.fsdecode(os.fsencode(shared.root) + b"/caf\xe9"))
    folder.mkdir()
    try:
        (folder / "style.jpg").write_bytes(b"words")
        wait_for(lambda: "caf\\xe9" in shared.problems())
        assert "caf\\xe9" in [preset["name"] for preset in shared.client.ask("GET", "/v1/presets")["presets"]]
        assert shared.run("status", "--once").returncode == 0
    finally:
        shutil.rmtree(folder)
