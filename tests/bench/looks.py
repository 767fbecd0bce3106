"""``python -m tests.bench.looks``: our Look beside the classical colour transfers, on pairs of photographs; how long a
Look takes at 24 megapixels; and what other programs make of its files.

MKL is optimal transport between Gaussians (Pitie & Kokaram 2007); IDT iterates over rotated axes, per pixel (Pitie,
Kokaram & Dahyot 2007); color-matcher is the PyPI package with its own defaults (Hahne & Aggoun 2021); `grading` is the
table that paintings start from.
"""

from __future__ import annotations

import importlib.metadata
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from daemon.commands.sheet import contact_sheet
from stylecore import Result, load_photo
from stylecore.colour import Floats, grading, palette_of, sample, transport
from stylecore.device import Device, choose_device
from stylecore.look import PIXELS, fit, look, small
from stylecore.lut import Lut, apply, identity
from stylecore.network import load_network
from stylecore.objective import Objective, layers_of
from stylecore.preset import Look
from stylecore.preset_file import load_preset, look_like
from stylecore.targets import style_targets, to_tensor
from tests.bench import look_scores as score
from tests.harness import REPOSITORY
from tests.other_programs import READERS, available

SIZE = 640  # pixels, at which pairs are judged
JUDGED = 256  # pixels, at which the style loss is taken
PACKAGED = Path(str(importlib.metadata.distribution("scikit-image").locate_file("skimage/data")))
PHOTOS, PRESETS, STYLES = (REPOSITORY / name for name in ("tests/photos", "presets", "presets/styles"))
TUNED = [
    (photo, style)
    for photo in ("astronaut.png", "coffee.png", "landscape.jpg", "night.jpg")
    for style in ("teal-and-orange.jpg", "overcast.jpg", "blue-hour.jpg")
]
HELD_OUT = [
    (photo, style)
    for photo in ("portrait-dark.jpg", "chelsea.png", "high-key.jpg", "rocket.jpg")
    for style in ("backlit.jpg", "faded-film.jpg", "dune.jpg")
]
FIGURES = ("palette", "ssim", "reversed %", "steepness", "noise", "clipped %", "style loss", "skin hue", "banding")
MEGAPIXELS = (6000, 4000)

Method = Callable[[Floats, Floats, Look, Device], tuple[Floats, Lut | None]]


def mkl(photo: Floats, style: Floats, preset: Look, device: Device) -> tuple[Floats, Lut | None]:
    matrix, offset = transport(palette_of([photo], [1]), palette_of([style], [1]))
    lut = Lut((identity() @ matrix.T + offset).clip(0, 1).astype(np.float32))
    return (photo @ matrix.T + offset).clip(0, 1).astype(np.float32), lut


def idt(photo: Floats, style: Floats, preset: Look, device: Device) -> tuple[Floats, Lut | None]:
    chance, ranks = np.random.default_rng(0), np.linspace(0, 1, 1000)
    moving, goal = photo.reshape(-1, 3).astype(np.float64), style.reshape(-1, 3).astype(np.float64)
    for _ in range(20):
        rotation, _ = np.linalg.qr(chance.normal(size=(3, 3)))
        turned, wanted = moving @ rotation, goal @ rotation
        for k in range(3):
            turned[:, k] = np.interp(turned[:, k], np.quantile(turned[:, k], ranks), np.quantile(wanted[:, k], ranks))
        moving = turned @ rotation.T
    return moving.reshape(photo.shape).clip(0, 1).astype(np.float32), None


def color_matcher(photo: Floats, style: Floats, preset: Look, device: Device) -> tuple[Floats, Lut | None]:
    from color_matcher import ColorMatcher

    found = ColorMatcher(src=photo * 255, ref=style * 255).main()
    return np.asarray(found / 255).clip(0, 1).astype(np.float32), None


def our_grading(photo: Floats, style: Floats, preset: Look, device: Device) -> tuple[Floats, Lut | None]:
    lut = Lut(grading(sample(photo, 30_000), sample(style, 30_000)))
    return lut.of(photo), lut


def ours(photo: Floats, style: Floats, preset: Look, device: Device) -> tuple[Floats, Lut | None]:
    share = (PIXELS / photo[..., 0].size) ** 0.5
    size = (round(photo.shape[1] * share), round(photo.shape[0] * share))
    lut = fitted(_resized(photo, size), preset, device)
    return lut.of(photo), lut


METHODS: dict[str, Method] = {
    "MKL": mkl,
    "IDT": idt,
    "color-matcher": color_matcher,
    "grading": our_grading,
    "look": ours,
}


def fitted(picture: Floats, preset: Look, device: Device) -> Lut:
    fitting = fit([picture], preset, device)
    while True:
        try:
            next(fitting)
        except StopIteration as end:
            found: Lut = end.value
            return found


