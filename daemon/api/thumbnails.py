"""Small pictures of the Presets' styles, to help choose one."""

from __future__ import annotations

import functools
import io
from pathlib import Path

from stylecore.images.preview import small_picture

EDGE = 256  # pixels
QUALITY = 88


@functools.lru_cache(maxsize=64)
def thumbnail_of(picture: Path) -> bytes:
    """A JPEG. (Pictures in the style store are named by their bytes, so a cached one is never outdated.) Raises
    PhotoError."""
    out = io.BytesIO()
    small_picture(picture, EDGE, EDGE).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
