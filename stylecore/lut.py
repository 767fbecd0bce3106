"""Colour look-up tables: what a Look changes a photo with.

A table gives a colour for each of n x n x n evenly spaced colours of RGB; between them, it is interpolated. Its colours
are sRGB-encoded values in 0..1, as in an sRGB file, in and out.

**Photos in other spaces.** The table of a photo in a wide space is carried over into that space, node by node, so that
the photo itself is never converted: nothing is clipped, and a table that changes nothing changes nothing. Where the
space has colours that sRGB cannot hold, the table goes on beyond its edge by point reflection: a colour c + d outside,
c being the nearest inside, becomes T(c) + (T(c) - T(c - d)), which keeps straight what is straight.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stylecore.colour import Floats, Pixels
from stylecore.images import icc

SIZE = 33  # points along each axis: what every program reads
WIDE_SIZE = 65  # for a table that is carried over into another space
PILLOW_MAX = 65  # points that Pillow's filter takes
BAND = 256  # rows at a time
THREADS = 2
RAMP = np.linspace(0, 1, 65536)
ALIKE = 0.05  # largest difference of a tone curve to sRGB's that needs no curve of its own


@dataclass(frozen=True, eq=False)
class Lut:
    """``colours``: (n, n, n, 3), by red, green and blue, float32. Values outside 0..1 are clipped when the table is
    applied."""

    colours: Floats

    @property
    def size(self) -> int:
        return len(self.colours)

    def at_strength(self, strength: float) -> Lut:
        """``strength`` 0..100: how much of the change is left."""
        share = np.float32(strength / 100)
        whole = identity(self.size)
        return Lut(whole + share * (self.colours - whole))

    def resampled(self, size: int) -> Lut:
        """With another number of points."""
        return self if size == self.size else Lut(self.of(identity(size)))

    def of(self, colours: Floats) -> Floats:
        """The table's colours for these, (..., 3), float32 in 0..1: trilinear."""
        flat = np.ascontiguousarray(colours, np.float32).reshape(-1, 3)
        out = np.empty_like(flat)
        table, n = self.colours.reshape(-1, 3), self.size
        for start in range(0, len(flat), 1 << 16):
            x = flat[start : start + (1 << 16)].clip(0, 1) * np.float32(n - 1)
            low = np.minimum(x.astype(np.intp), n - 2)
            part = x - low
            first = (low[:, 0] * n + low[:, 1]) * n + low[:, 2]
            found = np.zeros_like(x)
            for corner in range(8):
                r, g, b = corner >> 2, corner >> 1 & 1, corner & 1
                weight = np.ones(len(x), np.float32)
                for axis, up in enumerate((r, g, b)):
                    weight *= part[:, axis] if up else 1 - part[:, axis]
                found += weight[:, None] * table[first + (r * n + g) * n + b]
            out[start : start + (1 << 16)] = found
        return out.reshape(colours.shape)


def to_bytes(lut: Lut) -> bytes:
    """In 16 bits, which loses less than any picture does."""
    return bytes(np.rint(lut.colours.clip(0, 1) * 65535).astype("<u2").tobytes())


def from_bytes(data: bytes) -> Lut:
    """What ``to_bytes`` gave."""
    colours = np.frombuffer(data, "<u2").astype(np.float32) / np.float32(65535)
    size = round((len(colours) / 3) ** (1 / 3))
    return Lut(colours.reshape(size, size, size, 3))


