"""The documents' pictures of GIMP: `python -m tests.plugin_gimp.screenshots PHOTO [PRESET NAME]`, with
STYLEFOLDER_GIMP. They are `docs/NAME-dialog.png` and `docs/NAME-result.png`."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.harness import REPOSITORY, wait_for
from tests.plugin_gimp.harness import make
from tests.plugin_gimp.test_window import Screen, a_screen


def arrange(screen: Screen) -> None:
    """There is no window manager: the image window fills the screen."""
    for window in screen.xdotool("search", "--onlyvisible", "--name", "GIMP$").splitlines():
        screen.xdotool("windowmove", window, "0", "0")
        screen.xdotool("windowsize", "--sync", window, "1400", "900")


def main(photo: Path, preset: str = "watercolour", name: str = "gimp") -> None:
    with tempfile.TemporaryDirectory() as temporary:
        gimp = make(Path(temporary) / "gimp")
        gimp.daemon.extra = {"GIMP3_DIRECTORY": str(gimp.directory)}
        gimp.daemon.start()
        shots = Path(temporary) / "screen"
        shots.mkdir()
        with Image.open(photo) as image:
            image.thumbnail((720, 720))
            image.convert("RGB").save(shots / "photo.jpg", quality=95)
        with a_screen(gimp, shots) as screen:
            screen.call(shots / "photo.jpg", preset, stay=12)
            dialog = screen.dialog()
            arrange(screen)
            screen.xdotool("windowmove", "--sync", dialog, "420", "160")
            screen.xdotool("mousemove", "1200", "800")
            time.sleep(2)
            screen.keep_picture(REPOSITORY / "docs" / f"{name}-dialog.png")
            screen.xdotool("windowfocus", "--sync", dialog)
            screen.xdotool("key", "Return")
            time.sleep(12)
            screen.keep_picture(REPOSITORY / "build" / "gimp-progress.png")
            wait_for((gimp.directory / "outcome.json").exists, 180)
            time.sleep(4)
            screen.keep_picture(REPOSITORY / "docs" / f"{name}-result.png")
        gimp.daemon.stop()
        shutil.rmtree(gimp.directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
