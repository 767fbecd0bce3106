"""Figures for a Look: how close its colours come, and what that costs the photo.

Pictures are float32 in 0..1, (height, width, 3). None of these figures is what the optimiser minimises, except the
style loss, which is named as such.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity

from stylecore.colour import Floats, luma
from stylecore.natural import SKIN_COLOURS

Change = Callable[[Floats], Floats]
"""Colours (..., 3) to colours."""

EDGE = 0.02  # luma gradient, per pixel, of an edge
FLAT = (0.4 / 255, 4 / 255)  # standard deviation of an area that is flat, but not constant
CLIPPED = 0.6 / 255  # of the range
RAMPS = {
    "clear sky": ((0.35, 0.55, 0.85), (0.80, 0.88, 0.95)),
    "evening sky": ((0.95, 0.75, 0.55), (0.55, 0.60, 0.75)),
    "night sky": ((0.02, 0.03, 0.08), (0.15, 0.20, 0.35)),
    "grey": ((0.1, 0.1, 0.1), (0.9, 0.9, 0.9)),
    "skin": ((0.90, 0.72, 0.60), (0.45, 0.30, 0.22)),
    "clouds": ((0.75, 0.80, 0.85), (0.98, 0.98, 0.98)),
}


def palette_distance(a: Floats, b: Floats) -> float:
    """Sliced Wasserstein distance of the colours, 0..255."""
    directions = np.random.default_rng(1).normal(size=(32, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ranks = (np.arange(512) + 0.5) / 512
    one, other = (np.quantile(p.reshape(-1, 3) @ directions.T, ranks, axis=0) for p in (a, b))
    return 255 * float(np.abs(one - other).mean())


def similarity(photo: Floats, result: Floats) -> float:
    """SSIM of luma."""
    return float(structural_similarity(luma(photo), luma(result), data_range=1))  # type: ignore[no-untyped-call]


def reversed_edges(photo: Floats, result: Floats) -> float:
    """Percentage of edge pixels whose luma gradient turned by more than 90 degrees."""
    before, after = np.gradient(luma(photo)), np.gradient(luma(result))
    edges = np.hypot(*before) > EDGE
    turned = before[0] * after[0] + before[1] * after[1] < -1e-6
    return 100 * float(turned[edges].mean()) if edges.any() else 0.0


def noise_gain(photo: Floats, result: Floats) -> float:
    """99th percentile of how many times more a flat area varies."""
    before, after = _deviation(photo), _deviation(result)
    flat = (before > FLAT[0]) & (before < FLAT[1])
    return float(np.percentile(after[flat] / before[flat], 99)) if flat.sum() > 50 else 1.0


def newly_clipped(photo: Floats, result: Floats) -> float:
    """Percentage of pixels with a channel at an end of its range that was not there before."""
    before, after = (((p <= CLIPPED) | (p >= 1 - CLIPPED)).any(-1) for p in (photo, result))
    return 100 * float((after & ~before).mean())


def steepness(table: Floats, photo: Floats) -> float:
    """Largest slope of a table (n, n, n, 3) at 99 % of the photo's colours; 1 is the identity's. The slope of a colour
    is the largest singular value of the table's Jacobian there."""
    n = len(table)
    jacobian = np.stack([np.gradient(table, axis=axis) * (n - 1) for axis in range(3)], -1)
    slopes = np.linalg.norm(jacobian, ord=2, axis=(-2, -1))
    r, g, b = np.rint(photo.reshape(-1, 3) * (n - 1)).astype(int).T
    return float(np.percentile(slopes[r, g, b], 99))


def banding(change: Change) -> dict[str, float]:
    """For each of RAMPS, the largest colour difference (CIE76) of neighbours in a smooth gradient of 256 steps, as a
    multiple of the largest before the change."""
    found = {}
    for name, (first, last) in RAMPS.items():
        share = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
        ramp = (np.array(first, np.float32) * (1 - share) + np.array(last, np.float32) * share).astype(np.float32)
        before, after = _steps(ramp), _steps(change(ramp))
        found[name] = float(after.max() / before.max())
    return found


def skin(change: Change) -> tuple[float, float, float]:
    """Of the ten colours of skin: the mean turn of hue in CIELAB, in degrees, and the least and the most of its chroma
    that one keeps."""
    colours = np.array(SKIN_COLOURS, np.float32)
    before, after = rgb2lab(colours[None])[0], rgb2lab(change(colours)[None])[0]
    turned = np.degrees(_hue(after) - _hue(before))
    kept = np.hypot(after[:, 1], after[:, 2]) / np.hypot(before[:, 1], before[:, 2])
    return float(np.abs((turned + 180) % 360 - 180).mean()), float(kept.min()), float(kept.max())


def _hue(lab: NDArray[np.floating]) -> NDArray[np.floating]:
    hue: NDArray[np.floating] = np.arctan2(lab[:, 2], lab[:, 1])
    return hue


def _steps(ramp: Floats) -> NDArray[np.floating]:
    steps: NDArray[np.floating] = np.linalg.norm(np.diff(rgb2lab(ramp[None])[0], axis=0), axis=1)
    return steps


def _deviation(picture: Floats) -> Floats:
    variance = np.zeros(picture.shape[:2], np.float32)
    for channel in np.moveaxis(picture, -1, 0):
        mean = uniform_filter(channel, 7)
        variance += np.maximum(uniform_filter(channel * channel, 7) - mean * mean, 0)
    out: Floats = np.sqrt(variance / 3)
    return out
