"""Where Results and originals go: into an Inbox, onto others of the same name, elsewhere in the middle of a Job."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for


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
    wait_for(lambda: f"{path}:2: results: {inbox} is in the watched folder" in daemon.problems())
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert sorted(p.name for p in inbox.iterdir()) == ["a.png", "styled"]
    daemon.settings("results: painted\n")
    wait_for(lambda: daemon.problems() == "")
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "painted" / "b.png"))


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
    assert daemon.begun(inbox / "trip" / "a.png") == 1


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
