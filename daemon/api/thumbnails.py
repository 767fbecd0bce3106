"""Small pictures of the presets' styles, for those who choose by looking."""

from __future__ import annotations

import functools
import io
from pathlib import Path

EDGE = 256  # pixels
QUALITY = 88


@functools.lru_cache(maxsize=64)
def thumbnail_of(picture: Path) -> bytes:
    """A JPEG. A picture in the store is named by its bytes, so what is kept here stays true."""
    from PIL import Image

    with Image.open(picture) as image:
        image.draft("RGB", (EDGE, EDGE))
        small = image.convert("RGB")
    small.thumbnail((EDGE, EDGE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
