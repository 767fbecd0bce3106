"""HEIC with libheif, and AVIF with libavif: 8, 10 and 12 bits, colours by ICC profile or code points."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stylecore.colour import Pixels
from stylecore.images import boxes, complete, with_pillow, xmp
from stylecore.images.channels import split_samples, straight, widened
from stylecore.images.cicp import Cicp
from stylecore.images.photo import Decoded, Metadata

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
        samples = widened(samples >> (16 - bits), bits)
        alpha = None if alpha is None else widened(alpha >> (16 - bits), bits)
    if alpha is not None and picture.mode.startswith("RGBa"):
        samples = straight(samples, alpha)
    block = picture.info.get("exif")
    metadata = Metadata(exif=block.removeprefix(b"Exif\0\0") if block else None, xmp=picture.info.get("xmp") or None)
    notes = (f"It holds {len(picture)} pictures. The Result has the main one.",) if len(picture) > 1 else ()
    claims = _claims(found, " ".join(picture.info.get("aux") or {}), depth=bool(picture.info.get("depth_images")))
    return Decoded(samples, alpha, _colour(found), metadata, bits=bits, notes=notes, claims=claims)


def read_avif(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    found = boxes.items(path, file)
    boxes.check_pixels(path, file, found)
    picture = with_pillow.read(path, ["AVIF"], check_size)
    samples, alpha, bits = picture.samples, picture.alpha, _avif_bits(found)
    if bits > 8:
        samples, alpha = _deep_avif(path, bits)
    rows, columns = _clean_aperture(found, samples.shape[0], samples.shape[1])
    samples, alpha = samples[rows, columns], None if alpha is None else alpha[rows, columns]
    metadata = Metadata(exif=_exif(file, found), xmp=picture.xmp)  # Pillow's EXIF is its own
    claims = _claims(found, "", depth=False)
    return Decoded(samples, alpha, _colour(found), metadata, picture.turn, bits=bits, claims=claims)


def _claims(found: boxes.Items, auxiliary: str, *, depth: bool) -> frozenset[str]:
    """What is in the file besides the picture."""
    kinds = auxiliary + " ".join(
        body.decode("latin-1") for all_of in found.properties.values() for name, body in all_of if name == b"auxC"
    )
    claims = {
        xmp.GAIN_MAP: "hdrgainmap" in kinds or b"tmap" in found.types.values(),
        xmp.DEPTH: depth or "depth" in kinds,
        xmp.VIDEO: b"mpvd" in found.top_level,
    }
    return frozenset(claim for claim, there in claims.items() if there)


def _exif(file: BinaryIO, found: boxes.Items) -> bytes | None:
    """The EXIF item: the position of the block, counted from behind this number, and the block (ISO 23008-12, A.2)."""
    for item, kind in found.types.items():
        if kind == b"Exif":
            data = b""
            for start, length in found.places.get(item, []):
                file.seek(start)
                data += file.read(min(length, boxes.MAX_META))
            return data[4 + int.from_bytes(data[:4], "big") :] or None
    return None


def _clean_aperture(found: boxes.Items, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns to be shown (ISO 14496-12, 12.1.4)."""
    for name, body in found.properties.get(found.primary, []):
        if name == b"clap" and len(body) >= 32:
            parts = struct.unpack_from(">IIIIiIiI", body)
            wide, high, right, down = (a / b if b else 0.0 for a, b in zip(parts[::2], parts[1::2], strict=True))
            left = round((width - wide) / 2 + right)
            top = round((height - high) / 2 + down)
            if wide >= 1 and high >= 1 and left >= 0 and top >= 0:
                return slice(top, top + round(high)), slice(left, left + round(wide))
    return slice(None), slice(None)


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
    """8, 10 or 12 (AV1 in ISOBMFF, 2.3.3): of the picture, or of the tiles of which it is made."""
    tiles = [item for item, kind in found.types.items() if kind == b"av01"]
    of_grid = found.types.get(found.primary) == b"grid"
    bits = [8]
    for item in tiles if of_grid else [found.primary]:
        for name, body in found.properties.get(item, []):
            if name == b"av1C" and len(body) > 2 and body[2] & 0x40:
                bits.append(12 if body[2] & 0x20 else 10)
    return max(bits)


def _deep_avif(path: Path, bits: int) -> tuple[Pixels, Pixels | None]:
    import imagecodecs

    try:
        samples, alpha = split_samples(imagecodecs.avif_decode(path.read_bytes()))
    except imagecodecs.AvifError as e:
        raise complete.damaged(path) from e
    return widened(samples, bits), None if alpha is None else widened(alpha, bits)


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
