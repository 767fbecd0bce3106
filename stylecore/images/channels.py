"""Channels of samples: which of them is what, and how many bits they have."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylecore.colour import Pixels


def split_samples(samples: Pixels) -> tuple[Pixels, Pixels | None]:
    """(height, width[, 1 to 4]) to grey or RGB, and alpha, which is the second or the fourth channel."""
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.shape[2] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    return samples[..., :3], None


def widened(samples: Pixels, bits: int) -> Pixels:
    """Samples of ``bits`` bits to the whole range of their type, uint8 or uint16."""
    full = 8 * samples.dtype.itemsize
    if bits == full:
        return samples
    out: Pixels = (samples.astype(np.uint32) * (2**full - 1) // (2**bits - 1)).clip(0, 2**full - 1)
    return out.astype(samples.dtype)


def straight(colours: Pixels, alpha: Pixels) -> Any:
    """Undo the multiplication of colours by their alpha (TIFF 6.0, associated alpha)."""
    top = np.iinfo(colours.dtype).max
    share = np.maximum(alpha, 1).astype(np.float32)[..., None] / np.float32(top)
    return np.rint(colours / share).clip(0, top).astype(colours.dtype)


def to_16_bits(samples: Pixels) -> Pixels:
    """uint8 or uint16 to uint16."""
    return samples if samples.dtype == np.uint16 else samples.astype(np.uint16) * 257


def repeated(samples: Pixels) -> Pixels:
    """Grey to RGB; RGB as it is."""
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples


def upright(samples: Pixels, turn: int) -> Pixels:
    """Undo EXIF orientation 1 to 8."""
    if turn >= 5:
        samples = np.swapaxes(samples, 0, 1)
    if turn in (3, 4, 7, 8):
        samples = samples[::-1]
    if turn in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
