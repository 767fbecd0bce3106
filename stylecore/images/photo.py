"""A Photo: an image file as it arrived, as upright pixels with everything that must reach the Result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.colour import Floats, Pixels
from stylecore.images import exif, icc, xmp
from stylecore.images.cicp import Cicp


@dataclass(frozen=True)
class Metadata:
    """What a file carries besides its pixels and their colours.

    ``exif``: a TIFF block. ``xmp``: a packet. ``iptc``: an IIM record, without Photoshop's wrapping. ``text``: PNG's
    pairs of keyword and text. ``comment``: JPEG's or GIF's. ``dpi``: pixels per inch in print, across and down.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()
    comment: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Decoded:
    """What a format's reader found. ``samples``: (height, width, 1 grey, 3 RGB or 4 CMYK), uint8 or uint16.
    ``alpha``: (height, width), same type, or None. ``colour``: what the file says about its colours: an ICC profile,
    code points, or nothing. ``turn``: EXIF orientation, 1 to 8. ``bits``: per channel, in the file. ``claims``: what
    the file holds besides the picture, as in `xmp.py`."""

    samples: Pixels
    alpha: Pixels | None = None
    colour: bytes | Cicp | None = None
    metadata: Metadata = field(default_factory=Metadata)
    turn: int = 1
    bits: int = 8
    notes: tuple[str, ...] = ()
    claims: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Photo:
    """``pixels``: (height, width, 3), uint8 or uint16, upright, in the RGB space of ``profile``, or in sRGB if there is
    none. ``alpha``: (height, width), same type, or None.

    ``profile``: an RGB ICC profile that works both ways. ``bits``: per channel, in the file. ``format``: jpeg, png,
    tiff, webp, avif, heic, gif, bmp, raw or npy (bare samples). ``notes``: sentences on what could not be kept.
    """

    path: Path
    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    bits: int = 8
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]

    def resized(self, width: int, height: int) -> Floats:
        """The pixels at another size in sRGB, float32 in 0..1, (height, width, 3), on white where they are
        transparent. Colours outside sRGB are clipped."""
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
        out: Floats = np.clip(np.stack(channels, -1) / top, 0, 1)
        return out if self.profile is None else icc.to_srgb(out, self.profile)

    def at_size(self, width: int, height: int) -> Photo:
        """The Photo with another number of pixels, of the same type and colour space."""
        if (width, height) == self.size:
            return self
        pixels = np.empty((height, width, 3), self.pixels.dtype)
        for i in range(3):
            pixels[..., i] = _resampled(self.pixels[..., i], width, height)
        alpha = None if self.alpha is None else _resampled(self.alpha, width, height)
        return replace(self, pixels=pixels, alpha=alpha)

    def at_resolution(self, dpi: int) -> Photo:
        """The Photo with so many pixels per inch in print, wherever its metadata says that."""
        block, packet = self.metadata.exif, self.metadata.xmp
        metadata = replace(
            self.metadata,
            dpi=(dpi, dpi),
            exif=block and exif.at_resolution(block, dpi),
            xmp=packet and xmp.at_resolution(packet, dpi),
        )
        return replace(self, metadata=metadata)

    def from_srgb(self, pixels: Floats) -> Floats:
        """sRGB pixels in 0..1 in the photo's own space, same shape."""
        return pixels if self.profile is None else icc.from_srgb(pixels, self.profile)


def _resampled(channel: Pixels, width: int, height: int) -> Pixels:
    """(h, w) to (height, width), Lanczos."""
    top = np.iinfo(channel.dtype).max
    image = Image.fromarray(np.ascontiguousarray(channel, np.float32))
    found = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0))
    rounded: Pixels = np.rint(found).clip(0, top).astype(channel.dtype)
    return rounded
