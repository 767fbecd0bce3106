"""Faults of folders, presets, settings and the Ledger: removed, renamed, exhausted, broken and fixed while the daemon
runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture, namespaces
from tests.harness import wait_for


def problems(daemon: Daemon) -> str:
    return "\n".join(daemon.status()["problems"])


def begun(daemon: Daemon, photo: Path) -> int:
    return len([e for e in daemon.events() if e["event"] == "JobStarted" and e["job"]["photo"] == str(photo)])


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
    wait_for(lambda: f"({why})" in problems(daemon) and "scanned every few seconds instead" in problems(daemon))
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
    assert begun(daemon, inbox / "a.png") == 1


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
def test_an_output_folder_equal_to_an_inbox(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Refused at startup, with file and line; while the daemon runs, the previous settings stay in effect."""
    inbox = daemon.preset("one", fast)
    path = daemon.home / "config" / "stylefolder" / "settings.yaml"
    for wrong in (inbox, daemon.root, daemon.root / ".." / daemon.root.name / "one"):
        daemon.settings(f"originals: keep\nresults: {wrong}\n")
        refused = daemon.run("watch", daemon.root, "--once")
        assert refused.returncode == 2
        assert f"{path}:2: results: {wrong} is in the watched folder" in refused.stderr
    daemon.settings("originals: keep\n")
    daemon.start()
    daemon.settings(f"originals: keep\nresults: {inbox}\n")
    wait_for(lambda: f"{path}:2: results: {inbox} is in the watched folder" in problems(daemon))
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert sorted(p.name for p in inbox.iterdir()) == ["a.png", "styled"]
    daemon.settings("results: painted\n")
    wait_for(lambda: problems(daemon) == "")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "painted" / "b.png"))


def test_a_preset_broken_while_live_keeps_its_last_good_version(
    shared: Daemon, inbox: Path, fast: str, small: Image.Image
) -> None:
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    shared.preset(inbox.name, fast + "strenght: 3\n")
    wait_for(lambda: f"{inbox.name}.yaml:4: strenght: there is no such key" in problems(shared))
    assert "Its last good version stays in effect" in problems(shared)
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    shared.preset(inbox.name, fast)
    wait_for(lambda: inbox.name not in problems(shared))


