"""Pictures that Pillow decodes: their samples, and what it knows about them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylecore.colour import Pixels
from stylecore.errors import PhotoError
from stylecore.images import exif
from stylecore.images.channels import split_samples
from stylecore.images.preview import opened_picture

MAX_DPI = 100_000
CheckSize = Callable[[int, int], None]
"""Called with (width, height) before anything is decoded. Raises PhotoError."""


@dataclass(frozen=True)
class Picture:
    """``samples`` and ``alpha`` as in Decoded. ``info``: Pillow's own."""

    samples: Pixels
    alpha: Pixels | None
    info: dict[Any, Any]

    @property
    def profile(self) -> bytes | None:
        return self.info.get("icc_profile") or None

    @property
    def exif(self) -> bytes | None:
        block = self.info.get("exif")
        return block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) else None

    @property
    def turn(self) -> int:
        return exif.orientation(self.exif) if self.exif else 1

    @property
    def xmp(self) -> bytes | None:
        packet = self.info.get("xmp")
        return packet.encode() if isinstance(packet, str) else packet

    @property
    def dpi(self) -> tuple[float, float] | None:
        return as_dpi(self.info.get("dpi"))


def read(path: Path, formats: list[str], check_size: CheckSize) -> Picture:
    """Raises PhotoError, and DECODER_ERRORS and OSError of a damaged file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about small faults in metadata
        with opened_picture(path, formats) as image:
            check_size(image.width, image.height)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format in ("GIF", "PNG", "WEBP", "AVIF"):
                raise PhotoError(
                    f"{path.name} is animated ({frames} frames): save the frame that you want as a separate picture."
                )
            image.load()
            info = {**image.info, "mpo_index": getattr(image, "mpinfo", None)}
            return Picture(*_split(path, image), info)


def as_dpi(pair: Any) -> tuple[float, float] | None:
    """None if it is not a plausible resolution: the pixels are still good."""
    try:
        across, down = float(pair[0]), float(pair[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return None
    return (across, down) if 0 < across < MAX_DPI and 0 < down < MAX_DPI else None


def _split(path: Path, image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """Pillow's 8-bit picture as grey, RGB or CMYK samples, and alpha."""
    if image.mode in ("1", "L") and "transparency" in image.info:
        image = image.convert("LA")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if image.mode in ("RGBX", "YCbCr"):
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("CMYK", "I;16"):
        samples: Pixels = np.asarray(image)
        return samples.reshape(*samples.shape[:2], -1), None
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise PhotoError(f"{path.name} has the pixel mode {image.mode!r}, which is not supported: save it as RGB.")
    return split_samples(np.asarray(image))
