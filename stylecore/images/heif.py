"""HEIC with libheif, and AVIF with libavif: 8, 10 and 12 bits, colours by ICC profile or code points."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stylecore.colour import Pixels
from stylecore.images import boxes, complete, with_pillow
from stylecore.images.cicp import Cicp
from stylecore.images.photo import Decoded, Metadata
from stylecore.images.with_pillow import split_samples

SAVED_BITS = (10, 12)  # besides 8


def read_heic(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """libheif turns the picture upright. Raises PhotoError, and what libheif raises."""
    import pillow_heif

    found = boxes.items(path, file)
    boxes.check_pixels(path, file, found)
    picture: Any = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    check_size(*picture.size)
    samples, alpha = split_samples(np.asarray(picture))
    bits = int(picture.info.get("bit_depth", 8))
    if samples.dtype == np.uint16:
        samples = _to_16_bits(samples >> (16 - bits), bits)
        alpha = None if alpha is None else _to_16_bits(alpha >> (16 - bits), bits)
    block = picture.info.get("exif")
    metadata = Metadata(exif=block.removeprefix(b"Exif\0\0") if block else None, xmp=picture.info.get("xmp") or None)
    kinds = " ".join(picture.info.get("aux") or {})
    others = [("gain map", "hdrgainmap" in kinds), ("depth map", bool(picture.info.get("depth_images")))]
    notes = tuple(f"The {name} is not in the Result." for name, there in others if there)
    return Decoded(samples, alpha, _colour(found), metadata, bits=bits, notes=notes)


def read_avif(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    found = boxes.items(path, file)
    boxes.check_pixels(path, file, found)
    picture = with_pillow.read(path, ["AVIF"], check_size)
    samples, alpha, bits = picture.samples, picture.alpha, _avif_bits(found)
    if bits > 8:
        samples, alpha = _deep_avif(path, bits)
    metadata = Metadata(exif=picture.exif, xmp=picture.xmp)
    return Decoded(samples, alpha, _colour(found), metadata, picture.turn, bits=bits)


def _colour(found: boxes.Items) -> bytes | Cicp | None:
    """Of an ICC profile and code points, the profile describes the colours (ISO 23008-12, 6.5.5)."""
    bodies = [body for name, body in found.properties.get(found.primary, []) if name == b"colr"]
    for body in bodies:
        if body[:4] in (b"prof", b"rICC"):
            return body[4:]
    for body in bodies:
        if body[:4] == b"nclx" and len(body) >= 10:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            return Cicp(primaries, transfer)  # the decoder has expanded a limited range
    return None


def _avif_bits(found: boxes.Items) -> int:
    """8, 10 or 12 (AV1 in ISOBMFF, 2.3.3)."""
    for name, body in found.properties.get(found.primary, []):
        if name == b"av1C" and len(body) > 2:
            return (12 if body[2] & 0x20 else 10) if body[2] & 0x40 else 8
    return 8


def _deep_avif(path: Path, bits: int) -> tuple[Pixels, Pixels | None]:
    import imagecodecs

    try:
        samples, alpha = split_samples(imagecodecs.avif_decode(path.read_bytes()))
    except imagecodecs.AvifError as e:
        raise complete.damaged(path) from e
    return _to_16_bits(samples, bits), None if alpha is None else _to_16_bits(alpha, bits)


def _to_16_bits(samples: Pixels, bits: int) -> Pixels:
    out: Pixels = samples.astype(np.uint32) * 65535 // (2**bits - 1)
    return out.astype(np.uint16)


def encode_heic(pixels: Pixels, quality: int, bits: int, metadata: Metadata, profile: bytes | None) -> bytes:
    """(height, width, 3 or 4): uint8 as 8 bits, uint16 as 10 or 12."""
    import pillow_heif

    deep = pixels.dtype == np.uint16
    mode = ("RGBA" if pixels.shape[2] == 4 else "RGB") + (";16" if deep else "")
    pillow_heif.options.SAVE_HDR_TO_12_BIT = deep and bits > SAVED_BITS[0]
    picture = pillow_heif.from_bytes(mode, (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
    out = io.BytesIO()
    given: dict[str, Any] = {
        "exif": metadata.exif and b"Exif\0\0" + metadata.exif,
        "xmp": metadata.xmp,
        "icc_profile": profile,
    }
    picture.save(out, quality=quality, chroma=444, **{key: value for key, value in given.items() if value})
    return out.getvalue()
