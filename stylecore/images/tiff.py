"""TIFF of grey, RGB and CMYK in 8 and 16 bits with tifffile; the other kinds with Pillow."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stylecore.colour import Pixels
from stylecore.errors import PhotoError
from stylecore.images import complete, directories, exif, iptc, with_pillow
from stylecore.images.photo import Decoded, Metadata

MAX_PAGES = 64  # that are checked
MAX_SAMPLES = 32  # per pixel
IPTC, XMP, PHOTOSHOP = 33723, 700, 34377
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3, "SEPARATED": 4}  # channels, by photometric interpretation
JPEG = (6, 7)
LEFT_OUT = "Its extra channels (infrared, masks or saved selections) are not in the Result."
OTHER_PAGES = "Its other pages (previews, masks, grey or infrared) are not in the Result."


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    try:
        return _read(path, file, check_size)
    except (PhotoError, OSError, MemoryError):
        raise
    except Exception as e:  # each of tifffile's many decoders has errors of its own
        raise complete.damaged(path) from e


def _read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    import tifffile

    _check_main_directory(path, file)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says about damaged files is said by us
    with tifffile.TiffFile(path) as tiff:
        number, page, notes = _picture_of(path, tiff)
        check_size(page.imagewidth, page.imagelength)
        notes += _check_complete(path, file, page)
        if _is_plain(page):
            samples, alpha, more = _samples(path, page)
            notes += more
        elif page.dtype != np.uint8 and page.bitspersample != 1:
            raise PhotoError(
                f"{path.name} is a TIFF of type {_photometric(page)}, {page.dtype}, which is not supported: save it as "
                "RGB of 8 or 16 bits."
            )
        else:
            picture = with_pillow.read(path, ["TIFF"], check_size, page=number)
            samples, alpha = picture.samples, picture.alpha
        tags = {tag: _bytes_of(file, page, tag) for tag in (IPTC, XMP, PHOTOSHOP)}
        turn = page.tags.valueof(exif.ORIENTATION) if _is_plain(page) else 1  # Pillow has turned it upright
        metadata = Metadata(
            exif=exif.from_tiff(file),
            xmp=tags[XMP],
            iptc=tags[IPTC] or iptc.from_resources(tags[PHOTOSHOP] or b""),
            dpi=_dpi(page),
        )
        bits = max(8, int(page.bitspersample))
        return Decoded(
            samples, alpha, page.iccprofile, metadata, turn if turn in range(1, 9) else 1, bits, tuple(notes)
        )


def is_raw(file: BinaryIO) -> bool:
    """Whether the file is a camera's RAW: a mosaic of colour filters, or linear RAW, in one of its directories."""
    reader = directories.Reader(file)
    if 0xC612 in reader.main:  # DNGVersion
        return True
    return any(reader.number(directory, 0x106) in (32803, 34892) for directory in reader.all())


def _picture_of(path: Path, tiff: Any) -> tuple[int, Any, list[str]]:
    """The number of the page that is the picture, that page, and notes. Raises PhotoError if there are several."""
    pages = list(itertools.islice(tiff.pages, MAX_PAGES))  # endless in a damaged file
    largest = max((page.imagewidth for page in pages if not _is_aside(page)), default=0)
    whole = [page for page in pages if not _is_aside(page) and page.imagewidth > largest / 2] or pages[:1]
    coloured = [page for page in whole if _photometric(page) not in ("MINISWHITE", "MINISBLACK")] or whole
    if len(coloured) != 1:
        raise PhotoError(f"{path.name} has several pages: save the page that you want as a separate picture.")
    rest = [page for page in pages if page is not coloured[0] and not page.is_reduced]
    return pages.index(coloured[0]), coloured[0], [OTHER_PAGES] if rest else []


def _is_aside(page: Any) -> bool:
    """A preview, or a mask."""
    return bool(page.is_reduced or page.is_mask)


def _photometric(page: Any) -> str:
    return str(getattr(page.photometric, "name", page.photometric))


def _is_plain(page: Any) -> bool:
    """tifffile has read it; JPEG has its own colours, and 1 bit or a palette is Pillow's."""
    if _photometric(page) not in COLOURS or page.compression in JPEG or page.bitspersample == 1:
        return False
    return bool(page.dtype == np.uint16 or (page.dtype == np.uint8 and page.bitspersample == 8))


