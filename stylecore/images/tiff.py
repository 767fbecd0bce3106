"""TIFF of grey and RGB in 8 and 16 bits, with tifffile."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stylecore.colour import Pixels
from stylecore.errors import PhotoError
from stylecore.images import exif

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 64  # that are checked


def read_tiff(path: Path, check_size: Callable[[int, int], None]) -> tuple[Any, ...] | None:
    """Samples (height, width, 1 or 3), alpha or None, profile, EXIF block, XMP, orientation, pixels per inch. None for
    the kinds of TIFF that Pillow reads better. Raises PhotoError, and what ``check_size(width, height)`` raises."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages.first
            check_size(page.imagewidth, page.imagelength)
            every: Any = tiff.pages  # endless in a damaged file whose directories point to each other
            whole = (p for p in itertools.islice(every, MAX_PAGES) if not p.is_reduced)  # cameras add small previews
            if len(list(itertools.islice(whole, 2))) > 1:
                raise PhotoError(f"{path.name} has several pages: save the page that you want as a separate picture.")
            photometric = getattr(page.photometric, "name", str(page.photometric))
            plain = photometric in ("RGB", "MINISBLACK") and page.compression not in (6, 7)  # JPEG has its own colours
            if page.bitspersample == 1 or (page.dtype == np.uint8 and not (plain and page.bitspersample == 8)):
                return None
            if page.dtype not in (np.uint8, np.uint16) or not plain:
                raise PhotoError(
                    f"{path.name} is a TIFF of type {photometric}, {page.dtype}, which is not supported: save it as "
                    "RGB of 8 or 16 bits."
                )
            samples = page.asarray()
            if int(page.planarconfig) == 2 and samples.ndim == 3:
                samples = np.moveaxis(samples, 0, -1)
            raw, alpha = split_samples(np.ascontiguousarray(samples))
            raw, alpha = (_to_16_bits(part, page.bitspersample) for part in (raw, alpha))
            if alpha is not None and tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples[:1]:
                raw = _straight(raw, alpha)
            dpi = _tiffs_dpi(page)
            xmp, profile, turn = page.tags.valueof(700), page.iccprofile, page.tags.valueof(274)
    except PhotoError:
        raise
    except Exception as e:  # each of tifffile's many decoders has errors of its own
        raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from the original.") from e
    with path.open("rb") as file:
        block = exif.from_tiff(file)
    return raw, alpha, profile, block, xmp, turn if turn in range(1, 9) else 1, dpi


def split_samples(samples: Pixels) -> tuple[Pixels, Pixels | None]:
    """(height, width[, 1 to 4]) to grey or RGB, and alpha, which is the second or the fourth channel."""
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.shape[2] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    return samples[..., :3], None


def _to_16_bits(samples: Any, bits: int) -> Any:
    """Scale samples of 9 to 15 bits, which are stored in 16. Others stay as they are."""
    if samples is None or samples.dtype != np.uint16 or bits == 16:
        return samples
    return (samples.astype(np.uint32) * 65535 // (2**bits - 1)).clip(0, 65535).astype(np.uint16)


def _straight(raw: Pixels, alpha: Pixels) -> Any:
    """Undo the multiplication of colours by their alpha (TIFF 6.0, associated alpha)."""
    top = np.iinfo(raw.dtype).max
    share = np.maximum(alpha, 1).astype(np.float32)[..., None] / np.float32(top)
    return np.rint(raw / share).clip(0, top).astype(raw.dtype)


def _tiffs_dpi(page: Any) -> tuple[float, float] | None:
    """Pixels per inch, across and down. None if the tags are wrong: the pixels are still good."""
    try:
        unit = {2: 1.0, 3: 2.54}[int(page.tags.valueof(296, default=2))]  # inch, centimetre
        (across, by), (down, per) = page.tags.valueof(282), page.tags.valueof(283)
        return across / by * unit, down / per * unit
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