def identity(size: int = SIZE) -> Floats:
    """The table that changes nothing, (size, size, size, 3)."""
    axis = np.linspace(0, 1, size, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def restyle(lut: Lut, pixels: Pixels, profile: bytes | None) -> Pixels:
    """A photo's pixels through the table: (height, width, 3), uint8 or uint16, in the RGB profile's space, None for
    sRGB, to the same. Raises UnknownColours for a damaged profile."""
    if profile is None or icc.is_srgb(profile):
        return apply(lut, pixels)
    curve = _tone_curve(profile)
    if np.abs(curve - RAMP).max() <= ALIKE:
        return apply(in_space(lut, profile, RAMP), pixels)
    # Evenly spaced in linear light, the nodes would be too far apart in the shadows.
    forward, back = _in_16_bits(curve), _in_16_bits(np.interp(RAMP, curve, RAMP))
    wide = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257
    found = back[apply(in_space(lut, profile, curve), forward[wide])]
    return found if pixels.dtype == np.uint16 else ((found.astype(np.uint32) + 128) // 257).astype(np.uint8)


def in_space(lut: Lut, profile: bytes, curve: NDArray[np.float64]) -> Lut:
    """The table for pixels in the RGB profile's space after the ``curve``, values in 0..1 at evenly spaced samples."""
    nodes = np.interp(identity(WIDE_SIZE).reshape(1, -1, 3), curve, RAMP).astype(np.float32)
    wanted = icc.to_extended_srgb(nodes, profile)[0]
    inside = wanted.clip(0, 1)
    beyond = wanted - inside
    reach = np.maximum(1, np.abs(beyond).max(-1, keepdims=True))
    at_edge = lut.of(inside)
    styled = at_edge + reach * (at_edge - lut.of(inside - beyond / reach))
    rounding = icc.from_extended_srgb(wanted[None], profile) - nodes
    there = np.interp(icc.from_extended_srgb(styled[None], profile) - rounding, RAMP, curve)
    return Lut(there.reshape(WIDE_SIZE, WIDE_SIZE, WIDE_SIZE, 3).astype(np.float32))


def _tone_curve(profile: bytes) -> NDArray[np.float64]:
    """What the greys of the profile's space are in sRGB, for each of RAMP: never falling, 0 to 1."""
    grey = np.repeat(RAMP.astype(np.float32)[None, :, None], 3, axis=2)
    curve = np.maximum.accumulate(icc.to_extended_srgb(grey, profile)[0].mean(1, dtype=np.float64).clip(0, 1))
    steps = RAMP * 1e-9  # so that it has an inverse
    found: NDArray[np.float64] = (curve - curve[0] + steps) / max(curve[-1] - curve[0] + steps[-1], 1e-9)
    return found


def _in_16_bits(curve: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.rint(curve * 65535).astype(np.uint16)


def apply(lut: Lut, pixels: Pixels) -> Pixels:
    """(height, width, 3), uint8 or uint16, in the table's space, to the same type. 8 bits are within 1 of 255 of what
    floats give; 16 bits never go through 8."""
    return _apply_to_8_bits(lut, pixels) if pixels.dtype == np.uint8 else _apply_to_16_bits(lut, pixels)


def _apply_to_8_bits(lut: Lut, pixels: Pixels) -> Pixels:
    lut = lut.resampled(min(lut.size, PILLOW_MAX))
    table = lut.colours.clip(0, 1).transpose(2, 1, 0, 3)  # red changes fastest
    change = ImageFilter.Color3DLUT(lut.size, np.ascontiguousarray(table).reshape(-1))
    out = np.empty_like(pixels)

    def band(start: int) -> None:
        rows = slice(start, start + BAND)
        out[rows] = Image.fromarray(np.ascontiguousarray(pixels[rows])).filter(change)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(band, range(0, len(pixels), BAND)))
    return out


def _apply_to_16_bits(lut: Lut, pixels: Pixels) -> Pixels:
    import torch

    table = torch.from_numpy(lut.colours.clip(0, 1)).permute(3, 0, 1, 2)[None]  # (1, 3, n, n, n), by red, green, blue
    out = np.empty_like(pixels)
    for start in range(0, len(pixels), BAND):
        rows = slice(start, start + BAND)
        at = torch.from_numpy(pixels[rows].astype(np.float32)).mul_(2 / 65535).sub_(1)
        at = at.flip(-1)[None, None]  # (1, 1, rows, width, 3), blue first: the table's last axis
        found = torch.nn.functional.grid_sample(table, at, padding_mode="border", align_corners=True)
        out[rows] = found[0, :, 0].mul_(65535).round_().permute(1, 2, 0).numpy()
    return out