@pytest.mark.slow
def test_edits_apply_from_the_next_job_on(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Edits of the preset and of its style picture: Jobs that were queued before keep the old versions of both."""
    pictures = daemon.home / "style.png"
    small.rotate(45).save(pictures)
    mine = f"style: {pictures}\nsteps: 1\nsize: 64\n"
    inbox, judge = daemon.preset("one", mine), daemon.preset("judge", mine)
    daemon.start()
    small.save(judge / "a.png")
    wait_for(lambda: is_picture(judge / "styled" / "a.png"))
    daemon.run("pause")
    small.save(inbox / "a.png")
    wait_for(lambda: daemon.jobs("state = 'queued'"))
    small.resize((300, 200)).transpose(Image.Transpose.ROTATE_180).save(pictures)
    daemon.preset("one", mine + "output: {format: webp}\n")
    wait_for(
        lambda: any(
            p.stat().st_size == pictures.stat().st_size for p in (daemon.root / ".stylefolder" / "styles").iterdir()
        )
    )
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 2)
    daemon.run("resume")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png") and is_picture(inbox / "styled" / "b.webp"))
    assert (inbox / "styled" / "a.png").read_bytes() == (judge / "styled" / "a.png").read_bytes()


def test_a_preset_removed_with_jobs_queued_holds_them(
    shared: Daemon, inbox: Path, fast: str, small: Image.Image
) -> None:
    shared.run("pause")
    try:
        small.save(inbox / "a.png")
        mine = "preset = CAST('" + inbox.name + "' AS BLOB)"
        wait_for(lambda: [row["state"] for row in shared.jobs(mine)] == ["queued"])
        (shared.root / "presets" / f"{inbox.name}.yaml").unlink()
        wait_for(lambda: [row["state"] for row in shared.jobs(mine)] == ["waiting"])
        assert "was removed: put it back" in shared.jobs(mine)[0]["reason"]
    finally:
        shared.run("resume")
    time.sleep(1)
    assert [row["state"] for row in shared.jobs(mine)] == ["waiting"], "held, not failed"
    shared.preset(inbox.name, fast)
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.5, 0.02, 0])
def test_the_ledger_truncated(daemon: Daemon, fast: str, small: Image.Image, kept: float) -> None:
    """The Ledger is moved aside and rebuilt from the files in the folders; photos stay, and none is painted twice."""
    inbox = daemon.preset("one", fast)
    for i in range(5):
        small.rotate(i).save(inbox / f"{i}.png")
    before = {p.name: p.read_bytes() for p in inbox.glob("*.png")}
    daemon.start()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 5)
    daemon.stop()
    ledger = daemon.root / ".stylefolder" / "ledger.sqlite3"
    os.truncate(ledger, int(ledger.stat().st_size * kept))
    before_results = {p.name for p in (inbox / "styled").iterdir()}
    small.rotate(90).save(inbox / "new.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "new.png"))
    assert {p.name for p in (inbox / "styled").iterdir()} == {*before_results, "new.png"}
    if kept:
        assert "The Ledger was damaged and was moved to" in daemon.said()
        assert list(ledger.parent.glob("ledger.sqlite3.damaged-*"))
    assert {name: (inbox / name).read_bytes() for name in before} == before
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 6)
    assert [begun(daemon, inbox / name) for name in before] == [1] * 5


@pytest.mark.slow
def test_the_ledger_overwritten_while_live(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    for name in ("ledger.sqlite3", "ledger.sqlite3-wal"):
        path = daemon.root / ".stylefolder" / name
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    assert begun(daemon, inbox / "a.png") == 1
    assert daemon.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["move", "trash"])
def test_originals(daemon: Daemon, fast: str, small: Image.Image, choice: str) -> None:
    """Only finished photos go; failed ones stay where they are; a copy of a moved photo is not computed again."""
    daemon.settings(f"originals: {choice}\n")
    inbox = daemon.preset("one", fast)
    (inbox / "trip").mkdir()
    small.save(inbox / "trip" / "a.png")
    data = (inbox / "trip" / "a.png").read_bytes()
    (inbox / "words.png").write_text("words")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "trip" / "a.png") and not (inbox / "trip" / "a.png").exists())
    assert "not a picture" in daemon.reason(inbox / "words.png")
    assert (inbox / "words.png").exists()
    if choice == "move":
        assert (inbox / "originals" / "trip" / "a.png").read_bytes() == data
    else:
        trashed = [p for folder in (daemon.home, *daemon.root.parents) for p in folder.glob(".[tT]rash*/**/a.png")]
        trashed += list((daemon.home / "data").rglob("a.png"))
        assert data in [p.read_bytes() for p in trashed]
    (inbox / "trip").mkdir(exist_ok=True)
    (inbox / "trip" / "a.png").write_bytes(data)  # dropped again
    wait_for(lambda: not (inbox / "trip" / "a.png").exists())
    assert len(daemon.jobs()) == 2
    assert begun(daemon, inbox / "trip" / "a.png") == 1


@pytest.mark.slow
def test_an_original_that_cannot_be_moved_stays(daemon: Daemon, fast: str, small: Image.Image) -> None:
    daemon.settings("originals: move\n")
    inbox = daemon.preset("one", fast)
    (inbox / "originals").write_text("a file where the folder would be")
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: f"could not be applied to {inbox / 'a.png'}" in daemon.said())
    assert is_picture(inbox / "styled" / "a.png")
    assert is_picture(inbox / "a.png")
    daemon.stop()
    (inbox / "originals").unlink()
    daemon.start()
    wait_for((inbox / "originals" / "a.png").exists)
    assert not (inbox / "a.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["keep", "move"])
def test_another_photo_of_the_same_name(daemon: Daemon, fast: str, small: Image.Image, choice: str) -> None:
    """After the first photo was removed: its Result stays, and so does any other file there."""
    daemon.settings(f"originals: {choice}\n")
    inbox = daemon.preset("one", fast)
    styled = inbox / "styled"
    styled.mkdir()
    (styled / "b.png").write_text("my own")
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    first = (styled / "a.png").read_bytes()
    if choice == "keep":
        (inbox / "a.png").unlink()
        wait_for(lambda: daemon.photos("presence = 'gone'"))
    wait_for(lambda: not (inbox / "a.png").exists())
    small.rotate(180).save(inbox / "a.png")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 3)
    assert (styled / "a.png").read_bytes() == first
    assert (styled / "b.png").read_text() == "my own"
    assert is_picture(styled / "a-2.png")
    assert is_picture(styled / "b-2.png")


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


def test_a_style_picture_with_a_slow_writer(daemon: Daemon, small: Image.Image, cat: Image.Image) -> None:
    """Photos beside it wait until it is complete; a message names one that is cut off."""
    daemon.start()
    folder = daemon.root / "mine"
    folder.mkdir()
    cat.save(daemon.home / "whole.jpg")
    data = (daemon.home / "whole.jpg").read_bytes()
    with (folder / "style.jpg").open("wb") as writer:
        writer.write(data[: len(data) // 2])
        writer.flush()
        small.save(folder / "a.png")
        wait_for(
            lambda: "the copy of its style picture to finish" in [p["waits_for"] for p in daemon.status()["pending"]]
        )
        assert not daemon.jobs()
    wait_for(
        lambda: any(
            f"{folder / 'style.jpg'} is damaged or cut off" in problem for problem in daemon.status()["problems"]
        )
    )
    daemon.run("pause")
    (folder / "style.jpg").write_bytes(data)
    wait_for(lambda: [row["state"] for row in daemon.jobs()] == ["queued"])


@pytest.mark.slow
def test_another_folder_for_results(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Results in the old folder are not mistaken for photos."""
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for((inbox / "styled" / "a.png").exists)
    daemon.settings("results: painted\n")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 2)
    assert is_picture(inbox / "painted" / "b.png")
    assert len(daemon.jobs()) == 2


