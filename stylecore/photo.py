"""A Photo: an image file as it arrived, as upright sRGB pixels with what must travel to the Result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.colour import Floats, Pixels


@dataclass(frozen=True)
class Photo:
    """``pixels``: (height, width, 3), uint8 or uint16, sRGB, upright. ``alpha``: (height, width), same type, or None.

    ``profile``: the RGB ICC profile to go back to; ``exif``: a TIFF block; ``xmp``: a packet; ``format``: jpeg, png,
    tiff, webp, avif, heic, gif, bmp, raw or npy (bare samples); ``notes``: sentences on what could not be kept.
    """

    path: Path
    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]

    def resized(self, width: int, height: int) -> Floats:
        """The pixels at another size, float32 in 0..1, (height, width, 3); transparent places are white."""
        return resize(_on_white(self.pixels, self.alpha), width, height)


def resize(pixels: Pixels, width: int, height: int) -> Floats:
    """Lanczos with antialiasing, to float32 in 0..1; one channel at a time, which bounds the memory."""
    top = 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)
    channels = []
    for i in range(pixels.shape[2]):
        channel = Image.fromarray(np.ascontiguousarray(pixels[..., i], np.float32))
        channels.append(np.asarray(channel.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0)))
    return np.clip(np.stack(channels, -1) / np.float32(top), 0, 1)


def _on_white(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    if alpha is None:
        return pixels
    top = np.iinfo(pixels.dtype).max
    share = (alpha.astype(np.float32) / top)[..., None]
    return (pixels * share + top * (1 - share)).round().astype(pixels.dtype)