def _samples(path: Path, page: Any) -> tuple[Pixels, Pixels | None, list[str]]:
    if page.samplesperpixel > MAX_SAMPLES or page.imagedepth != 1:
        raise PhotoError(f"{path.name} has {page.samplesperpixel} channels, which is not supported: save it as RGB.")
    samples = page.asarray()
    if int(page.planarconfig) == 2 and samples.ndim == 3:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    channels = COLOURS[_photometric(page)]
    extras = [int(kind) for kind in page.extrasamples or ()]
    extras += [0] * (samples.shape[2] - channels - len(extras))
    raw = _to_16_bits(samples[..., :channels], page.bitspersample)
    if raw.shape[2] != channels:
        raise PhotoError(f"{path.name} has {samples.shape[2]} channels, which is not supported: save it as RGB.")
    if _photometric(page) == "MINISWHITE":
        raw = np.iinfo(raw.dtype).max - raw
    kinds = [kind in (1, 2) for kind in extras]  # associated, unassociated alpha (TIFF 6.0)
    if True not in kinds:
        return np.ascontiguousarray(raw), None, [LEFT_OUT] if extras else []
    at = kinds.index(True)
    alpha = _to_16_bits(np.ascontiguousarray(samples[..., channels + at]), page.bitspersample)
    raw = _straight(raw, alpha) if extras[at] == 1 else np.ascontiguousarray(raw)
    return raw, alpha, [LEFT_OUT] if len(extras) > 1 else []


def _check_main_directory(path: Path, file: BinaryIO) -> None:
    """Many programs write it at the end. Raises PhotoError if it is not there."""
    reader, size = directories.Reader(file), complete.size_of(file)
    if reader.start + 2 > size or reader.end(reader.start) > size:
        raise complete.cut_off(path)
    if not reader.main:
        file.seek(reader.start)
        raise complete.damaged(path) if file.read().strip(b"\0") else complete.not_copied(path)


def _check_complete(path: Path, file: BinaryIO, page: Any) -> list[str]:
    """Whether all strips or tiles are in the file. Returns notes. Raises PhotoError."""
    pieces = [(start, start + length) for start, length in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not pieces:
        raise complete.damaged(path)
    if any(end > complete.size_of(file) for _, end in pieces):
        raise complete.cut_off(path)
    last = max(pieces, key=lambda piece: piece[1])
    compressed = int(page.compression) != 1
    start = last[0] if compressed else min(start for start, _ in pieces)
    return list(complete.check_pixels(path, file, start, last[1], compressed=compressed))


def _to_16_bits(samples: Pixels, bits: int) -> Pixels:
    """Scale samples of 9 to 15 bits, which are stored in 16. Others stay as they are."""
    if samples.dtype != np.uint16 or bits == 16:
        return samples
    out: Pixels = (samples.astype(np.uint32) * 65535 // (2**bits - 1)).clip(0, 65535)
    return out.astype(np.uint16)


def _straight(raw: Pixels, alpha: Pixels) -> Any:
    """Undo the multiplication of colours by their alpha (TIFF 6.0, associated alpha)."""
    top = np.iinfo(raw.dtype).max
    share = np.maximum(alpha, 1).astype(np.float32)[..., None] / np.float32(top)
    return np.rint(raw / share).clip(0, top).astype(raw.dtype)


def _bytes_of(file: BinaryIO, page: Any, tag: int) -> bytes | None:
    """A tag's bytes as they are in the file, whatever type it declares."""
    found = page.tags.get(tag)
    if found is None:
        return None
    length = found.count * directories.SIZES.get(int(found.dtype), 1)
    file.seek(found.valueoffset)
    return file.read(length) if 0 < length <= directories.MAX_BYTES else None


def _dpi(page: Any) -> tuple[float, float] | None:
    """Pixels per inch, across and down. None if the tags are wrong: the pixels are still good."""
    try:
        unit = {2: 1.0, 3: 2.54}[int(page.tags.valueof(296, default=2))]  # inch, centimetre
        (across, by), (down, per) = page.tags.valueof(282), page.tags.valueof(283)
        return with_pillow.as_dpi((across / by * unit, down / per * unit))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