@pytest.mark.slow
def test_another_folder_for_results_while_a_photo_is_painted(daemon: Daemon, slow: str, small: Image.Image) -> None:
    """The Result of the running Job goes where it was due to go when the Job started."""
    inbox = daemon.preset("one", slow.replace("5000", "300"))
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(daemon.running)
    daemon.settings("results: painted\n")
    wait_for(lambda: daemon.jobs("state = 'done'"))
    assert is_picture(inbox / "styled" / "a.png")
    assert not list(inbox.glob("*/.stylefolder-*.part"))


@pytest.mark.slow
def test_an_index_of_the_ledger_is_damaged(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Damage that the check on opening misses, but every write meets: the Ledger is rebuilt, and work continues."""
    inbox = daemon.preset("one", fast)
    daemon.start()
    daemon.run("pause")
    small.save(inbox / "a.png")
    wait_for(lambda: daemon.jobs("state = 'queued'"))
    daemon.stop()
    with contextlib.closing(
        sqlite3.connect(daemon.root / ".stylefolder" / "ledger.sqlite3", isolation_level=None)
    ) as database:
        database.execute("PRAGMA writable_schema = ON")
        (row,) = database.execute("SELECT * FROM sqlite_master WHERE name = 'by_state'").fetchall()
        database.execute("DELETE FROM sqlite_master WHERE name = 'by_state'")
        version = database.execute("PRAGMA schema_version").fetchone()[0]
        database.execute(f"PRAGMA schema_version = {version + 1}")
    with contextlib.closing(
        sqlite3.connect(daemon.root / ".stylefolder" / "ledger.sqlite3", isolation_level=None)
    ) as database:
        database.execute("UPDATE jobs SET state = 'failed'")
        database.execute("UPDATE jobs SET state = 'queued', id = id + 1000")
        database.execute("DELETE FROM switches")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
        database.execute(f"PRAGMA schema_version = {version + 2}")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert "The Ledger was damaged and was moved to" in daemon.said()
    assert len(list((daemon.root / ".stylefolder").glob("ledger.sqlite3.damaged-*"))) >= 1


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
        wait_for(lambda: "caf\\xe9" in problems(shared))
        assert "caf\\xe9" in [preset["name"] for preset in shared.client.ask("GET", "/v1/presets")["presets"]]
        assert shared.run("status", "--once").returncode == 0
    finally:
        shutil.rmtree(folder)


def test_a_style_picture_beside_the_presets_is_no_preset(shared: Daemon, cat: Image.Image) -> None:
    picture = shared.root / "presets" / "style.jpg"
    picture.parent.mkdir(exist_ok=True)
    cat.save(picture)
    time.sleep(2)
    assert str(picture) not in problems(shared)
    assert "presets" not in [preset["name"] for preset in shared.client.ask("GET", "/v1/presets")["presets"]]
    picture.unlink()
