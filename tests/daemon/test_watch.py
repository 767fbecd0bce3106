"""`stylefolder watch` as its users run it: as a process, over real folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from daemon.folders.layout import Layout
from daemon.folders.watcher import Pending
from daemon.ledger.signature import Signature
from daemon.lifetime import Systemd
from daemon.lock import only_one
from daemon.loop import MainLoop
from daemon.settings import LiveSettings
from daemon.start import create_root
from tests.daemon.harness import STYLEFOLDER, run
from tests.harness import HANG, REPOSITORY, wait_for


def left_over(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


def test_once_over_good_and_bad_files(root: Path, home: dict[str, str], small: Image.Image) -> None:
    inbox = root / "quick"
    small.save(inbox / "good.jpg")
    small.save(inbox / "again.png")
    (inbox / "trip").mkdir()
    small.save(inbox / "trip" / "deeper.webp")
    small.save(inbox / os.fsdecode(b"caf\xe9.png"))
    (inbox / "words.jpg").write_text("these are words")
    (inbox / "empty.png").touch()
    (inbox / os.fsdecode(b"bad \xff.jpg")).write_text("these are words")
    (root / os.fsdecode(b"\xff folder")).mkdir()
    small.save(root / os.fsdecode(b"\xff folder") / "a.png")
    (inbox / "cut.jpg").write_bytes((inbox / "good.jpg").read_bytes()[:900])
    (inbox / ".DS_Store").write_text("no photo")
    (root / "qiuck").mkdir()
    small.save(root / "qiuck" / "lost.png")
    (root / "presets" / "gone.yaml").write_text("style: gone.jpg\n")
    (root / "gone").mkdir()
    small.save(root / "gone" / "styleless.png")
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}

    done = run(home, "watch", root, "--once", "--plain")

    assert done.returncode == 1, done.stderr
    styled = inbox / "styled"
    for name in ("good.jpg", "again.png", "trip/deeper.webp", os.fsdecode(b"caf\xe9.png")):
        with Image.open(styled / name) as result:
            assert result.size == small.size
    reasons = {p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("failed/**/*.txt")}
    assert set(reasons) == {
        os.fsdecode(b"quick/failed/bad \xff.jpg.txt"), os.fsdecode(b"\xff folder/failed/a.png.txt"),
        "quick/failed/words.jpg.txt", "quick/failed/empty.png.txt", "quick/failed/cut.jpg.txt",
        "qiuck/failed/lost.png.txt", "gone/failed/styleless.png.txt",
    }  # fmt: skip
    assert "not a picture" in reasons["quick/failed/words.jpg.txt"]
    assert "is empty" in reasons["quick/failed/empty.png.txt"]
    assert "cut off" in reasons["quick/failed/cut.jpg.txt"]
    assert "did you mean 'quick'" in reasons["qiuck/failed/lost.png.txt"]
    assert "gone.yaml:1: style: the picture" in reasons["gone/failed/styleless.png.txt"]
    for text in reasons.values():
        assert text.count("\n") == 1, "one line"
    for name in ("words.jpg", "empty.png", "cut.jpg", "lost.png", "styleless.png"):
        assert f"{name}: failed." in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("Painting on ") == 1, "the chosen device is named once"
    assert {p: p.read_bytes() for p in before} == before, "photos are never changed"
    assert left_over(root) == []

    again = run(home, "watch", root, "--once", "--plain")
    assert again.returncode == 0
    assert "started with" not in again.stdout, "nothing is computed twice"


@pytest.mark.slow
def test_a_folder_with_a_style_picture_is_a_preset(
    root: Path, home: dict[str, str], small: Image.Image, tmp_path: Path
) -> None:
    """With the defaults; the picture itself is not taken for a photo."""
    mine = root / "Grandma's garden"
    mine.mkdir()
    shutil.copyfile(REPOSITORY / "presets" / "styles" / "gouache.jpg", mine / "style.JPG")
    small.resize((40, 32)).save(mine / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert [p.name for p in (mine / "styled").iterdir()] == ["a.png"]
    assert not (mine / "failed").exists()


@pytest.mark.slow
def test_what_a_kill_in_mid_write_left_is_cleared(root: Path, home: dict[str, str], small: Image.Image) -> None:
    part = root / "quick" / "styled" / "trip" / ".stylefolder-abc.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half a picture")
    small.save(root / "quick" / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert left_over(root) == []


@pytest.mark.slow
def test_no_such_device_is_said_and_tried_again_when_there_is_one(
    root: Path, home: dict[str, str], small: Image.Image
) -> None:
    small.save(root / "quick" / "a.png")
    done = run(home, "watch", root, "--once", "--device", "cuda:99")
    assert done.returncode == 1
    assert (
        "There is no device 'cuda:99' here. Use one of: auto," in (root / "quick" / "failed" / "a.png.txt").read_text()
    )
    assert run(home, "watch", root, "--once").returncode == 0
    assert (root / "quick" / "styled" / "a.png").exists()


def test_odd_things_in_the_root_do_not_stop_it(root: Path, home: dict[str, str], small: Image.Image) -> None:
    (root / "oil").write_text("a file with an Inbox's name")
    (root / "presets" / "zero.yaml").write_text('style: "a\\0b"\n')
    (root / "presets" / "nobody.yaml").write_text("style: ~no-such-user/x.jpg\n")
    (root / "presets" / "endless.yaml").write_text("style: /dev/zero\n")
    (root / "quick" / "loop").symlink_to(root / "quick")
    os.mkfifo(root / "quick" / "pipe.jpg")
    small.save(root / "quick" / "a.png")
    done = run(home, "watch", root, "--once", "--plain")
    assert done.returncode == 1, done.stderr
    assert (root / "quick" / "styled" / "a.png").exists()
    assert "symbolic link" in (root / "quick" / "failed" / "loop.txt").read_text()
    assert "a FIFO" in (root / "quick" / "failed" / "pipe.jpg.txt").read_text()
    assert "The Inbox" in done.stderr
    for name in ("zero", "nobody", "endless"):
        assert f"Preset {name} is broken: {root}/presets/{name}.yaml:1: style: the picture" in done.stderr


@pytest.mark.slow
def test_a_fixed_preset_takes_up_its_photos(
    root: Path, home: dict[str, str], small: Image.Image, quick_yaml: str
) -> None:
    (root / "later").mkdir()
    small.save(root / "later" / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 1
    assert (root / "later" / "failed" / "a.png.txt").exists()
    (root / "presets" / "later.yaml").write_text(quick_yaml)
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert (root / "later" / "styled" / "a.png").exists()
    assert not (root / "later" / "failed").exists(), "the reason is gone with the failure"


def test_a_photo_dropped_while_watching_and_ctrl_c(root: Path, home: dict[str, str], small: Image.Image) -> None:
    daemon = subprocess.Popen([*STYLEFOLDER, "watch", str(root), "--json"], env=home, stdout=subprocess.PIPE, text=True)
    try:
        wait_for((root / "oil").is_dir)  # the shipped presets have Inboxes now
        second = run(home, "watch", root, "--once")
        assert second.returncode == 2
        assert f"process {daemon.pid}" in second.stderr
        small.save(root / "quick" / "a.png")
        wait_for((root / "quick" / "styled" / "a.png").exists)
        small.rotate(180).save(root / "quick" / "a.png")  # replaced: a new photo under the old name
        first = (root / "quick" / "styled" / "a.png").read_bytes()
        wait_for(lambda: (root / "quick" / "styled" / "a.png").read_bytes() != first)
    finally:
        daemon.send_signal(signal.SIGINT)
        output, _ = daemon.communicate(timeout=HANG)
    assert daemon.returncode == 0
    events = [json.loads(line) for line in output.splitlines()]
    assert [e["event"] for e in events].count("JobDone") == 2
    assert any(e["event"] == "JobStepped" and e["loss"] > 0 for e in events)


def test_the_snapshot_changes_only_when_the_loop_publishes_one(tmp_path: Path) -> None:
    """So the API reads no list that the watcher is changing."""
    layout = Layout(tmp_path)
    create_root(layout, lambda _: None)
    settings = LiveSettings(tmp_path / "settings.yaml", tmp_path)
    with (
        only_one(tmp_path, layout.lock_file, shared=False, say=print) as lock,
        MainLoop(layout, "cpu", lambda _: None, settings, Systemd(), lock, damaged=False) as loop,
    ):
        before = loop.snapshot
        loop.watcher.pending["/oil/a.jpg"] = Pending(Signature(1, 1, 1, 1), 0.0, "the copy to finish")
        assert loop.snapshot is before
        assert (before.pending_count, before.pending) == (0, ())
        loop._publish()
        assert (loop.snapshot.pending_count, len(loop.snapshot.pending)) == (1, 1)
        loop.watcher.pending.clear()
        assert loop.snapshot.pending_count == 1
