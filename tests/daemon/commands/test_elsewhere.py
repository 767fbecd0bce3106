"""`stylefolder apply` and `sheet` through another machine's daemon."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.daemon.harness import Daemon, is_picture


def test_apply_uses_the_other_machine(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """With a preset of this machine's, in the format that the file's name asks for. When the other one is away, it says
    so, and with --or-here, this machine does it."""
    file, photo = laptop.home / "mine.yaml", laptop.home / "photo.png"
    file.write_text(fast)
    texts = PngInfo()
    texts.add_text("Mood", "calm")
    cat.crop((0, 0, 96, 64)).save(photo, pnginfo=texts)
    done = laptop.run("apply", photo, "--preset", file, "-o", laptop.home / "a.jpg", "--json")
    assert done.returncode == 0, done.stderr
    assert is_picture(laptop.home / "a.jpg")
    assert [row["source"] for row in daemon.jobs()] == ["upload"]
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "JobDone"
    assert event["notes"] == ["jpeg cannot hold PNG's texts, so these were left out: Mood."]
    daemon.stop()
    done = laptop.run("apply", photo, "--preset", file, "-o", laptop.home / "b.png")
    assert done.returncode == 3
    assert "does not answer: check that it runs and that the network is up" in done.stderr
    done = laptop.run("apply", photo, "--preset", file, "-o", laptop.home / "b.png", "--or-here", "--plain")
    assert done.returncode == 0, done.stderr
    assert "Continuing here." in done.stderr
    assert is_picture(laptop.home / "b.png")


@pytest.mark.slow
def test_a_sheet_by_the_other_machine(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    for name in ("one", "two"):
        (laptop.home / f"{name}.yaml").write_text(fast)
    cat.save(laptop.home / "photo.jpg")
    names = ",".join(str(laptop.home / f"{name}.yaml") for name in ("one", "two"))
    done = laptop.run("sheet", laptop.home / "photo.jpg", "--presets", names)
    assert done.returncode == 0, done.stderr
    with Image.open(laptop.home / "photo-sheet.jpg") as sheet:
        assert sheet.width > 600, "the photo and two paintings"
    assert [row["source"] for row in daemon.jobs()] == ["upload", "upload"]


@pytest.mark.slow
def test_a_sheet_with_a_preset_that_does_not_travel(
    laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image
) -> None:
    """It is left out, and with --or-here, this machine paints it."""
    from safetensors.torch import save_file

    from stylecore.weights import load_weights

    state = {f"features.{name}": weights.contiguous() for name, weights in load_weights("oxford").state.items()}
    save_file(state, laptop.home / "own.safetensors")
    (laptop.home / "own.yaml").write_text(fast + "weights: own.safetensors\n")
    (laptop.home / "one.yaml").write_text(fast)
    cat.save(laptop.home / "photo.jpg")
    both = f"{laptop.home / 'own.yaml'},{laptop.home / 'one.yaml'}"
    command = ("sheet", laptop.home / "photo.jpg", "--presets", both, "-o", laptop.home / "sheet.png")
    done = laptop.run(*command)
    assert done.returncode == 1, done.stderr
    assert "'own' has weights of its own" in done.stdout + done.stderr
    with Image.open(laptop.home / "sheet.png") as sheet:
        one = sheet.size
    done = laptop.run(*command, "--or-here")
    assert done.returncode == 0, done.stderr
    assert len(daemon.jobs()) == 2, "the box paints what it can"
    with Image.open(laptop.home / "sheet.png") as sheet:
        assert sheet.size > one
