"""Colour: one picture's palette for another, and the photo's chroma under the painting's luma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]  # (height, width, channels), uint8 or uint16
Floats = NDArray[np.float32]

Colours = NDArray[np.float32]  # (n, 3)

LATTICE, RANKS, TURNS = 17, 128, 8  # of `grading`
AROUND = 32  # cells along the long edge, over which `darkened` averages
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def luma(rgb: Floats) -> Floats:
    """(height, width, 3) to (height, width), same range."""
    out: Floats = rgb @ LUMA
    return out


def darkened(rgb: Floats, gamma: float) -> Floats:
    """A picture, (height, width, 3) in 0..1, whose light is raised to a power. Hue and saturation stay.

    Light is the largest channel. A power of each pixel's own light makes strokes harsh: their contrast is raised to
    that power, too. One of the surroundings' light, averaged over a thirty-second of the picture, leaves the contrast
    as it was, but dims lamps. So half of the power comes from each.
    """
    height, width = rgb.shape[:2]
    light = rgb.max(axis=-1)
    share = min(1.0, AROUND / max(height, width))
    cells = max(1, round(width * share)), max(1, round(height * share))
    small = Image.fromarray(light.astype(np.float32)).resize(cells, Image.Resampling.BOX)
    around = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    out: Floats = rgb * np.sqrt(light * around)[..., None] ** (gamma - 1)
    return out


def with_chroma_of(painting: Floats, photo: Floats) -> Floats:
    """The painting's luma, the photo's chroma, in 0..1 (Gatys et al. 2016, "Preserving Color in Neural Artistic
    Style Transfer", luminance-only transfer). Both of shape (height, width, 3)."""
    return np.clip(photo + (luma(painting) - luma(photo))[..., None], 0, 1)


@dataclass(frozen=True)
class Palette:
    """Mean, shape (3,), and covariance, (3, 3), of RGB colours in 0..1."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def palette_of(pictures: Sequence[Floats], weights: Sequence[float]) -> Palette:
    """Of several pictures (height, width, 3), each with a share by its weight, not its size."""
    shares = np.asarray(weights) / np.sum(weights)
    colours = [p.reshape(-1, 3).astype(np.float64) for p in pictures]
    mean = sum(s * c.mean(0) for s, c in zip(shares, colours, strict=True))
    second = sum(s * (c.T @ c) / len(c) for s, c in zip(shares, colours, strict=True))
    return Palette(mean, second - np.outer(mean, mean))


def transport(own: Palette, wanted: Palette) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear map that gives colours of the palette ``own`` the mean and covariance of ``wanted`` and moves them
    least: optimal transport between Gaussians (Pitie & Kokaram 2007, "The Linear Monge-Kantorovitch Linear Colour
    Mapping"). A matrix A, (3, 3), and an offset b, (3): a colour c becomes A c + b. Palettes of grey pictures, whose
    covariance is singular, work too."""
    floor = np.eye(3) * 1e-4  # a hundredth of the range: chroma below it counts as grey and is not amplified
    root, inverse = _power(own.covariance + floor, 0.5), _power(own.covariance + floor, -0.5)
    matrix = inverse @ _power(root @ (wanted.covariance + floor) @ root, 0.5) @ inverse
    return matrix, wanted.mean - matrix @ own.mean


def with_palette(pixels: Floats, palette: Palette) -> Floats:
    """The pixels with the palette's mean and covariance. In 0..1, (height, width, 3)."""
    matrix, offset = transport(palette_of([pixels], [1]), palette)
    return np.clip(pixels @ matrix.T + offset, 0, 1).astype(np.float32)


def grading(colours: Colours, wanted: Colours) -> Floats:
    """The colour look-up table that gives ``colours`` the distribution of ``wanted``, both (n, 3) in 0..1: repeatedly,
    along rotated axes, the marginals are matched (Pitie, Kokaram & Dahyot 2007, "Automated colour grading
    using colour distribution transfer"). Shape (LATTICE, LATTICE, LATTICE, 3) by red, green, blue; coarse, so that it
    is smooth.
    """
    chance = np.random.default_rng(0)
    axis = np.linspace(0, 1, LATTICE)
    table = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    moving, goal = colours.astype(np.float64), wanted.astype(np.float64)
    ranks = (np.arange(RANKS) + 0.5) / RANKS
    for _ in range(TURNS):
        rotation, _ = np.linalg.qr(chance.normal(size=(3, 3)))
        moving, table, turned = moving @ rotation, table @ rotation, goal @ rotation
        for k in range(3):
            before, after = np.quantile(moving[:, k], ranks), np.quantile(turned[:, k], ranks)
            for points in (moving, table):
                points[:, k] += np.interp(points[:, k], before, after - before)
        moving, table = moving @ rotation.T, table @ rotation.T
    out: Floats = table.clip(0, 1).reshape(LATTICE, LATTICE, LATTICE, 3).astype(np.float32)
    return out


def sample(pixels: Floats, count: int) -> Colours:
    """About ``count`` of a picture's colours, (n, 3), evenly from all over it."""
    colours = pixels.reshape(-1, 3)
    return colours[:: max(1, len(colours) // count)]


def _power(symmetric: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(symmetric)
    out: NDArray[np.float64] = (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
    return out
