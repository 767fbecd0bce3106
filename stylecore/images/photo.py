"""A Photo: an image file as it arrived, as upright sRGB pixels with everything that must reach the Result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.colour import Floats, Pixels


@dataclass(frozen=True)
class Photo:
    """``pixels``: (height, width, 3), uint8 or uint16, sRGB, upright. ``alpha``: (height, width), same type, or None.

    ``profile``: the RGB ICC profile to go back to. ``exif``: a TIFF block. ``xmp``: a packet. ``dpi``: pixels per inch
    in print, across and down. ``format``: jpeg, png, tiff, webp, avif, heic, gif, bmp, raw or npy (bare samples).
    ``notes``: sentences on what could not be kept.
    """

    path: Path
    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]

    def resized(self, width: int, height: int) -> Floats:
        """The pixels at another size, float32 in 0..1, (height, width, 3), on white where they are transparent."""
        # Lanczos with antialiasing; one channel at a time, which bounds the memory.
        top = np.float32(np.iinfo(self.pixels.dtype).max)
        channels = []
        for i in range(3):
            channel = np.ascontiguousarray(self.pixels[..., i], np.float32)
            if self.alpha is not None:  # on white
                channel -= top
                channel *= self.alpha
                channel /= top
                channel += top
            small = Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0)
            channels.append(np.asarray(small))
        return np.clip(np.stack(channels, -1) / top, 0, 1)
