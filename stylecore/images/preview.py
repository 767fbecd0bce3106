"""A small version of a picture, for display. Needs only Pillow, so that a view starts fast."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stylecore.errors import PhotoError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MAX_PIXELS = 400_000_000  # as large as a Photo may be
DECODER_ERRORS = (
    SyntaxError, ValueError, TypeError, LookupError, EOFError, RuntimeError, ArithmeticError, AttributeError,
    AssertionError, struct.error,
)  # fmt: skip
"""What Pillow and its plug-ins raise for damaged files, besides OSError."""

_pillows_limit = threading.RLock()


def small_picture(source: bytes | Path, width: int, height: int) -> PillowImage:
    """The picture within ``width`` x ``height`` pixels, RGB. Raises PhotoError if Pillow cannot read all of it."""
    from PIL import Image

    try:
        with opened_picture(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PhotoError(f"The picture has {image.width} x {image.height} pixels, which is too many.")
            image.draft("RGB", (width * 2, height * 2))  # a large JPEG is decoded small
            if image.mode in ("L", "RGB"):
                image.thumbnail((width, height), Image.Resampling.BOX)
            small = image.convert("RGB")
        small.thumbnail((width, height), Image.Resampling.BOX)
    except (OSError, *DECODER_ERRORS) as e:
        raise PhotoError(f"The picture is damaged, cut off, or of a kind that Pillow cannot read ({e}).") from e
    return small


@contextlib.contextmanager
def opened_picture(source: io.BytesIO | Path, formats: list[str] | None = None) -> Iterator[PillowImage]:
    """As ``PIL.Image.open``, without its limit on pixels, which some formats check again when they decode: callers
    check sizes against a limit of their own. Pillow's is one number for the whole process, so only one thread at a time
    may lift it."""
    from PIL import Image

    with _pillows_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(source, formats=formats) as image:
                yield image
        finally:
            Image.MAX_IMAGE_PIXELS = limit
