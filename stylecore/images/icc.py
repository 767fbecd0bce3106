"""ICC profiles: what they mean, from any to sRGB and back, and profiles for colours that are described otherwise."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stylecore.colour import Floats, Pixels

BAND = 256  # rows at a time
CLIPPED = 0.004  # of the range: a colour that is outside by less than a step of 8 bits is inside
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of red, green and blue
D65 = (0.3127, 0.3290)
TOE = 12.92  # slope of sRGB's curve at black, with which Little CMS continues it below
TABLE = 1024  # entries of a curve
BUILT_IN = "RGB built-in"  # Little CMS's name for what it makes
CREATED = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # so that the same colours give the same bytes


class UnknownColours(Exception):
    """What a file says about its colours is damaged, reserved or impossible."""


@functools.cache
def srgb_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@functools.cache
def prophoto_rgb() -> bytes:
    """ROMM RGB (ISO 22028-2), with a plain gamma of 1.8: almost every surface colour is in it."""
    return rgb_profile(
        (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), (0.3457, 0.3585), gamma=1.8, name="ProPhoto RGB"
    )


@functools.cache
def adobe_rgb() -> bytes:
    """Adobe RGB (1998), or rather a profile with its primaries and its gamma of 563/256."""
    return rgb_profile((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), D65, gamma=563 / 256, name="AdobeRGB1998")


def rgb_profile(
    primaries: Sequence[float],
    white: Sequence[float],
    *,
    gamma: float | None = None,
    curve: NDArray[np.floating] | None = None,
    name: str = "RGB of photo",
) -> bytes:
    """A profile for an RGB space with these chromaticities (x, y of red, green, blue; of white) and either a gamma or
    a curve, which gives linear light in 0..1 at evenly spaced sample values. ``name``: at most 12 characters.

    Raises UnknownColours if no such space can exist.
    """
    import imagecodecs

    area = np.linalg.det(np.array([[*primaries[i : i + 2], 1.0] for i in (0, 2, 4)]))
    if abs(area) < 1e-3 or not all(0 < y <= 1 for y in (*primaries[1::2], white[1])) or not (gamma or 1) > 0:
        raise UnknownColours("no such colour space")
    shape = {"gamma": gamma} if curve is None else {"transferfunction": curve.astype(np.float32)}
    try:
        made = imagecodecs.cms_profile("rgb", whitepoint=list(white), primaries=list(primaries), **shape)
        made = made.replace(
            BUILT_IN.encode("utf-16-be"), name.ljust(len(BUILT_IN))[: len(BUILT_IN)].encode("utf-16-be")
        )
        return bytes(made[:24] + CREATED + made[36:])
    except imagecodecs.CmsError as e:
        raise UnknownColours(str(e)) from e


def profile_space(profile: bytes) -> str:
    """The colour space that the ICC header names: ``RGB``, ``GRAY``, ``CMYK``, ``Lab``; empty if it is not a
    profile."""
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def to_srgb(pixels: Floats, profile: bytes) -> Floats:
    """From the RGB profile's space to sRGB, float32 in 0..1, (height, width, 3). Colours outside sRGB are clipped.
    Raises UnknownColours for a damaged profile."""
    if is_srgb(profile):
        return pixels
    return np.clip(_transform(pixels, profile, srgb_profile(), "RGB"), 0, 1)


def from_srgb(pixels: Floats, profile: bytes) -> Floats:
    """From sRGB to the RGB profile's space, as ``to_srgb``."""
    if is_srgb(profile):
        return pixels
    return np.clip(_transform(pixels, srgb_profile(), profile, "RGB"), 0, 1)


def to_extended_srgb(pixels: Floats, profile: bytes) -> Floats:
    """As ``to_srgb``, but a colour outside sRGB has values below 0 or above 1. Below 0, the curve is that above 0,
    turned (as in CSS Color 4)."""
    there = _transform(pixels, profile, srgb_profile(), "RGB")
    dark = there < 0
    there[dark] = -linear_to_srgb(there[dark] / -TOE)
    return there


