"""TIFF with tifffile: grey, RGB, CMYK and palettes, of 1 to 16 bits, in whatever compression."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stylecore.colour import Pixels
from stylecore.errors import PhotoError
from stylecore.images import complete, directories, exif, iptc, with_pillow
from stylecore.images.channels import straight, widened
from stylecore.images.photo import Decoded, Metadata

MAX_PAGES = 64  # that are checked
MAX_SAMPLES = 32  # per pixel
IPTC, XMP, PHOTOSHOP = 33723, 700, 34377
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}  # channels
GREY = ("MINISWHITE", "MINISBLACK")
JPEG = (6, 7, 33007, 34892)
LEFT_OUT = "Its extra channels (infrared, masks or saved selections) are not in the Result."
OTHER_PAGES = "Its other pages (previews, masks, grey or infrared) are not in the Result."


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError."""
    try:
        return _read(path, file, check_size)
    except (PhotoError, OSError, MemoryError):
        raise
    except Exception as e:  # each of tifffile's many decoders has errors of its own
        raise complete.damaged(path) from e


def is_raw(file: BinaryIO) -> bool:
    """Whether the file is a camera's RAW: it has a mosaic of colour filters, or linear RAW, in one of its directories,
    or calls itself a DNG and does not begin with a whole picture."""
    reader = directories.Reader(file)
    if any(reader.number(directory, 0x106) in (32803, 34892) for directory in reader.all()):
        return True
    whole = reader.number(reader.main, 0x106) in (1, 2) and not (reader.number(reader.main, 0xFE) or 0) & 1
    return 0xC612 in reader.main and not whole  # DNGVersion


def _read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    import tifffile

    _check_main_directory(path, file)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says about damaged files is said by us
    with tifffile.TiffFile(path) as tiff:
        page, notes = _picture_of(path, tiff)
        check_size(page.imagewidth, page.imagelength)
        _check_kind(path, page)
        notes += _check_complete(path, file, page)
        samples, alpha, more = _samples(path, page)
        tags = {tag: _bytes_of(file, page, tag) for tag in (IPTC, XMP, PHOTOSHOP)}
        turn = page.tags.valueof(exif.ORIENTATION)
        metadata = Metadata(
            exif=exif.from_tiff(file, at=page.offset),
            xmp=tags[XMP],
            iptc=tags[IPTC] or iptc.from_resources(tags[PHOTOSHOP] or b""),
            dpi=_dpi(page),
        )
        turn = turn if turn in range(1, 9) else 1
        bits = max(8, int(page.bitspersample))
        return Decoded(samples, alpha, page.iccprofile, metadata, turn, bits, (*notes, *more))


def _picture_of(path: Path, tiff: Any) -> tuple[Any, list[str]]:
    """The page that is the picture, and notes. Raises PhotoError if there are several."""
    pages = list(itertools.islice(tiff.pages, MAX_PAGES))  # endless in a damaged file
    within = [page for of_page in pages for page in itertools.islice(of_page.pages or (), MAX_PAGES)]
    whole = [page for page in pages if not _is_aside(page)] or [page for page in within if not _is_aside(page)]
    largest = max((page.imagewidth for page in whole), default=0)
    whole = [page for page in whole if page.imagewidth > largest / 2]
    coloured = [page for page in whole if _photometric(page) not in GREY] or whole
    if not coloured and len(pages) == 1 and not within:
        coloured = pages  # whatever it calls itself
    if not coloured:
        raise PhotoError(f"{path.name} contains only previews or masks: save the picture itself.")
    if len(coloured) > 1:
        raise PhotoError(f"{path.name} has several pages: save the page that you want as a separate picture.")
    return coloured[0], [OTHER_PAGES] if len(pages) > 1 else []


def _is_aside(page: Any) -> bool:
    """A preview, or a mask."""
    return bool(page.is_reduced or page.is_mask)


def _photometric(page: Any) -> str:
    return str(getattr(page.photometric, "name", page.photometric))


def _check_kind(path: Path, page: Any) -> None:
    """Raises PhotoError for what is not a picture of whole numbers in colours that we know."""
    kind, bits = _photometric(page), page.bitspersample
    known = kind in COLOURS and page.dtype in (np.bool_, np.uint8, np.uint16) and isinstance(bits, int)
    inks = page.tags.valueof(332, default=1)
    subsampled = kind == "YCBCR" and page.compression not in JPEG
    if not known or subsampled or page.imagedepth != 1 or (kind == "SEPARATED" and inks != 1):
        raise PhotoError(
            f"{path.name} is a TIFF of type {kind}, {page.dtype}, which is not supported: save it as RGB of 8 or 16 "
            "bits."
        )
    if page.samplesperpixel > MAX_SAMPLES:
        raise PhotoError(f"{path.name} has {page.samplesperpixel} channels, which is not supported: save it as RGB.")


def _samples(path: Path, page: Any) -> tuple[Pixels, Pixels | None, list[str]]:
    samples = page.asarray()
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8)
    if int(page.planarconfig) == 2 and samples.ndim == 3:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    kind, bits = _photometric(page), page.bitspersample
    channels = COLOURS[kind]
    extras = [int(extra) for extra in page.extrasamples or ()]
    extras += [0] * (samples.shape[2] - channels - len(extras))
    raw = samples[..., :channels]
    if raw.shape[2] != channels:
        raise PhotoError(f"{path.name} has {samples.shape[2]} channels, which is not supported: save it as RGB.")
    raw = _looked_up(raw, page.colormap) if kind == "PALETTE" else widened(raw, bits)
    if kind == "MINISWHITE":
        raw = np.iinfo(raw.dtype).max - raw
    kinds = [extra in (1, 2) for extra in extras]  # associated, unassociated alpha (TIFF 6.0)
    if True not in kinds:
        return np.ascontiguousarray(raw), None, [LEFT_OUT] if extras else []
    at = kinds.index(True)
    alpha = widened(np.ascontiguousarray(samples[..., channels + at]), bits)
    raw = straight(raw, alpha) if extras[at] == 1 else np.ascontiguousarray(raw)
    return raw, alpha, [LEFT_OUT] if len(extras) > 1 else []


def _looked_up(indices: Pixels, palette: Any) -> Pixels:
    """Palettes have 16 bits, which most programs fill with 8."""
    colours = np.asarray(palette).T  # (n, 3)
    if colours.max() > 255:
        colours = colours >> 8
    out: Pixels = colours.astype(np.uint8)[np.minimum(indices[..., 0], len(colours) - 1)]
    return out


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
