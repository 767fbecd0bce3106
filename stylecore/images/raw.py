"""Cameras' RAW files, with LibRaw. They are recognised by their contents, and then by their name."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from stylecore.colour import Pixels
from stylecore.errors import PhotoError
from stylecore.images import boxes, complete, exif, icc, iptc, jpeg, tiff
from stylecore.images.cicp import SRGB_SPACE
from stylecore.images.directories import Reader, Tree
from stylecore.images.photo import Decoded, Metadata
from stylecore.images.preview import DECODER_ERRORS
from stylecore.images.with_pillow import CheckSize

SRGB_GAMMA = (2.4, 12.92)  # exponent and slope at the toe; LibRaw's own default is BT.709's
CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")  # the CR3 box that holds CMT1, CMT2, ...
LEAST_GAIN = 1.05
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
STRIPS, TILES = (0x111, 0x117), (0x144, 0x145)  # tags of positions and lengths
COMPRESSION = 0x103


def read(path: Path, file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Raises PhotoError."""
    try:
        import rawpy
    except ImportError as e:
        raise PhotoError(f"{path.name} is a RAW file: to read it, run `pip install 'stylefolder[raw]'`.") from e
    notes = _check_complete(path, file)
    try:
        with rawpy.imread(str(path)) as raw:
            check_size(raw.sizes.width, raw.sizes.height)
            pixels: Any = raw.postprocess(use_camera_wb=True, output_bps=16, gamma=SRGB_GAMMA, no_auto_bright=True)
            pixels = _exposed_as(_preview(raw), pixels)
    except rawpy.LibRawFileUnsupportedError as e:
        raise PhotoError(
            f"{path.name} is a RAW file of a kind that cannot be read: convert it to DNG, TIFF or JPEG."
        ) from e
    except rawpy.LibRawError as e:
        raise complete.damaged(path) from e
    # LibRaw has converted the colours, whatever space EXIF says the camera was set to.
    return Decoded(pixels, colour=SRGB_SPACE, metadata=_metadata(path, file), bits=16, notes=notes)


def is_known(path: Path) -> bool:
    """Whether LibRaw takes a TIFF without a mosaic for a camera's RAW. A DNG would say that it is one."""
    if path.suffix.lower() in (".dng", ".gpr"):
        return False
    try:
        import rawpy

        with rawpy.imread(str(path)):
            return True
    except ImportError:
        return True  # then `read` says what is missing
    except rawpy.LibRawFileUnsupportedError:
        return False
    except rawpy.LibRawError:
        return True


