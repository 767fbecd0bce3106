"""Looks as their users meet them: a folder, a series, the command line, tables beside Results, the API."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.api.schema import PresetsOut
from daemon.errors import Refused
from stylecore.lut import Lut, identity
from stylecore.lut_files import cube, hald, read_lut
from tests.daemon.harness import Daemon
from tests.harness import REPOSITORY, difference, wait_for

STYLES = REPOSITORY / "presets" / "styles"
LOOK = f"transfer: look\nstyle: {STYLES / 'overcast.jpg'}\n"


@pytest.fixture
def negative(tmp_path: Path) -> Path:
    """A table, which needs no fit."""
    path = tmp_path / "negative.cube"
    path.write_bytes(cube(Lut(1 - identity()), "negative"))
    return path


def photo_of(picture: Image.Image, path: Path, turned: int = 0) -> Path:
    """Photos of other bytes are other photos."""
    picture.rotate(turned).save(path.with_suffix(".part"), "PNG")
    path.with_suffix(".part").rename(path)
    return path


def result_of(photo: Path) -> Path:
    path = photo.parent / "styled" / photo.name
    wait_for(path.exists, why=f"for {path}")
    return path


def test_a_folder_with_a_picture_named_look(daemon: Daemon, small: Image.Image) -> None:
    inbox = daemon.root / "by the sea"
    inbox.mkdir()
    shutil.copy(STYLES / "overcast.jpg", inbox / "look.jpg")
    daemon.start()
    photo = photo_of(small, inbox / "a.png")
    result = result_of(photo)
    with Image.open(result) as image:
        assert image.size == small.size
        assert 5 < difference(image.convert("RGB"), small) < 100
    steps = [event for event in daemon.events() if event["event"] == "JobStepped"]
    assert steps[-1]["step"] == steps[-1]["steps"] == 25
    assert not (inbox / "styled" / "look.jpg").exists()


def test_a_series_has_one_table(daemon: Daemon, small: Image.Image) -> None:
    """Fitted to the photos that wait when the first is taken, kept over a restart, fitted again after an edit."""
    text = LOOK + "fit: series\noutput: {lut: cube}\n"
    inbox = daemon.preset("wedding", text)
    (inbox / "broken.jpg").write_bytes(b"\xff\xd8\xff" + b"no photo" * 100)
    photos = [photo_of(small, inbox / f"{turned}.png", turned) for turned in (0, 90, 180)]
    daemon.start()
    tables = [result_of(photo).with_name(f"{photo.name}.cube") for photo in photos]
    wait_for(lambda: all(table.exists() for table in tables))
    assert len({table.read_bytes() for table in tables}) == 1
    daemon.kill()

    rows = "SELECT digest, lut FROM series"
    first = daemon._rows(rows)
    assert len(first) == 1
    photos.append(photo_of(small.rotate(45), inbox / "later.png"))
    daemon.start()
    later = result_of(photos[-1]).with_name("later.png.cube")
    wait_for(later.exists)
    assert later.read_bytes() == tables[0].read_bytes()
    assert daemon._rows(rows) == first

    daemon.preset("wedding", text + "skin: 50\n")
    wait_for(lambda: "skin: 50" in daemon.run("presets", "show", daemon.root / "presets" / "wedding.yaml").stdout)
    wait_for(lambda: len(daemon.status()["problems"]) == 0)
    photo_of(small.rotate(30), inbox / "edited.png")
    result_of(inbox / "edited.png")
    wait_for(lambda: len(daemon._rows(rows)) == 2)


def test_a_table_in_place_of_a_picture(daemon: Daemon, small: Image.Image, negative: Path) -> None:
    inbox = daemon.preset("negative", f"transfer: look\nlut: {negative}\noutput: {{lut: hald}}\n")
    others = inbox / "styled" / "a.png.hald.png"
    others.parent.mkdir()
    others.write_bytes(b"mine")
    daemon.start()
    result = result_of(photo_of(small, inbox / "a.png"))
    with Image.open(result) as image:
        assert np.abs(255 - np.asarray(small, int) - np.asarray(image.convert("RGB"), int)).max() <= 1
    beside = wait_for(lambda: [p for p in result.parent.glob("a.png.hald*.png") if p != others])
    assert np.abs(read_lut(beside[0])[0].resampled(33).colours - (1 - identity())).max() < 0.001
    assert others.read_bytes() == b"mine", "a file that is not ours stays"


def test_a_broken_table_is_a_problem_of_its_preset(daemon: Daemon, negative: Path) -> None:
    negative.write_text("LUT_3D_SIZE 2\n0 0 nan\n")
    daemon.preset("broken", f"transfer: look\nlut: {negative}\n")
    daemon.start()
    problems = wait_for(lambda: daemon.status()["problems"])
    assert len(problems) == 1
    assert problems[0].endswith("negative.cube, line 2: '0 0 nan' should be three numbers: the file is damaged.")


def test_the_api_knows_looks(daemon: Daemon, small: Image.Image, negative: Path) -> None:
    daemon.preset("negative", f"transfer: look\nlut: {negative}\n")
    daemon.start()
    presets = PresetsOut.model_validate(daemon.client.ask("GET", "/v1/presets")).presets
    transfers = {preset.name: preset.transfer for preset in presets}
    assert transfers["negative"] == transfers["golden-hour"] == "look"
    assert transfers["oil"] == "painting"
    photo = photo_of(small, daemon.home / "a.png")
    for option in ("size", "steps", "seed"):
        with photo.open("rb") as file, pytest.raises(Refused, match=f"'negative' is a look, which has no {option}"):
            daemon.client.ask("POST", "/v1/jobs", file, preset="negative", **{option: 100})
    with pytest.raises(Refused, match="has a table, and no picture"):
        daemon.client.ask("GET", "/v1/presets/negative/thumbnail")
    done = daemon.run("apply", photo, "--preset", "negative", "--plain")
    assert done.returncode == 0, done.stderr
    with Image.open(daemon.home / "a-negative.png") as image:
        assert np.abs(255 - np.asarray(small, int) - np.asarray(image.convert("RGB"), int)).max() <= 1


def test_a_request_at_strength_0_fits_no_series(daemon: Daemon, small: Image.Image) -> None:
    """It needs no table, so it must not leave one for the others."""
    inbox = daemon.preset("wedding", LOOK + "fit: series\n")
    daemon.start()
    photo = photo_of(small, daemon.home / "a.png")
    with photo.open("rb") as file:
        job = daemon.client.ask("POST", "/v1/jobs", file, preset="wedding", strength=0)
    wait_for(lambda: daemon.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    assert not daemon._rows("SELECT * FROM series")
    with Image.open(result_of(photo_of(small, inbox / "b.png"))) as image:
        assert difference(image.convert("RGB"), small) > 5


def test_photos_of_one_stem_have_a_table_each(daemon: Daemon, small: Image.Image, negative: Path) -> None:
    """And one that was edited is not replaced when its photo is styled again."""
    inbox = daemon.preset("negative", f"transfer: look\nlut: {negative}\noutput: {{lut: cube}}\n")
    styled = inbox / "styled"
    styled.mkdir()
    os.mkfifo(styled / "pipe.png.cube")  # reading it would never end
    daemon.start()
    small.convert("RGB").save(inbox / "x.jpg")
    for name in ("x.png", "pipe.png"):
        photo_of(small, inbox / name)
    tables = [styled / name for name in ("x.jpg.cube", "x.png.cube", "pipe.png-2.cube", "pipe.png.cube-2")]
    wait_for(lambda: [table.exists() for table in tables].count(True) == 3)
    (styled / "x.png.cube").write_text("mine")
    photo_of(small.rotate(90), inbox / "x.png")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 4)
    assert (styled / "x.png.cube").read_text() == "mine"


def test_a_named_photo_of_a_series_is_not_moved(daemon: Daemon, small: Image.Image) -> None:
    """Whatever `originals` says: the preset needs it."""
    daemon.settings("originals: move\n")
    inbox = daemon.root / "wedding"
    inbox.mkdir()
    first = photo_of(small, inbox / "first.png")
    daemon.preset("wedding", LOOK + f"fit: series\nphotos: {first}\n")
    daemon.start()
    result_of(first)
    photo_of(small.rotate(90), inbox / "other.png")
    wait_for((inbox / "originals" / "other.png").exists)
    assert first.exists()
    assert daemon.status()["problems"] == []


def test_a_folder_of_ones_own_wins_over_a_shipped_preset(daemon: Daemon, small: Image.Image) -> None:
    """It may be older than the preset that ships under its name."""
    inbox = daemon.root / "silver"
    inbox.mkdir()
    shutil.copy(STYLES / "overcast.jpg", inbox / "look.jpg")
    daemon.start()
    with Image.open(result_of(photo_of(small, inbox / "a.png"))) as image:
        assert np.ptp(np.asarray(image.convert("RGB"), int), axis=2).max() > 20, "in colour"
    assert not (inbox / "styled" / "look.jpg").exists()


# The command


def test_the_look_of_a_picture(daemon: Daemon, small: Image.Image) -> None:
    photo = photo_of(small, daemon.home / "a.png")
    tables = ["--cube", daemon.home / "a.cube", "--hald", daemon.home / "a-hald.png"]
    done = daemon.run("look", photo, "--like", STYLES / "overcast.jpg", *tables, "--strength", 50, "--plain")
    assert done.returncode == 0, done.stderr
    assert "at the photo's own size" in done.stdout
    with Image.open(daemon.home / "a-look.png") as image:
        found = np.asarray(image.convert("RGB"), int)
    for name in ("a.cube", "a-hald.png"):
        table, _ = read_lut(daemon.home / name)
        expected = table.of(np.asarray(small, np.float32) / np.float32(255)) * 255
        assert np.abs(found - expected).max() <= 1.6, "the strength is in the table"


def test_several_photos_and_a_table(daemon: Daemon, small: Image.Image, negative: Path) -> None:
    photos = [photo_of(small, daemon.home / f"{turned}.png", turned) for turned in (0, 90)]
    out = daemon.home / "out"
    done = daemon.run("look", *photos, "--lut", negative, "-o", out, "--plain")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["0-look.png", "90-look.png"]
    eight = daemon.home / "eight.png"
    Image.fromarray((np.asarray(identity(64)).transpose(2, 1, 0, 3).reshape(512, 512, 3) * 255).astype(np.uint8)).save(
        eight
    )
    done = daemon.run("look", photos[0], "--lut", eight, "--plain")
    assert done.returncode == 0 and "holds 8 bits per channel" in done.stdout + done.stderr


def test_wrong_wishes(daemon: Daemon, small: Image.Image, negative: Path) -> None:
    photo, other = (photo_of(small, daemon.home / name) for name in ("a.png", "b.png"))
    style = STYLES / "overcast.jpg"
    (daemon.home / "flat.png").write_bytes(hald(Lut(identity() * 0)))
    for given, says in (
        ([photo], "Name either a picture with --like or a table with --lut."),
        ([photo, "--like", style, "--lut", negative], "Name either a picture with --like or a table with --lut."),
        ([photo, "--like", daemon.home / "none.jpg"], f"{daemon.home / 'none.jpg'} cannot be read (No such file or"),
        ([photo, other, "--like", style, "--cube", "x.cube"], "Each photo has a table of its own: add --series"),
        ([photo, "--like", style, "--cube", "x.txt"], "x.txt: give this file a name that ends in .cube."),
        ([photo, "--like", style, "--hald", photo], f"{photo} is one of your own pictures or tables"),
        ([photo, "--like", style, "-o", "o.png", "--hald", "o.png"], "o.png is where the Result goes"),
        (
            [photo, "--like", style, "--cube", daemon.home / "none" / "x.cube"],
            f"{daemon.home / 'none' / 'x.cube'} cannot",
        ),
        ([photo, "--lut", negative, "--series"], "--lut is one table for all photos already"),
        ([photo, *["--like", style] * 17], "There are 17 pictures with --like: name 16 at most."),
        ([photo, "--like", daemon.home], f"{daemon.home} is not a file: name a picture or a table."),
        ([photo, "--lut", negative, "--cube", negative], f"{negative} is one of your own pictures or tables"),
    ):
        done = daemon.run("look", *given)
        assert done.returncode == 2
        assert done.stderr.startswith(f"stylefolder: {says}"), done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = daemon.run("look", photo, "--like", daemon.home / "flat.png", "--plain")
    assert done.returncode == 1
    assert "flat.png has only one colour, so there is no look to take from it: choose another." in done.stderr
    done = daemon.run("apply", photo, "--preset", "golden-hour", "--size", 100)
    assert done.returncode == 2
    assert done.stderr == "stylefolder: The preset 'golden-hour' is a look, which has no size: leave it out.\n"
