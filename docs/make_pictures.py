"""Paints the pictures of README.md and docs/presets.md: `make docs`, or only the keys that you name. Photographs:
scikit-image's (CC0)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon.commands.demo import packaged_photograph
from daemon.commands.sheet import contact_sheet
from stylecore import Photo, Result, load_photo, load_preset, stylize

HERE = Path(__file__).parent
PRESETS = HERE.parent / "presets"
EDGE = 300
KEYS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "style_size": ("oil", [{"style_size": 0.7}, {"style_size": 1.6}, {"style_size": 3.0}]),
    "content_weight": ("night", [{"content_weight": 0.1}, {"content_weight": 0.35}, {"content_weight": 1.5}]),
    "content_layers": (
        "oil",
        [
            {"content_layers": {"relu2_2": 1.0}},
            {"content_layers": {"relu3_1": 1.0}},
            {"content_layers": {"relu4_2": 1.0}},
        ],
    ),
    "statistic": ("gouache", [{"statistic": "gram"}, {"statistic": "covariance"}, {"statistic": "wasserstein"}]),
    "recolour": ("stained-glass", [{"recolour": False}, {"recolour": True}]),
    "colour": ("night", [{"colour": "style"}, {"colour": "photo"}, {"colour": "palette"}]),
    "strength": ("woodblock", [{"strength": 40}, {"strength": 70}, {"strength": 100}]),
    "steps": ("oil", [{"steps": (5, 1, 2)}, {"steps": (16, 4, 6)}, {"steps": (200, 120, 80)}]),
    "tv_weight": ("pointillist", [{"tv_weight": 0.0}, {"tv_weight": 20.0}, {"tv_weight": 100.0}]),
    "seed": ("night", [{"seed": None}, {"seed": 1}, {"seed": 2}]),
}
SHOWN = ("night", "oil", "watercolour", "stained-glass", "woodblock")


def painted(photo: Photo, preset: str, update: dict[str, Any]) -> Image.Image:
    recipe = load_preset(PRESETS / f"{preset}.yaml").model_copy(update=update)
    for event in stylize(photo, recipe):
        if isinstance(event, Result):
            return Image.fromarray(event.pixels)
    raise AssertionError("stylize ended without a Result")


def words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(value)
    return (
        "true" if value is True else "false" if value is False else "none" if value is None else str(value).strip("()")
    )


def main() -> None:
    photo = load_photo(packaged_photograph())
    width, height = photo.size
    small = Photo(photo.path, (photo.resized(EDGE, round(height * EDGE / width)) * 255).round().astype(np.uint8), "png")
    for key in sys.argv[1:] or KEYS:
        preset, updates = KEYS[key]
        pictures = [(f"{preset}, {key}: {words(update[key])}", painted(small, preset, update)) for update in updates]
        contact_sheet(pictures, columns=len(pictures)).save(HERE / f"key-{key}.jpg", quality=88)
        print(key, flush=True)
    if sys.argv[1:]:
        return
    rows = [("the photo", Image.fromarray(photo.pixels)), *((name, painted(photo, name, {})) for name in SHOWN)]
    sheet = contact_sheet(
        [
            (name, picture.resize((400, round(400 * height / width)), Image.Resampling.LANCZOS))
            for name, picture in rows
        ],
        columns=3,
    )
    sheet.save(HERE / "results.jpg", quality=90)


if __name__ == "__main__":
    main()
