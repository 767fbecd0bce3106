"""`stylefolder sheet`: a contact sheet, and a page tried in a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.commands.sheet import EDGE, STEPS, quick
from stylecore.preset import Painting
from tests.daemon.harness import Daemon
from tests.harness import shipped

CHROMIUM = os.environ.get("STYLEFOLDER_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def two(daemon: Daemon, fast: str, cat: Image.Image) -> tuple[Daemon, Path, str]:
    """A photo and two quick presets."""
    files = []
    for name, style in (("one", "oil"), ("two", "gouache")):
        files.append(daemon.home / f"{name}.yaml")
        files[-1].write_text(fast.replace("steps: 1", "steps: 3").replace("oil.jpg", f"{style}.jpg"))
    cat.save(daemon.home / "my <cat>.jpg")
    return daemon, daemon.home / "my <cat>.jpg", ",".join(map(str, files))


@pytest.mark.slow
def test_a_contact_sheet(two: tuple[Daemon, Path, str], cat: Image.Image) -> None:
    daemon, photo, presets = two
    done = daemon.run("sheet", photo, "--presets", presets)
    assert done.returncode == 0, done.stderr
    assert "one" in done.stdout and "done in" in done.stdout
    with Image.open(daemon.home / "my <cat>-sheet.jpg") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    height = round(EDGE * cat.height / cat.width)
    columns = (pixels.shape[1] - 12) // (EDGE + 12)
    assert -(-3 // columns) == (pixels.shape[0] - 12) // (height + 30), "the photo and two paintings"
    places = [(12 + i // columns * (height + 30), 12 + i % columns * (EDGE + 12)) for i in range(3)]
    pictures = [pixels[y : y + height, x : x + EDGE] for y, x in places]
    assert all(np.abs(a - b).mean() > 5 for a, b in ((pictures[0], pictures[1]), (pictures[1], pictures[2])))
    labels = [pixels[y + height : y + height + 30, x : x + EDGE] for y, x in places]
    assert all(label.min() < 120 for label in labels), "names beneath"


def test_a_preset_of_many_steps_takes_fewer() -> None:
    """`classic` has 150, and took half of the sheet's time."""
    classic, oil = quick(shipped("classic")), quick(shipped("oil"))
    assert isinstance(classic, Painting) and isinstance(oil, Painting)
    assert (classic.size, classic.steps) == (EDGE, (STEPS,))
    assert (oil.size, oil.steps) == (EDGE, shipped("oil").steps)


def test_wrong_wishes(two: tuple[Daemon, Path, str]) -> None:
    daemon, photo, _ = two
    for given, says in (
        (["--presets", "oli"], "There is no preset 'oli': did you mean 'oil'?"),
        (["-o", photo], f"{photo} is the photo itself, which is never changed: give another name with -o."),
        (
            ["-o", "sheet.doc"],
            "sheet.doc: a sheet is a picture (.jpg, .jpeg, .png, .webp) or a page (.html): use one of these.",
        ),
    ):
        done = daemon.run("sheet", photo, *given)
        assert (done.returncode, done.stderr) == (2, f"stylefolder: {says}\n")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (set STYLEFOLDER_CHROMIUM)")
def test_the_page_in_chromium(two: tuple[Daemon, Path, str], tmp_path: Path) -> None:
    """Dragging to the right shows the photo; dragging to the left shows the painting."""
    from playwright.sync_api import sync_playwright

    daemon, photo, presets = two
    done = daemon.run("sheet", photo, "--presets", presets, "-o", daemon.home / "sheet.html")
    assert done.returncode == 0, done.stderr
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 800, "height": 600})
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: wrong.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
        )
        page.goto((daemon.home / "sheet.html").as_uri())
        assert page.title() == "my <cat>.jpg: Stylefolder"
        assert page.locator("figcaption").all_inner_texts() == ["one", "two"]
        pair = page.locator(".pair").first
        box = pair.bounding_box()
        assert box is not None

        def dragged_to(share: float) -> np.ndarray:
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=5)
            page.mouse.up()
            pair.screenshot(path=tmp_path / "shot.png")
            with Image.open(tmp_path / "shot.png") as image:
                shot = np.asarray(image.convert("RGB").resize((320, 213))).astype(int)
            return shot[20:-20, 20:-20]

        painting, shown = dragged_to(0.01), dragged_to(0.99)
        half = dragged_to(0.5)
        browser.close()
    with Image.open(photo) as image:
        wanted = np.asarray(image.convert("RGB").resize((320, 213))).astype(int)[20:-20, 20:-20]
    assert np.abs(shown - wanted).mean() < 8
    assert np.abs(painting - wanted).mean() > 12
    assert np.abs(half[:, :120] - shown[:, :120]).mean() < 1
    assert np.abs(half[:, -120:] - painting[:, -120:]).mean() < 1
    assert wrong == []
