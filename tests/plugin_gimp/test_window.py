"""GIMP with its window, on a virtual screen: open, capture (`build/gimp-*.png`), confirm and cancel the dialog."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.harness import HANG, REPOSITORY, wait_for
from tests.plugin_gimp.harness import HERE, Gimp

SCREEN = "1400x900x24"
GIMPRC = """\
(show-welcome-dialog no)
(check-updates no)
(color-profile-policy keep)
(metadata-rotation-policy keep)
(single-window-mode yes)
"""
CALL = """
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({photo!r}))
display = Gimp.Display.new(image)
config = PROCEDURE.create_config()
config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
config.set_property("image", image)
config.set_core_object_array("drawables", image.get_layers())
config.set_property("preset", {preset!r})
OUTCOME["status"] = PROCEDURE.run(config).index(0).value_nick
OUTCOME["layers"] = [describe(layer) for layer in image.get_layers()]
tell()
import time
time.sleep({stay})
"""


@dataclass
class Screen:
    gimp: Gimp
    launcher: list[str]
    display: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.gimp.environment,
            "DISPLAY": self.display,
            "OUTCOME": str(self.gimp.directory / "outcome.json"),
            "NO_AT_BRIDGE": "1",
        }

    def call(self, photo: Path, preset: str, stay: float = 0) -> subprocess.Popen[bytes]:
        (self.gimp.directory / "outcome.json").unlink(missing_ok=True)
        (self.gimp.directory / "gimprc").write_text(GIMPRC)
        script = self.gimp.directory / "window.py"
        script.write_text((HERE / "inside.py").read_text() + CALL.format(photo=str(photo), preset=preset, stay=stay))
        program = self.gimp.command[-1].replace("-console", "")
        command = [
            *self.launcher,
            program,
            "-n",
            "-s",
            "--quit",
            "--batch-interpreter",
            "python-fu-eval",
            "-b",
            f"exec(open({str(script)!r}).read())",
        ]
        with (self.folder / "said").open("wb") as said:
            self.process = subprocess.Popen(command, env=self.environment, stdout=said, stderr=said)
        return self.process

    def xdotool(self, *words: str) -> str:
        return subprocess.run(
            [*self.launcher, "xdotool", *words], env=self.environment, capture_output=True, text=True
        ).stdout.strip()

    def dialog(self) -> str:
        """Its window, once it is drawn."""
        try:
            window = wait_for(
                lambda: self.xdotool("search", "--onlyvisible", "--name", "^Style Transfer"), 180, "for the dialog"
            ).splitlines()[0]
        except AssertionError as e:
            self.keep_picture(REPOSITORY / "build" / "gimp-no-dialog.png")
            raise AssertionError(f"{e}; GIMP said: {(self.folder / 'said').read_text()}") from e
        time.sleep(1.5)
        self.xdotool("windowfocus", "--sync", window)
        return str(window)

    def keep_picture(self, path: Path) -> Image.Image:
        """Of the whole screen: Xvfb's frame buffer is an XWD file of 32 bits a pixel."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        words = struct.unpack(">25I", data[:100])
        header, width, height, row, colours = words[0], words[4], words[5], words[12], words[19]
        start = header + colours * 12
        image = Image.frombuffer("RGB", (width, height), data[start : start + row * height], "raw", "BGRX", row, 1)
        path.parent.mkdir(exist_ok=True)
        image.save(path)
        return image


@contextlib.contextmanager
def a_screen(gimp: Gimp, folder: Path) -> Iterator[Screen]:
    """A separate X server while the context lasts, with GIMP on it."""
    launcher = gimp.command[:-1]
    number = f":{20 + os.getpid() % 1000}"
    xvfb = subprocess.Popen(
        [*launcher, "Xvfb", number, "-screen", "0", SCREEN, "-fbdir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for((Path("/tmp/.X11-unix") / f"X{number[1:]}").exists)
    made = Screen(gimp, launcher, number, folder)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.terminate()
    xvfb.terminate()
    xvfb.wait(HANG)


@pytest.fixture
def screen(gimp: Gimp, tmp_path: Path) -> Iterator[Screen]:
    if len(gimp.command) == 1 and not all(map(shutil.which, ("Xvfb", "xdotool"))):
        pytest.skip("Xvfb or xdotool is not installed")
    with a_screen(gimp, tmp_path) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("key", ["Return", "Escape"])
def test_the_dialog(screen: Screen, photographs: Path, key: str) -> None:
    shutil.copy(photographs / "chelsea.png", screen.folder)
    process = screen.call(screen.folder / "chelsea.png", "one")
    screen.dialog()
    picture = screen.keep_picture(REPOSITORY / "build" / "gimp-dialog.png")
    assert len(picture.resize((200, 130)).getcolors(30_000) or []) > 500, (
        "something is drawn, including the style's picture"
    )
    screen.xdotool("key", key)
    wait_for((screen.gimp.directory / "outcome.json").exists)
    outcome = json.loads((screen.gimp.directory / "outcome.json").read_text())
    assert process.wait(HANG) == 0
    names = [layer["name"] for layer in outcome["layers"]]
    if key == "Return":
        assert (outcome["status"], names) == ("success", ["Background (one)", "Background"])
    else:
        assert (outcome["status"], names) == ("cancel", ["Background"])
