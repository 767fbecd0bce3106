"""Enlarge the painting to the photo's own size, guided by the photo's fine detail.

    result = up(painting) + detail * up(a) * (Y(photo) - up(Y(photo at the painting's size)))

``up`` is bicubic. ``a`` is the slope of the local linear model painting = a * Y + b in each small window: the guided
filter of He, Sun & Tang (2013), whose coefficients may be found at low resolution (He & Sun 2015). So an edge of the
photo returns with the contrast and the sign that the painting gave it, and where the painting ignores the photo (a near
0), nothing of the photo shows through.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from stylecore.colour import Floats, Pixels, luma, with_chroma_of
from stylecore.images.photo import Photo

BAND = 256  # rows at a time, so that little memory is needed besides input and output
RADIUS = 2  # of the window of the local linear model, in the painting's pixels
FLAT = 0.02**2  # variance below which a window of the photo counts as flat: noise is not detail
STEEPEST = 1.5  # bound of the slope


def enlarge(painting: Floats, photo: Photo, *, detail: float, colour: str, strength: float) -> Pixels:
    """``painting``: (h, w, 3), sRGB in 0..1. Returns (height, width, 3) of the photo's size, type and colour space, in
    which all of this happens, so that no colour of the photo is lost.

    ``detail`` 0 is plain bicubic. ``colour`` "photo" keeps the photo's chroma. ``strength`` 0..100 is the painting's
    share over the photo. If the painting already has the photo's size, there is no detail to add.
    """
    width, height = photo.size
    for axis, edge in enumerate((height, width)):  # the painting of a very thin photo can be larger
        if painting.shape[axis] > edge:
            painting = _stretch(painting, edge, axis)
    h, w = painting.shape[:2]
    painting = photo.from_srgb(painting)
    top = np.iinfo(photo.pixels.dtype).max
    planes = None
    if (w, h) != (width, height):
        planes = _planes(painting, luma(photo.from_srgb(photo.resized(w, h))), detail)
    out = np.empty_like(photo.pixels)
    for start in range(0, height, BAND):
        rows = slice(start, min(start + BAND, height))
        original = photo.pixels[rows].astype(np.float32) / np.float32(top)
        alpha = None if photo.alpha is None else (photo.alpha[rows].astype(np.float32) / np.float32(top))[..., None]
        there = original if alpha is None else 1 + alpha * (original - 1)  # on white, as the optimiser saw it
        if planes is None:
            styled = painting[rows]
        else:
            styled = _guided(planes, rows, luma(there), height)
        if colour == "photo":
            styled = with_chroma_of(styled, there)
        if alpha is not None:
            styled = np.clip(1 + (styled - 1) / np.maximum(alpha, 1 / top), 0, 1)  # remove the white again
        share = np.float32(strength / 100)
        out[rows] = np.rint((original + share * (styled - original)) * top)
    return out


def enlarge_to(painting: Floats, small: Floats, photo: Floats, detail: float) -> Floats:
    """Between two scales: ``painting`` and ``small``, the photo at its size, (h, w, 3), to the size of ``photo``,
    (height, width, 3). All are in 0..1."""
    height = len(photo)
    planes = _planes(painting, luma(small), detail)
    out = np.empty_like(photo)
    for start in range(0, height, BAND):
        rows = slice(start, min(start + BAND, height))
        out[rows] = _guided(planes, rows, luma(photo[rows]), height)
    return out


def _planes(painting: Floats, guide: Floats, detail: float) -> Floats:
    """Painting, slopes and guide, (h, w, 7)."""
    return np.concatenate([painting, _slopes(painting, guide) * detail, guide[..., None]], axis=2)


def _guided(planes: Floats, rows: slice, guide: Floats, height: int) -> Floats:
    """These rows, of so many in all, from the planes and the photo's luma in these rows, (n, width)."""
    index, weight = _cubic(len(planes), height, rows)
    low, high = index.min(), index.max() + 1
    band = _weighted(_stretch(planes[low:high], guide.shape[1], axis=1), index - low, weight, axis=0)
    out: Floats = np.clip(band[..., :3] + band[..., 3:6] * (guide - band[..., 6])[..., None], 0, 1)
    return out


def _slopes(painting: Floats, guide: Floats) -> Floats:
    """The local linear model's slope for each channel: painting (h, w, 3), guide (h, w) -> (h, w, 3)."""

    def mean(x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 2 * RADIUS + 1, 1, RADIUS, count_include_pad=False)

    p = torch.from_numpy(np.ascontiguousarray(painting)).permute(2, 0, 1)[:, None]  # (3, 1, h, w)
    y = torch.from_numpy(np.ascontiguousarray(guide))[None, None]  # (1, 1, h, w)
    mean_y = mean(y)
    variance = mean(y * y) - mean_y**2
    covariance = mean(y * p) - mean_y * mean(p)
    slope = mean((covariance / (variance + FLAT)).clamp(-STEEPEST, STEEPEST))
    found: Floats = slope[:, 0].permute(1, 2, 0).numpy()
    return found


def _stretch(planes: Floats, length: int, axis: int) -> Floats:
    """Bicubic (Catmull-Rom) along one axis."""
    return _weighted(planes, *_cubic(planes.shape[axis], length, slice(0, length)), axis)


def _weighted(planes: Floats, index: NDArray[np.intp], weight: Floats, axis: int) -> Floats:
    """Sums of four samples along one axis: ``index`` and ``weight`` are (n, 4)."""
    shape = [1, 1, 1]
    shape[axis] = -1
    out = None
    for k in range(4):
        term = np.take(planes, index[:, k], axis=axis)
        term *= weight[:, k].reshape(shape)
        out = term if out is None else np.add(out, term, out=out)
    assert out is not None
    return out


def _cubic(old: int, new: int, part: slice) -> tuple[NDArray[np.intp], Floats]:
    """For each new sample four old indices and their weights (Keys 1981, a = -1/2), edges repeated."""
    centre = (np.arange(part.start, part.stop) + 0.5) * (old / new) - 0.5
    first = np.floor(centre).astype(np.intp)
    t = centre - first
    weights = np.stack(
        [
            -0.5 * t**3 + t**2 - 0.5 * t,
            1.5 * t**3 - 2.5 * t**2 + 1,
            -1.5 * t**3 + 2 * t**2 + 0.5 * t,
            0.5 * t**3 - 0.5 * t**2,
        ],
        axis=1,
    )
    index = np.clip(first[:, None] + np.arange(-1, 3), 0, old - 1)
    return index, weights.astype(np.float32)
