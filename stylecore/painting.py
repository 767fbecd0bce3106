"""A painting: the pixels are optimised, from coarse to fine."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from stylecore.colour import Colours, Floats, grading, palette_of, sample, with_palette
from stylecore.device import Device
from stylecore.enlarge import enlarge, enlarge_to
from stylecore.images.encode import Result
from stylecore.images.photo import Photo
from stylecore.lightness import gamma_of
from stylecore.memory import check_result, free_memory, tile_and_pairs, trim_memory
from stylecore.network import Network, load_network
from stylecore.objective import Objective, layers_of
from stylecore.optimise import ADAM_RATE, LBFGS_RATE, Adam, Lbfgs
from stylecore.preset import Painting
from stylecore.progress import Progress
from stylecore.scales import Scale, scales_of
from stylecore.targets import COLOURS, style_colours, style_palette, style_targets, targets_of, to_pixels, to_tensor
from stylecore.toning import Toning, toning_of

NOISE = 0.2  # standard deviation, of the pixel range: another painting of the same scene
GRADED_EDGE = 192  # pixels of the small picture whose colours stand for all
PIXEL_STROKES = 384  # pixels: `strokes: pixel` keeps the size that strokes have in a picture of this long edge
SMALLEST_STYLE = 32


def paint(photo: Photo, preset: Painting, device: Device) -> Iterator[Progress | Result]:
    """As ``transfer.stylize``."""
    start = time.perf_counter()
    if (size := preset.output.size_of(photo.size)) != photo.size:
        check_result(*size, photo.pixels.itemsize)
    scales = scales_of(photo.size, preset, device) if preset.strength > 0 else []
    steps = sum(scale.steps for scale in scales)
    whole = sum(scale.cost * scale.steps for scale in scales)
    done, worked, loss, picture = 0, 0.0, None, None
    for scale in scales[-1:]:  # a size that is too large fails now, not after the coarse scales
        tile_and_pairs(device, scale.recipe, *scale.size, free_memory(device), scale.steps)
    gamma = gamma_of(photo, preset) if scales else 1.0
    toning = _toning_of(preset) if scales else None
    for number, scale in enumerate(scales, 1):
        optimiser, objective = _at_scale(photo, scale, device, gamma, picture)
        for i in range(scale.steps):
            losses = optimiser.step() if i < scale.steps - 1 else optimiser.last_step(objective.losses)
            done, worked = done + 1, worked + scale.cost
            picture, loss = optimiser.picture, losses.total
            yield Progress(
                step=done,
                steps=steps,
                scale=number,
                scales=len(scales),
                size=scale.size,
                losses=losses,
                share=worked / whole,
                seconds=time.perf_counter() - start,
                preview=functools.partial(_seen, picture, toning),
            )
        del optimiser, objective
    trim_memory()
    photo = photo.at_size(*size)
    trim_memory()
    if preset.output.resolution is not None:
        photo = photo.at_resolution(preset.output.resolution)
    pixels = photo.pixels  # for strength 0, unchanged to the last bit
    if picture is not None:
        painting = _seen(picture, toning)
        pixels = enlarge(painting, photo, detail=preset.detail, colour=preset.colour, strength=preset.strength)
    yield Result(photo, pixels, done, time.perf_counter() - start, loss, device.words)


def _at_scale(
    photo: Photo, scale: Scale, device: Device, gamma: float, before: Tensor | None
) -> tuple[Lbfgs | Adam, Objective]:
    """The optimiser of one scale, and what it minimises. It starts from the picture of the scale before, if any."""
    preset, (width, height) = scale.recipe, scale.size
    network = load_network(preset.weights, device)
    plain = small = photo.resized(width, height)
    if preset.recolour and preset.colour != "palette":
        small = with_palette(small, style_palette(preset.style, preset.digest, gamma))
    target = to_tensor(small, device.torch)
    if before is None:
        first = _start(target, preset.seed)
    elif before.shape == target.shape:
        first = before
    else:
        first = _sharpened(before, photo, plain, preset.detail) if scale.sharpens else _resized(before, width, height)
        if preset.recolour and preset.colour != "photo":
            own = preset.colour == "palette"
            wanted = sample(small, COLOURS) if own else style_colours(preset.style, preset.digest, gamma)
            first = _graded(first, wanted)
    tile, pairs = tile_and_pairs(device, preset, width, height, free_memory(device), scale.steps)
    objective = objective_of(network, preset, target, tile, scale.halved, gamma, scale.targets)
    if preset.optimiser == "adam":
        return Adam(first, objective, preset.rate or ADAM_RATE, preset.average), objective
    return Lbfgs(first, objective, preset.rate or LBFGS_RATE, pairs), objective


def objective_of(
    network: Network,
    preset: Painting,
    photo: Tensor,
    tile: int | None = None,
    halved: int = 0,
    gamma: float = 1.0,
    layers: tuple[str, ...] = (),
) -> Objective:
    """The losses at the size of ``photo``, (1, 3, height, width). ``halved``, ``layers``: as ``halved`` and ``targets``
    of a Scale. ``gamma``: as ``gamma_of`` gives it."""
    reference = max(photo.shape[2:]) if preset.strokes == "picture" else PIXEL_STROKES / 2**halved
    long_edge = max(SMALLEST_STYLE, round(reference * preset.style_size))
    if preset.colour == "palette":
        palette = palette_of([to_pixels(photo)], [1])
        style = targets_of(network, preset.style, long_edge, layers_of(preset), palette)
    else:
        style = style_targets(network, preset.style, preset.digest, long_edge, layers or layers_of(preset), gamma)
    return Objective(network, preset, photo, style, tile)


def _toning_of(preset: Painting) -> Toning | None:
    """Of the style pictures, if they are in black and white. The feature statistics allow specks of colour there."""
    if not preset.recolour or preset.colour != "style":
        return None
    return toning_of(style_colours(preset.style, preset.digest))


def _seen(picture: Tensor, toning: Toning | None) -> Floats:
    """The picture as people see it, (height, width, 3) in 0..1."""
    pixels = to_pixels(picture)
    return pixels if toning is None else toning.of(torch.from_numpy(pixels)).clamp(0, 1).numpy()


def _start(photo: Tensor, seed: int | None) -> Tensor:
    """The photo; with a seed, the photo under noise, from which the optimiser finds another minimum."""
    if seed is None:
        return photo.clone()
    noise = torch.randn(
        photo.shape, generator=torch.Generator().manual_seed(seed)
    )  # on the CPU: the same on every device
    return (photo + NOISE * noise.to(photo.device)).clamp(0, 1)


def _graded(picture: Tensor, wanted: Colours) -> Tensor:
    """Give the picture the colours of the style. The feature statistics alone match only the first two moments."""
    share = min(1.0, GRADED_EDGE / max(picture.shape[2:]))
    small = torch.nn.functional.interpolate(
        picture, [max(1, round(edge * share)) for edge in picture.shape[2:]], mode="nearest"
    )
    table = torch.from_numpy(grading(to_pixels(small).reshape(-1, 3), wanted))
    at = (
        picture.cpu()[0].flip(0).permute(1, 2, 0)[None, None] * 2 - 1
    )  # (1, 1, height, width, 3), blue first: the table's last axis
    out = torch.nn.functional.grid_sample(
        table.permute(3, 0, 1, 2)[None], at, padding_mode="border", align_corners=True
    )
    return out[:, :, 0].contiguous().to(picture.device)  # Apple's GPUs cannot do this


def _sharpened(picture: Tensor, photo: Photo, larger: Floats, detail: float) -> Tensor:
    """The picture at the size of ``larger``, the photo, whose edges guide it: with few steps to come, what the picture
    starts from still shows."""
    height, width = picture.shape[2:]
    small = photo.resized(width, height)
    return to_tensor(enlarge_to(to_pixels(picture), small, larger, detail), picture.device)


def _resized(picture: Tensor, width: int, height: int) -> Tensor:
    return torch.nn.functional.interpolate(picture, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
