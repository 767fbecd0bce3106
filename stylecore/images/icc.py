"""ICC profiles: from any profile to sRGB and back."""

from __future__ import annotations

import functools

import numpy as np

from stylecore.colour import Pixels


@functools.cache
def srgb_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_space(profile: bytes) -> str:
    """The colour space that the ICC header names: ``RGB``, ``GRAY``, ``CMYK``, ``Lab``; empty if it is not a
    profile."""
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """From the profile's space (RGB, GRAY or CMYK; as many channels) to sRGB, same depth, (height, width, 3).

    Raises ValueError for a damaged profile.
    """
    return _transform(
        pixels, profile, srgb_profile(), {"RGB": "rgb", "GRAY": "gray", "CMYK": "cmyk"}[profile_space(profile)]
    )


def from_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """From sRGB to the RGB profile's space, same depth. Raises ValueError for a damaged profile."""
    return _transform(pixels, srgb_profile(), profile, "rgb")


def is_srgb(profile: bytes) -> bool:
    """Whether the RGB profile means sRGB, to one step of 8 bits. Tests colours, because names lie. Raises ValueError
    for a damaged profile."""
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    there = to_srgb(colours, profile).astype(int)
    return int(np.abs(there - colours).max()) <= 1


def _transform(pixels: Pixels, source: bytes, target: bytes, space: str) -> Pixels:
    import imagecodecs

    try:
        out: Pixels = imagecodecs.cms_transform(
            np.ascontiguousarray(pixels), source, target, colorspace=space, outcolorspace="rgb"
        )
    except imagecodecs.CmsError as e:
        raise ValueError(str(e)) from e
    return out
