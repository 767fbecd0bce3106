"""A Result: the styled picture at the photo's size, and how it becomes a file with the photo's metadata."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylecore.colour import Pixels
from stylecore.errors import EncodeError, ResultError
from stylecore.images import exif, icc
from stylecore.images.atomic_write import write_whole
from stylecore.images.formats import EXTENSIONS, LARGEST_EDGE, READ_ONLY, SIXTEEN_BITS, one_suffix
from stylecore.images.photo import Photo
from stylecore.preset import Output

JPEG_SEGMENT = 65_533 - 6
ENCODER_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    SyntaxError,
    KeyError,
)  # some encoders parse the EXIF


@dataclass(frozen=True)
class Result:
    """``pixels``: (height, width, 3), sRGB, of the photo's size and type. ``steps`` taken, ``seconds`` spent, ``loss``
    at the end (None if nothing was optimised), ``device`` in words."""

    photo: Photo
    pixels: Pixels
    steps: int
    seconds: float
    loss: float | None
    device: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]


def output_format(photo_format: str, output: Output, path: Path | None = None) -> str:
    """The format of a Result: what the file's extension asks for, else the Preset's, else the photo's own. Raises
    ResultError for an unknown extension."""
    if path is not None:
        for name, extension in EXTENSIONS.items():
            if one_suffix(path.suffix) == extension:
                return name
        known = ", ".join(EXTENSIONS.values())
        raise ResultError(f"{path.name}: {path.suffix!r} is not a known format: use one of {known}.")
    if output.format != "same" and photo_format != "npy":  # whoever sends bare samples gets bare samples
        return output.format
    return READ_ONLY.get(photo_format, photo_format)


def save_result(result: Result, path: Path, output: Output, format: str | None = None) -> list[str]:
    """Write the whole file or nothing. Returns notes on what the format could not hold. Raises ResultError."""
    kind = format or output_format(result.photo.format, output, path)
    data, notes = encode(result, kind, output.quality)
    write_whole(path, data)
    return notes


def encode(result: Result, kind: str, quality: int) -> tuple[bytes, list[str]]:
    """The file's bytes, and notes on what the format could not hold. Raises EncodeError if it cannot hold the
    picture."""
    width, height = result.size
    if max(width, height) > LARGEST_EDGE.get(kind, 1 << 30):
        raise EncodeError(
            f"{kind} can hold {LARGEST_EDGE[kind]} pixels per side, not {width} x {height}: choose tiff or png."
        )
    photo, notes = result.photo, []
    pixels, alpha = result.pixels, photo.alpha
    if photo.profile:
        pixels = icc.from_srgb(pixels, photo.profile)
    if pixels.dtype == np.uint16 and kind not in SIXTEEN_BITS:
        notes.append(f"{kind} holds 8 bits per channel, so 16 bits were reduced to 8.")
        pixels, alpha = _to_8_bits(pixels), None if alpha is None else _to_8_bits(alpha)
    if alpha is not None and kind == "jpeg":
        notes.append("jpeg has no transparency, so transparent areas became white.")
        share = (alpha / np.float32(255))[..., None]
        pixels = np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)
    elif alpha is not None:
        pixels = np.dstack([pixels, alpha])
    block = exif.corrected(photo.exif, width, height, _thumbnail(result)) if photo.exif else None
    xmp = _corrected_xmp(photo.xmp, width, height) if photo.xmp else None
    if kind == "jpeg":
        block, xmp = _fitting_jpeg(block, xmp, notes)
    metadata = Metadata(block, xmp, photo.profile, photo.dpi)
    try:
        return _ENCODERS[kind](pixels, quality, metadata), notes
    except ENCODER_ERRORS as e:
        if block is None:
            raise EncodeError(f"The Result cannot be encoded as {kind} ({e}): choose another format.") from e
    try:
        return _ENCODERS[kind](pixels, quality, replace(metadata, exif=None)), [
            *notes,
            f"Its EXIF is damaged and {kind} rejects it, so it was left out.",
        ]
    except ENCODER_ERRORS as e:
        raise EncodeError(f"The Result cannot be encoded as {kind} ({e}): choose another format.") from e


def _fitting_jpeg(block: bytes | None, xmp: bytes | None, notes: list[str]) -> tuple[bytes | None, bytes | None]:
    """As much of the EXIF and XMP as a JPEG's segments can hold. Adds what was left out to ``notes``."""
    if block and len(block) > JPEG_SEGMENT:
        notes.append("Its maker notes are larger than a JPEG can hold and were left out.")
        block = exif.from_tiff(io.BytesIO(block), makers_notes=False)
    if block and len(block) > JPEG_SEGMENT:
        notes.append("Its EXIF is larger than a JPEG can hold and was left out.")
        block = None
    if xmp and len(xmp) > JPEG_SEGMENT - 29:
        notes.append("Its XMP is larger than a JPEG can hold and was left out.")
        xmp = None
    return block, xmp