def compare(device: Device, folder: Path, methods: list[str]) -> None:
    """Print a table, and save each pair's pictures side by side."""
    rows: dict[tuple[str, str], list[list[float]]] = {}
    pictures: list[tuple[str, Image.Image]] = []
    for kind, pairs in (("tuned", TUNED), ("held out", HELD_OUT)):
        for names in pairs:
            paths = [next(f / name for f in (PHOTOS, STYLES, PACKAGED) if (f / name).exists()) for name in names]
            photo, style = (_loaded(path) for path in paths)
            preset = look_like([paths[1]], None, strength=100, series=False)
            pictures += [(names[0], _image(photo)), (names[1], _image(style))]
            for method in methods:
                begin = time.perf_counter()
                result, lut = METHODS[method](photo, style, preset, device)
                seconds = time.perf_counter() - begin
                figures = _figures(photo, style, result, lut, preset, device)
                rows.setdefault((kind, method), []).append([*figures, seconds])
                pictures.append((method, _image(result)))
                print(kind, *names, method, [round(figure, 3) for figure in rows[kind, method][-1]], flush=True)
    print(f"\n| pairs | method | {' | '.join(FIGURES)} | seconds |\n|{' --- |' * (len(FIGURES) + 3)}")
    for (kind, method), found in rows.items():
        columns = list(zip(*found, strict=True))
        cells = [
            f"{statistics.mean(c):.2f} ({min(c) if name == 'ssim' else max(c):.2f})"
            for name, c in zip((*FIGURES, "seconds"), columns, strict=True)
        ]
        print(f"| {kind}, {len(found)} | {method} | {' | '.join(cells)} |")
    folder.mkdir(exist_ok=True)
    widest = [(name, _padded(image)) for name, image in pictures]
    contact_sheet(widest, columns=2 + len(methods)).save(folder / "looks.png")


def _figures(
    photo: Floats, style: Floats, result: Floats, lut: Lut | None, preset: Look, device: Device
) -> list[float]:
    size = [max(32, round(edge * JUDGED / max(result.shape))) for edge in result.shape[1::-1]]
    picture = to_tensor(_resized(result, (size[0], size[1])), device.torch)
    network = load_network("oxford", device)
    target = style_targets(network, preset.style, preset.digest, JUDGED, layers_of(preset))
    losses, _ = Objective(network, preset, picture, target)(picture)
    return [
        score.palette_distance(result, style),
        score.similarity(photo, result),
        score.reversed_edges(photo, result),
        score.steepness(lut.colours, photo) if lut is not None else float("nan"),
        score.noise_gain(photo, result),
        score.newly_clipped(photo, result),
        losses.style,
        score.skin(lut.of)[0] if lut is not None else float("nan"),
        max(score.banding(lut.of).values()) if lut is not None else float("nan"),
    ]


def _loaded(path: Path) -> Floats:
    photo = load_photo(path)
    share = min(1.0, SIZE / max(photo.size))
    return photo.resized(round(photo.size[0] * share), round(photo.size[1] * share))


def _resized(picture: Floats, size: tuple[int, int]) -> Floats:
    channels = [
        Image.fromarray(np.ascontiguousarray(picture[..., i])).resize(size, Image.Resampling.LANCZOS) for i in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], -1).clip(0, 1)


def _image(picture: Floats) -> Image.Image:
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    image.thumbnail((320, 320))
    return image


def _padded(image: Image.Image) -> Image.Image:
    out = Image.new("RGB", (320, 320), "white")
    out.paste(image, ((320 - image.width) // 2, (320 - image.height) // 2))
    return out


def timing(device: Device) -> None:
    """24 megapixels: the fit, the table applied to 8 and 16 bits, and a whole Job from JPEG to JPEG in a new process's
    memory."""
    from stylecore import save_result

    with tempfile.TemporaryDirectory() as temporary:
        shot = Path(temporary) / "shot.jpg"
        with Image.open(PHOTOS / "landscape.jpg") as image:
            image.resize(MEGAPIXELS, Image.Resampling.BICUBIC).save(shot, quality=92)
        preset = look_like([STYLES / "golden-hour.jpg"], None, strength=100, series=False)
        load_network("oxford", device)
        photo = load_photo(shot)
        begin = time.perf_counter()
        lut = fitted(small(photo), preset, device)
        print(f"fit {time.perf_counter() - begin:.2f} s")
        for pixels in (photo.pixels, photo.pixels.astype(np.uint16) * 257):
            begin = time.perf_counter()
            apply(lut, pixels)
            print(f"apply, {pixels.dtype}: {time.perf_counter() - begin:.2f} s")
        del photo, pixels
        begin = time.perf_counter()
        for event in look(load_photo(shot), preset, device):
            if isinstance(event, Result):
                save_result(event, Path(temporary) / "out.jpg", preset.output)
        print(f"whole Job, JPEG to JPEG: {time.perf_counter() - begin:.2f} s")
        print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


def programs(device: Device) -> None:
    """The largest difference between our Result and that of each program which reads our files, for one look."""
    photo = _loaded(PHOTOS / "landscape.jpg")
    preset = load_preset(PRESETS / "teal-and-orange.yaml")
    assert isinstance(preset, Look)
    lut = fitted(small(load_photo(PHOTOS / "landscape.jpg")), preset, device)
    ours_in_16_bits = apply(lut, np.rint(photo * 65535).astype(np.uint16)).astype(np.float32) / 65535
    with tempfile.TemporaryDirectory() as temporary:
        for name, read in READERS.items():
            if not available(name):
                print(f"{name}: not installed")
                continue
            apart = np.abs(read(lut, photo, Path(temporary)) - ours_in_16_bits) * 255
            print(f"{name}: differs by at most {apart.max():.3f} of 255, {apart.mean():.4f} on average")


def main(parts: list[str]) -> None:
    device = choose_device()
    print(f"{device.words}; torch {torch.__version__}")
    if not parts or "pairs" in parts:
        compare(device, REPOSITORY / "build", list(METHODS))
    if "ours" in parts:
        compare(device, REPOSITORY / "build", ["MKL", "look"])
    if not parts or "timing" in parts:
        timing(device)
    if not parts or "programs" in parts:
        programs(device)


if __name__ == "__main__":
    main(sys.argv[1:])