def from_extended_srgb(pixels: Floats, profile: bytes) -> Floats:
    """The inverse of ``to_extended_srgb``, clipped to what the profile's space holds."""
    dark = pixels < 0
    there = pixels.copy()
    there[dark] = srgb_to_linear(-pixels[dark]) * -TOE
    return np.clip(_transform(there, srgb_profile(), profile, "RGB"), 0, 1)


def works_both_ways(profile: bytes) -> bool:
    """Whether colours can go into the RGB profile's space and out of it. Scanners' profiles only lead out. Raises
    UnknownColours for a damaged profile."""
    one = np.full((1, 1, 3), 0.5, np.float32)
    _transform(one, profile, srgb_profile(), "RGB")
    try:
        _transform(one, srgb_profile(), profile, "RGB")
    except UnknownColours:
        return False
    return True


@functools.lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Whether the RGB profile means sRGB, to one step of 8 bits. Tests colours, because names lie. Raises
    UnknownColours for a damaged profile."""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    there = _transform(colours, profile, srgb_profile(), "RGB")
    return float(np.abs(there - colours).max()) <= 1 / 255


def to_rgb(samples: Pixels, profile: bytes) -> tuple[Pixels, bytes | None]:
    """Grey, RGB or CMYK samples (height, width, channels) to RGB of the same depth: to sRGB or, if that would clip
    colours, to Adobe RGB or ProPhoto RGB. Returns them with their profile, None for sRGB. Raises UnknownColours for a
    damaged profile."""
    space = profile_space(profile)
    for target in (None, adobe_rgb(), prophoto_rgb()):
        out = np.empty((*samples.shape[:2], 3), samples.dtype)
        top, clips = np.float32(np.iinfo(samples.dtype).max), False
        for start in range(0, samples.shape[0], BAND):
            rows = slice(start, start + BAND)
            floats = _transform(samples[rows].astype(np.float32) / top, profile, target or srgb_profile(), space)
            if target != prophoto_rgb() and (floats.min() < -CLIPPED or floats.max() > 1 + CLIPPED):
                clips = True
                break
            out[rows] = np.rint(np.clip(floats, 0, 1) * top)
        if not clips:
            return out, target
    raise AssertionError("ProPhoto RGB is the last resort")


def pixels_to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """From the RGB profile's space to sRGB, same depth, clipped."""
    out, top = np.empty_like(pixels), np.float32(np.iinfo(pixels.dtype).max)
    for start in range(0, pixels.shape[0], BAND):
        rows = slice(start, start + BAND)
        out[rows] = np.rint(to_srgb(pixels[rows].astype(np.float32) / top, profile) * top)
    return out


def with_grey_curve(profile: bytes) -> bytes:
    """An RGB profile under which grey samples, repeated for red, green and blue, look as under the grey profile. Raises
    UnknownColours for a damaged profile."""
    ramp = np.linspace(0, 1, TABLE, dtype=np.float32).reshape(1, TABLE, 1)
    encoded = _transform(ramp, profile, srgb_profile(), "GRAY")[0, :, 1].clip(0, 1)
    return rgb_profile(SRGB_PRIMARIES, D65, curve=srgb_to_linear(encoded))


def srgb_to_linear(encoded: NDArray[np.floating]) -> NDArray[np.floating]:
    """IEC 61966-2-1, 0..1 to 0..1."""
    out: NDArray[np.floating] = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return out


def linear_to_srgb(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inverse of ``srgb_to_linear``."""
    out: NDArray[np.floating] = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return out


def _transform(pixels: Floats, source: bytes, target: bytes, space: str) -> Floats:
    """Perceptual, or relative colorimetric where a profile has only that. Between matrix profiles nothing is
    clipped. CMYK goes from 0 to 100 there, as Little CMS counts ink."""
    import imagecodecs

    if space == "CMYK":
        pixels = pixels * np.float32(100)
    elif space == "GRAY":
        pixels = pixels[..., 0]
    try:
        out: Floats = imagecodecs.cms_transform(
            np.ascontiguousarray(pixels), source, target, colorspace=space.lower(), outcolorspace="rgb"
        )
    except imagecodecs.CmsError as e:
        raise UnknownColours(str(e)) from e
    return out
