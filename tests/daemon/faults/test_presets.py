"""Faults of presets and their style pictures: broken, removed, incomplete, edited while the daemon runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for


def test_a_preset_broken_while_live_keeps_its_last_good_version(
    shared: Daemon, inbox: Path, fast: str, small: Image.Image
) -> None:
    small.save(inbox / "a.png")
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    shared.preset(inbox.name, fast + "strenght: 3\n")
    wait_for(lambda: f"{inbox.name}.yaml:4: strenght: there is no such key" in shared.problems())
    assert "Its last good version stays in effect" in shared.problems()
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    shared.preset(inbox.name, fast)
    wait_for(lambda: inbox.name not in shared.problems())


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


def test_a_style_picture_beside_the_presets_is_no_preset(shared: Daemon, cat: Image.Image) -> None:
    picture = shared.root / "presets" / "style.jpg"
    picture.parent.mkdir(exist_ok=True)
    cat.save(picture)
    time.sleep(2)
    assert str(picture) not in shared.problems()
    assert "presets" not in [preset["name"] for preset in shared.client.ask("GET", "/v1/presets")["presets"]]
    picture.unlink()