def _to_8_bits(samples: Pixels) -> Pixels:
    return ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _thumbnail(result: Result) -> Callable[[], Image.Image]:
    def make() -> Image.Image:
        step = max(1, max(result.size) // 640)
        pixels = np.ascontiguousarray(result.pixels[::step, ::step])
        return Image.fromarray(_to_8_bits(pixels) if pixels.dtype == np.uint16 else pixels)

    return make


def _corrected_xmp(packet: bytes, width: int, height: int) -> bytes:
    """Correct orientation and dimensions in an XMP packet, as attributes or elements, and remove a thumbnail."""
    for name, value in (
        ("tiff:Orientation", 1), ("tiff:ImageWidth", width), ("tiff:ImageLength", height),
        ("exif:PixelXDimension", width), ("exif:PixelYDimension", height),
    ):  # fmt: skip
        pattern = rf"({name}\s*(?:=\s*[\"']|>\s*))\d+"
        packet = re.sub(pattern.encode(), rb"\g<1>" + str(value).encode(), packet)
    start = packet.find(b"<xmp:Thumbnails")
    end = packet.find(b"</xmp:Thumbnails>", start)
    return packet[:start] + packet[end + len(b"</xmp:Thumbnails>") :] if 0 <= start < end else packet


@dataclass(frozen=True)
class Metadata:
    """What goes into a file with the pixels, as in Photo."""

    exif: bytes | None
    xmp: bytes | None
    profile: bytes | None
    dpi: tuple[float, float] | None


Encoder = Callable[[Pixels, int, Metadata], bytes]


def _pillow(kind: str, **options: Any) -> Encoder:
    def encode_with(pixels: Pixels, quality: int, metadata: Metadata) -> bytes:
        if kind == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        given: dict[str, Any] = {
            "exif": metadata.exif and b"Exif\0\0" + metadata.exif,
            "xmp": metadata.xmp,
            "icc_profile": metadata.profile,
        }
        if kind == "JPEG":
            given["dpi"] = metadata.dpi
        out = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image.save(out, kind, quality=quality, **options, **{k: v for k, v in given.items() if v})
        return out.getvalue()

    return encode_with


def _png(pixels: Pixels, quality: int, metadata: Metadata) -> bytes:
    """8 or 16 bits; the chunks iCCP, pHYs, eXIf and iTXt come before the pixels (PNG specification, third edition)."""
    import imagecodecs

    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=4))
    chunks = b""
    if metadata.profile:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.profile))
    if metadata.dpi:
        chunks += _chunk(
            b"pHYs", struct.pack(">IIB", *(round(edge / 0.0254) for edge in metadata.dpi), 1)
        )  # pixels a metre
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    after_header = 8 + 25
    return data[:after_header] + chunks + data[after_header:]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _tiff(pixels: Pixels, quality: int, metadata: Metadata) -> bytes:
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="rgb",
        compression="adobe_deflate",
        predictor=True,
        rowsperstrip=64,
        extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
        iccprofile=metadata.profile,
        resolution=metadata.dpi,
        resolutionunit="inch" if metadata.dpi else None,
        metadata=None,
        software=False,
        extratags=[(700, 1, len(metadata.xmp), metadata.xmp, True)] if metadata.xmp else None,
    )
    data = bytearray(out.getbuffer())
    if metadata.exif:
        exif.append_to_tiff(data, metadata.exif)
    return bytes(data)


def _npy(pixels: Pixels, quality: int, metadata: Metadata) -> bytes:
    out = io.BytesIO()
    np.save(out, pixels, allow_pickle=False)
    return out.getvalue()


_ENCODERS: dict[str, Encoder] = {
    "jpeg": _pillow("JPEG", subsampling=0),
    "webp": _pillow("WEBP", method=4),
    "avif": _pillow("AVIF", subsampling="4:4:4"),
    "heic": _pillow("HEIF", chroma=444),
    "png": _png,
    "tiff": _tiff,
    "npy": _npy,
}
