"""What the style pictures give: the moments of their features, and their colours. Kept between Jobs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stylecore.colour import Colours, Floats, Palette, darkened, palette_of, sample, with_palette
from stylecore.images.decode import load_style_picture
from stylecore.layers import block_of
from stylecore.losses import Moments, sums
from stylecore.memory import is_out_of_memory, release_memory, style_tile, trim_memory
from stylecore.network import Network
from stylecore.recipe import StylePicture
from stylecore.tiles import SMALLEST, tiles_of

COLOURS = 30_000  # sampled from the style pictures, to represent all
COLOUR_EDGE = 256  # pixels at which a style picture's colours are taken


@dataclass(frozen=True)
class StyleTargets:
    """For each layer, ``moments``: of the style pictures' features, as weighted means; and ``activations``: the mean
    absolute response, by which the ``article`` weighting divides features."""

    moments: dict[str, Moments]
    activations: dict[str, float]


@functools.lru_cache(maxsize=64)
def style_targets(
    network: Network,
    pictures: tuple[StylePicture, ...],
    fingerprint: str,
    long_edge: int,
    layers: tuple[str, ...],
    gamma: float = 1.0,
) -> StyleTargets:
    """Computed once for a Preset and size. ``fingerprint``: of the pictures' bytes, so that edits are noticed.
    ``gamma``: as ``lightness.gamma_of`` gives it."""
    targets = targets_of(network, pictures, long_edge, layers, gamma=gamma)
    trim_memory()  # a tile of the style picture may be larger than the photo's will be: 0.5 GB at 24 megapixels
    return targets


def targets_of(
    network: Network,
    pictures: tuple[StylePicture, ...],
    long_edge: int,
    layers: tuple[str, ...],
    palette: Palette | None = None,
    gamma: float = 1.0,
) -> StyleTargets:
    """The targets of the style pictures at this size, which first get the colours of the ``palette``, if any."""
    found: dict[str, Moments] = {}
    activations: dict[str, float] = {}
    whole = sum(p.weight for p in pictures)
    for picture in pictures:
        pixels = _loaded(picture, long_edge, gamma)
        if palette is not None:
            pixels = with_palette(pixels, palette)
        own = _targets_within_memory(network, to_tensor(pixels, network.device), layers)
        share = picture.weight / whole
        for name, part in own.moments.items():
            before = found.get(name, Moments(torch.zeros_like(part.second), torch.zeros_like(part.mean)))
            found[name] = Moments(before.second + share * part.second, before.mean + share * part.mean)
            activations[name] = activations.get(name, 0.0) + share * own.activations[name]
    return StyleTargets(found, activations)


def _targets_within_memory(network: Network, style: Tensor, layers: tuple[str, ...]) -> StyleTargets:
    """Of one style picture, in smaller tiles if memory runs out."""
    edge = style_tile(network.device, network.dtype, layers)
    while True:
        try:
            return _targets_in_tiles(network, style, layers, edge)
        except RuntimeError as e:
            if not is_out_of_memory(e) or edge <= SMALLEST:
                raise
        release_memory(network.device)  # here, what the error held is free
        edge = max(SMALLEST, edge // 2)


def _targets_in_tiles(network: Network, style: Tensor, layers: tuple[str, ...], edge: int) -> StyleTargets:
    found: dict[str, Moments] = {}
    activations: dict[str, float] = {}
    height, width = style.shape[2:]
    for tile in tiles_of(height, width, edge, layers):
        with torch.no_grad():
            features_of = network(tile.see(style), layers)
        for name, features in features_of.items():
            own, block = tile.own(features, block_of(name)), block_of(name)
            part = 1 / ((height >> block) * (width >> block))
            gram, total = sums(own)
            before = found.get(name, Moments(torch.zeros_like(gram), torch.zeros_like(total)))
            found[name] = Moments(before.second + part * gram, before.mean + part * total)
            activations[name] = activations.get(name, 0.0) + part / own.shape[1] * float(own.float().abs().sum())
    return StyleTargets(found, activations)


@functools.lru_cache(maxsize=64)
def style_palette(pictures: tuple[StylePicture, ...], fingerprint: str, gamma: float = 1.0) -> Palette:
    """The colours of the style pictures, cached like ``style_targets``."""
    return palette_of([_loaded(p, COLOUR_EDGE, gamma) for p in pictures], [p.weight for p in pictures])


@functools.lru_cache(maxsize=64)
def style_colours(pictures: tuple[StylePicture, ...], fingerprint: str, gamma: float = 1.0) -> Colours:
    """A sample of the style pictures' colours, (n, 3), each picture with its share, cached like ``style_targets``."""
    if len(pictures) == 1:
        return sample(_loaded(pictures[0], COLOUR_EDGE, gamma), COLOURS)
    whole, parts = sum(p.weight for p in pictures), []
    for picture in pictures:
        colours, count = _loaded(picture, COLOUR_EDGE, gamma).reshape(-1, 3), round(COLOURS * picture.weight / whole)
        parts.append(colours[np.linspace(0, len(colours) - 1, max(1, count)).round().astype(int)])
    return np.concatenate(parts)


def _loaded(picture: StylePicture, long_edge: int, gamma: float) -> Floats:
    pixels = load_style_picture(picture.picture, long_edge)
    return pixels if gamma == 1 else darkened(pixels, gamma)


def to_tensor(pixels: object, device: torch.device) -> Tensor:
    """Float32 pixels (height, width, 3) in 0..1 to a picture (1, 3, height, width)."""
    return torch.as_tensor(pixels, dtype=torch.float32, device=device).permute(2, 0, 1)[None].contiguous()


def to_pixels(picture: Tensor) -> Floats:
    """A picture (1, 3, height, width) to pixels (height, width, 3), of the same range."""
    out: Floats = picture[0].permute(1, 2, 0).cpu().numpy()
    return out
