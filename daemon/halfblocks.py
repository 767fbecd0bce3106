"""A picture in a terminal, two pixels to a character: the upper half block's colour and its background."""

from __future__ import annotations

import io
from pathlib import Path

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.style import Style
from rich.text import Text


def half_blocks(picture: bytes | Path, columns: int, rows: int) -> list[Text]:
    """As large as fits. Empty where it cannot be read: a picture that is only shown is no one's loss."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            image.draft("RGB", (columns * 2, rows * 4))  # a large JPEG is decoded small
            small = image.convert("RGB")
        small.thumbnail((columns, rows * 2), Image.Resampling.BOX)
    except (OSError, ValueError, Image.DecompressionBombError):
        return []
    width, height = small.size
    colours = list(small.get_flattened_data()) if hasattr(small, "get_flattened_data") else list(small.getdata())
    found = []
    for y in range(0, height, 2):
        line = Text()
        for x in range(width):
            upper = _colour(colours[y * width + x])
            lower = _colour(colours[(y + 1) * width + x]) if y + 1 < height else None
            line.append("▀", Style(color=upper, bgcolor=lower))
        found.append(line)
    return found


def _colour(rgb: object) -> Color:
    return Color.from_triplet(ColorTriplet(*rgb))  # type: ignore[misc]
