"""Makes the pictures of looks in README.md and docs/looks.md: `make docs`. Photographs: tests/photos/SOURCES.md and
scikit-image's."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon.commands.sheet import contact_sheet
from stylecore import Result, load_photo, load_preset, stylize

HERE = Path(__file__).parent
PRESETS, PHOTOS = HERE.parent / "presets", HERE.parent / "tests" / "photos"
PACKAGED = Path(str(importlib.metadata.distribution("scikit-image").locate_file("skimage/data")))
LOOKS = ("golden-hour", "blue-hour", "faded-film", "teal-and-orange", "silver", "overcast")
KINDS = {
    "pale skin": PACKAGED / "astronaut.png",
    "dark skin": PHOTOS / "portrait-dark.jpg",
    "landscape": PHOTOS / "landscape.jpg",
    "night": PHOTOS / "night.jpg",
    "indoor": PHOTOS / "indoor.jpg",
    "high key": PHOTOS / "high-key.jpg",
}
CELL = (300, 200)


def in_look(photo: Path, look: str) -> Image.Image:
    for event in stylize(load_photo(photo), load_preset(PRESETS / f"{look}.yaml")):
        if isinstance(event, Result):
            return Image.fromarray(event.pixels)
    raise AssertionError("stylize ended without a Result")


def cell(image: Image.Image, size: tuple[int, int] = CELL) -> Image.Image:
    """The middle of a picture, at this size."""
    share = max(size[0] / image.width, size[1] / image.height)
    whole = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)
    x, y = (whole.width - size[0]) // 2, (whole.height - size[1]) // 3
    return whole.crop((x, y, x + size[0], y + size[1]))


def main() -> None:
    pictures = []
    for kind, photo in KINDS.items():
        pictures.append((kind, cell(Image.open(photo).convert("RGB"))))
        pictures += [(look, cell(in_look(photo, look))) for look in LOOKS]
    contact_sheet(pictures, columns=1 + len(LOOKS)).save(HERE / "looks.jpg", quality=88)

    wide = (420, 240)
    style = Image.open(PRESETS / "styles" / "golden-hour.jpg")
    rows = [
        ("the photo", cell(Image.open(PHOTOS / "landscape.jpg"), wide)),
        ("the picture whose look it gets", cell(style, wide)),
        ("the Result", cell(in_look(PHOTOS / "landscape.jpg", "golden-hour"), wide)),
    ]
    contact_sheet(rows, columns=3).save(HERE / "look.jpg", quality=90)


if __name__ == "__main__":
    main()
