"""``python -m tests.bench.finished [pairs sheet full] [PRESET...]``: finished paintings, for the eye and in figures.

pairs: the scores of nine pairs at the size of a photo without settings, against the style picture at the size and
lightness that the painting follows. sheet: five photos under each preset, with the finest octave. full: the same at
100 % of a 12-megapixel Result of `size: full` (minutes for each preset). The pictures are saved in build/finished.

The finest octave is the mean absolute Laplacian of a painting's luma, divided by that of its style picture at its own
size: 1 means that the painting has as much of the finest detail as the style picture has.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import laplace

from stylecore import Result, load_photo, stylize
from stylecore.colour import Floats, darkened, luma
from stylecore.device import Device, choose_device
from stylecore.images.decode import load_style_picture
from stylecore.images.photo import Photo
from stylecore.lightness import gamma_of
from stylecore.preset import Painting
from stylecore.scales import scales_of
from stylecore.targets import to_tensor
from tests.bench.peers import scores
from tests.bench.steps import DATA
from tests.harness import REPOSITORY, shipped

SAVED = REPOSITORY / "build" / "finished"
SHOTS = REPOSITORY / "tests" / "photos"
PAIRED = (DATA / "coffee.png", SHOTS / "landscape.jpg", SHOTS / "portrait-dark.jpg")
PAIRED_STYLES = ("oil", "watercolour", "gouache")
SHEET = tuple(SHOTS / f"{name}.jpg" for name in ("portrait-dark", "landscape", "dune", "indoor", "night"))
PAINTINGS = (
    "charcoal classic gouache night oil pastel pointillist stained-glass watercolour woodblock".split()  # noqa: SIM905
)
TWELVE_MEGAPIXELS = (4000, 3000)


def octave(painting: Floats, preset: Painting) -> float:
    """The finest octave, as above, of a picture (height, width, 3) in 0..1."""
    style = load_photo(preset.style[0].picture)
    return _laplacian(painting) / _laplacian(np.asarray(style.resized(*style.size), np.float32))


def _laplacian(picture: Floats) -> float:
    return float(np.abs(laplace(luma(picture).astype(np.float32))).mean())


def painted(photo: Photo, preset: Painting, device: Device) -> tuple[Floats, Floats, float]:
    """The painting at the size at which it is painted, the Result, and the seconds that it took."""
    begin, preview = time.perf_counter(), np.empty((0, 0, 3), np.float32)
    for event in stylize(photo, preset, device):
        if isinstance(event, Result):
            result: Floats = (event.pixels / np.iinfo(event.pixels.dtype).max).astype(np.float32)
            return preview, result, time.perf_counter() - begin
        if event.step == event.steps:
            preview = event.preview().copy()
    raise AssertionError("stylize ended without a Result")


def style_of(photo: Photo, preset: Painting, long_edge: int) -> Floats:
    """The style picture as a painting of this long edge follows it: at its size, and as dark as the photo asks for."""
    pixels = load_style_picture(preset.style[0].picture, round(long_edge * preset.style_size))
    return darkened(pixels, gamma_of(photo, preset))


def save(picture: Floats, name: str) -> None:
    SAVED.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(SAVED / f"{name}.png")


def pairs(device: Device) -> None:
    print("\n| pair | colour | rel | edges | octave | seconds |\n| --- | --- | --- | --- | --- | --- |")
    rows = []
    for shot in PAIRED:
        for name in PAIRED_STYLES:
            preset, photo = shipped(name), load_photo(shot)
            picture, _, seconds = painted(photo, preset, device)
            height, width = picture.shape[:2]
            tensors = (
                torch.from_numpy(picture).permute(2, 0, 1)[None],
                to_tensor(photo.resized(width, height), torch.device("cpu")),
                to_tensor(style_of(photo, preset, max(width, height)), torch.device("cpu")),
            )
            rows.append((*scores(*tensors, device), octave(picture, preset), seconds))
            print(f"| {shot.stem}, {name} | " + " | ".join(f"{figure:.3g}" for figure in rows[-1]) + " |", flush=True)
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print("| mean | " + " | ".join(f"{figure:.3g}" for figure in means) + " |")


def sheet(names: list[str], device: Device) -> None:
    print("\n| preset | " + " | ".join(shot.stem for shot in SHEET) + " | mean | seconds |\n" + "| --- " * 8 + "|")
    for name in names:
        preset, figures, spent = shipped(name), [], 0.0
        for shot in SHEET:
            picture, _, seconds = painted(load_photo(shot), preset, device)
            save(picture, f"{name}-{shot.stem}")
            figures.append(octave(picture, preset))
            spent += seconds
        figures.append(statistics.mean(figures))
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + f" | {spent:.0f} |", flush=True)


def full(names: list[str], device: Device) -> None:
    """Of the five photos beside each other, repeated until they fill 12 megapixels."""
    print("\n| preset | painted at | finest octave | seconds |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        mosaic(Path(folder) / "mosaic.png")
        photo = load_photo(Path(folder) / "mosaic.png")
    for name in names:
        preset = shipped(name).model_copy(update={"size": "full"})
        width, height = scales_of(photo.size, preset, device)[-1].size
        _, result, seconds = painted(photo, preset, device)
        save(result, f"full-{name}")
        print(f"| {name} | {width} x {height} | {octave(result, preset):.2f} | {seconds:.0f} |", flush=True)


def mosaic(path: Path) -> None:
    whole = Image.new("RGB", TWELVE_MEGAPIXELS)
    left, top, number = 0, 0, 0
    while top < whole.height:
        tile = Image.open(SHEET[number % len(SHEET)]).convert("RGB")
        tile = tile.crop((0, 0, tile.width, 540))
        whole.paste(tile, (left, top))
        left, number = left + tile.width, number + 1
        if left >= whole.width:
            left, top = 0, top + tile.height
    whole.save(path)


def main(arguments: list[str]) -> None:
    device = choose_device()
    parts = [word for word in arguments if word in ("pairs", "sheet", "full")] or ["pairs", "sheet"]
    names = [word for word in arguments if word not in parts] or PAINTINGS
    if "pairs" in parts:
        pairs(device)
    if "sheet" in parts:
        sheet(names, device)
    if "full" in parts:
        full(names, device)


if __name__ == "__main__":
    main(sys.argv[1:])