def _preview(raw: Any) -> Pixels | None:
    """The camera's own rendering, small, or None."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
        if thumbnail.format == rawpy.ThumbFormat.BITMAP:
            return np.asarray(thumbnail.data)
        with Image.open(io.BytesIO(thumbnail.data)) as image:
            image.draft("RGB", (256, 256))
            return np.asarray(image.convert("RGB"))
    except (rawpy.LibRawError, OSError, *DECODER_ERRORS):
        return None


def _exposed_as(preview: Pixels | None, pixels: Pixels) -> Pixels:
    """Cameras expose RAW for the highlights and brighten their own rendering: do as they did, but clip no more than a
    hundredth of the picture. Both are sRGB; ``pixels`` are uint16."""
    if preview is None or preview.ndim != 3:
        return pixels
    linear = icc.srgb_to_linear(np.linspace(0, 1, 65536)).astype(np.float32)
    step = max(1, max(pixels.shape) // 512)
    own, theirs = linear[pixels[::step, ::step]], linear[preview[..., :3].astype(np.uint32) * 257]
    room = 1 / max(float(np.quantile(own.max(-1), 0.99)), 1e-3)
    gain = min(float(theirs.mean()) / max(float(own.mean()), 1e-6), room)
    if gain < LEAST_GAIN:
        return pixels
    table = np.rint(icc.linear_to_srgb((linear * gain).clip(0, 1)) * 65535).astype(np.uint16)
    out: Pixels = table[pixels]
    return out


def _check_complete(path: Path, file: BinaryIO) -> tuple[str, ...]:
    """Returns notes. Raises PhotoError."""
    file.seek(0)
    head, size = file.read(112), complete.size_of(file)
    if head[4:8] == b"ftyp":
        *_, box = boxes.top_level(path, file)
        return complete.check_pixels(path, file, box.start, box.end, compressed=True)
    if head.startswith(b"FUJIFILM"):
        start, length = struct.unpack(">II", head[100:108]) if len(head) >= 108 else (0, 0)
        return complete.check_pixels(path, file, start, start + length, compressed=False)
    notes: tuple[str, ...] = ()
    found = False
    reader = Reader(file)
    for directory in reader.all():
        compressed = reader.number(directory, COMPRESSION) not in (None, 1)
        for where, lengths in (STRIPS, TILES):
            pieces = list(zip(reader.numbers(directory, where), reader.numbers(directory, lengths), strict=False))
            if not pieces:
                continue
            last, length = max(pieces, key=sum)
            start = last if compressed else min(piece for piece, _ in pieces)
            if start < size:  # a camera's own mark in place of a position is none
                found = True
                notes += complete.check_pixels(path, file, start, last + length, compressed=compressed)
    if not found:  # of a maker who describes the pixels elsewhere
        notes = complete.check_pixels(path, file, 0, size, compressed=False)
    return tuple(dict.fromkeys(notes))


def _metadata(path: Path, file: BinaryIO) -> Metadata:
    reader = Reader(file)
    packet, record, resources = (reader.text(reader.main, tag) for tag in (tiff.XMP, tiff.IPTC, tiff.PHOTOSHOP))
    packet = packet or _canon_xmp(path, file)
    return Metadata(_exif(path, file), packet or None, record or iptc.from_resources(resources))


def _canon_xmp(path: Path, file: BinaryIO) -> bytes:
    file.seek(4)
    if file.read(4) != b"ftyp":
        return b""
    for box in boxes.top_level(path, file):
        if box.name == b"uuid" and box.end - box.start <= boxes.MAX_META:
            file.seek(box.start)
            data = file.read(box.end - box.start)
            if data.startswith(XMP_BOX):
                return data.removeprefix(XMP_BOX)
    return b""


def _exif(path: Path, file: BinaryIO) -> bytes | None:
    """From where each maker keeps it."""
    file.seek(0)
    head = file.read(92)
    if head[4:8] == b"ftyp":
        return _canon_exif(path, file)
    if head.startswith(b"FUJIFILM"):  # in the preview
        start, length = struct.unpack(">II", head[84:92])
        file.seek(start)
        return _preview_exif(file.read(length))
    if head.startswith(b"FOVb"):
        file.seek(0)
        data = file.read()
        previews = (data[found.start() :] for found in re.finditer(b"\xff\xd8\xff", data))
        return next(filter(None, map(_preview_exif, previews)), None)
    if head.startswith(b"\0MRM"):
        return _minolta_exif(file)
    return exif.from_tiff(file)


def _preview_exif(data: bytes) -> bytes | None:
    blocks = jpeg.segments_of(data).starting(jpeg.APP1, b"Exif\0\0")
    return exif.from_tiff(blocks[0]) if blocks else None


def _minolta_exif(file: BinaryIO) -> bytes | None:
    """MRW: blocks of a name and a length after the header; TTW holds a TIFF block."""
    at = 8
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, length = struct.unpack(">4sI", header)
        if name == b"\0TTW":
            return exif.from_tiff(file.read(length))
        at += 8 + length


def _canon_exif(path: Path, file: BinaryIO) -> bytes | None:
    """CR3: the main directory, EXIF's and GPS' are TIFF blocks of their own. Maker notes (CMT3) cannot be moved: their
    offsets count from their own start."""
    moov = b""
    for box in boxes.top_level(path, file):
        if box.name == b"moov" and box.end - box.start <= boxes.MAX_META:
            file.seek(box.start)
            moov = file.read(box.end - box.start)
    for box in boxes.within(moov):
        if box.name == b"uuid" and moov[box.start : box.start + 16] == CANON:
            parts = {b.name: moov[b.start : b.end] for b in boxes.within(moov, box.start + 16, box.end)}
            main, details, gps = (Reader(parts.get(name, b"")) for name in (b"CMT1", b"CMT2", b"CMT4"))
            if not main.order:
                return None
            own = {tag: entry for tag, entry in main.main.items() if tag in (*exif.DESCRIPTIVE, exif.ORIENTATION)}
            children = {exif.EXIF_IFD: Tree(details.main), exif.GPS_IFD: Tree(gps.main)}
            return exif.as_block(main.order, Tree(own, children))
    return None
