"""Colour: ICC profiles to sRGB and back, and the photo's chroma under the painting's luma."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # (height, width, channels), uint8 or uint16
Floats = NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@functools.cache
def srgb_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_space(profile: bytes) -> str:
    """The colour space that the ICC header names: ``RGB``, ``GRAY``, ``CMYK``, ``Lab``; empty for no profile."""
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """From the profile's space (RGB, GRAY or CMYK; as many channels) to sRGB, same depth, (height, width, 3).

    Raises ValueError for a damaged profile.
    """
    return _transform(pixels, profile, srgb_profile(), {"RGB": "rgb", "GRAY": "gray", "CMYK": "cmyk"}[profile_space(profile)])


def from_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """From sRGB to the RGB profile's space, same depth. Raises ValueError for a damaged profile."""
    return _transform(pixels, srgb_profile(), profile, "rgb")


def _transform(pixels: Pixels, source: bytes, target: bytes, space: str) -> Pixels:
    import imagecodecs

    try:
        out: Pixels = imagecodecs.cms_transform(
            np.ascontiguousarray(pixels), source, target, colorspace=space, outcolorspace="rgb"
        )
    except imagecodecs.CmsError as e:
        raise ValueError(str(e)) from e
    return out


def luma(rgb: Floats) -> Floats:
    """(height, width, 3) to (height, width), same range."""
    out: Floats = rgb @ LUMA
    return out


def with_chroma_of(painting: Floats, photo: Floats) -> Floats:
    """The painting's luma, the photo's chroma, in 0..1 (Gatys et al. 2016, "Preserving Color in Neural Artistic
    Style Transfer", luminance-only transfer). Both of shape (height, width, 3)."""
    return np.clip(photo + (luma(painting) - luma(photo))[..., None], 0, 1)
