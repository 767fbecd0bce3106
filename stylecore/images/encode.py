"""A Result: the styled picture at the photo's size, and how it becomes a file with the photo's metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylecore.colour import Pixels
from stylecore.errors import EncodeError, ResultError
from stylecore.images import carry, exif, heif, icc, iptc, png, tiff, xmp
from stylecore.images.atomic_write import write_whole
from stylecore.images.formats import DEPTH, EXTENSIONS, LARGEST_EDGE, READ_ONLY, one_suffix
from stylecore.images.photo import Metadata, Photo
from stylecore.images.preview import DECODER_ERRORS
from stylecore.lut import Lut
from stylecore.output import Output

BAND = 256  # rows at a time
ENCODER_ERRORS = (OSError, *DECODER_ERRORS)  # some encoders parse the EXIF


@dataclass(frozen=True)
class Result:
    """``pixels``: (height, width, 3), of the photo's size, type and colour space. ``steps`` taken, ``seconds``
    spent, ``loss`` at the end (None if nothing was optimised), ``device`` in words. ``table``: of a Look, before its
    strength."""

    photo: Photo
    pixels: Pixels
    steps: int
    seconds: float
    loss: float | None
    device: str
    table: Lut | None = None

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
    photo = result.photo
    pixels, notes = _samples(result, kind)
    metadata, more = carry.fitted(photo.metadata, kind)
    notes += more
    space = _colour_space(photo)
    if metadata.xmp:
        metadata = replace(metadata, xmp=xmp.corrected(metadata.xmp, width, height, space))
    if metadata.exif:
        block = exif.corrected(metadata.exif, width, height, _thumbnail(result), space)
        metadata = replace(metadata, exif=block)
    try:
        return _ENCODERS[kind](pixels, quality, photo, metadata), notes
    except ENCODER_ERRORS as e:
        if metadata.exif is None:
            raise EncodeError(f"The Result cannot be encoded as {kind}: choose another format.") from e
    notes.append(f"Its EXIF is damaged and {kind} rejects it, so it was left out.")
    try:
        return _ENCODERS[kind](pixels, quality, photo, replace(metadata, exif=None)), notes
    except ENCODER_ERRORS as e:
        raise EncodeError(f"The Result cannot be encoded as {kind}: choose another format.") from e


def _samples(result: Result, kind: str) -> tuple[Pixels, list[str]]:
    """(height, width, 3 or 4) as the format holds them, and notes."""
    photo, pixels, alpha, notes = result.photo, result.pixels, result.photo.alpha, []
    if kind == "npy" and photo.profile is not None:  # which holds no profile
        pixels = icc.pixels_to_srgb(pixels, photo.profile)
    if pixels.dtype == np.uint16 and photo.bits > (most := DEPTH[kind]):
        notes.append(f"{kind} holds {most} bits per channel, so {photo.bits} bits were reduced to {most}.")
    if pixels.dtype == np.uint16 and DEPTH[kind] == 8:
        pixels, alpha = _to_8_bits(pixels, dither=True), None if alpha is None else _to_8_bits(alpha, dither=False)
    if alpha is not None and kind == "jpeg":
        notes.append("jpeg has no transparency, so transparent areas became white.")
        share = (alpha / np.float32(255))[..., None]
        return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8), notes
    return pixels if alpha is None else np.dstack([pixels, alpha]), notes


def _colour_space(photo: Photo) -> int | None:
    """What EXIF and XMP must say of the colours, if they say something else."""
    is_srgb = photo.profile is None or icc.is_srgb(photo.profile)
    try:
        stated = exif.colour(photo.metadata.exif) if photo.metadata.exif else None
    except icc.UnknownColours:
        stated = b"impossible"
    if stated is not None and stated != photo.profile:
        return exif.SRGB if is_srgb else exif.UNCALIBRATED
    return None if is_srgb or stated is not None else exif.UNCALIBRATED


def _to_8_bits(samples: Pixels, *, dither: bool) -> Pixels:
    """Rounded up or down by chance, in proportion, so that a smooth sky has no steps. What has only 8 bits stays
    exact."""
    chance, out = np.random.default_rng(0), np.empty(samples.shape, np.uint8)
    for start in range(0, len(samples), BAND):
        band = samples[start : start + BAND].astype(np.uint32)
        band += chance.integers(0, 257, band.shape, np.uint16) if dither else np.uint16(128)
        out[start : start + BAND] = band // 257
    return out


def _thumbnail(result: Result) -> Callable[[], Image.Image]:
    """In sRGB: a thumbnail has no profile."""

    def make() -> Image.Image:
        step = max(1, max(result.size) // 640)
        pixels = np.ascontiguousarray(result.pixels[::step, ::step]).astype(np.float32)
        pixels /= np.float32(np.iinfo(result.pixels.dtype).max)
        if result.photo.profile is not None:
            pixels = icc.to_srgb(pixels, result.photo.profile)
        return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))

    return make


Encoder = Callable[[Pixels, int, Photo, Metadata], bytes]


def _pillow(kind: str, **options: Any) -> Encoder:
    def encode_with(pixels: Pixels, quality: int, photo: Photo, metadata: Metadata) -> bytes:
        block = metadata.exif
        if block and kind == "AVIF":  # Pillow would write a block with an orientation in its own way
            block = exif.without(block, exif.ORIENTATION)
        given: dict[str, Any] = {
            "exif": block and b"Exif\0\0" + block,
            "xmp": metadata.xmp,
            "icc_profile": photo.profile,
        }
        if kind == "JPEG":
            given |= {"dpi": metadata.dpi, "comment": metadata.comment}
            if metadata.iptc:
                body = iptc.PHOTOSHOP + iptc.as_resources(metadata.iptc)
                given["extra"] = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
        out = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image.save(out, kind, quality=quality, **options, **{k: v for k, v in given.items() if v})
        return out.getvalue()

    return encode_with


def _heic(pixels: Pixels, quality: int, photo: Photo, metadata: Metadata) -> bytes:
    return heif.encode_heic(pixels, quality, photo.bits, metadata, photo.profile)


def _png(pixels: Pixels, quality: int, photo: Photo, metadata: Metadata) -> bytes:
    import imagecodecs

    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=4))
    return png.with_chunks(data, metadata, photo.profile)


def _tiff(pixels: Pixels, quality: int, photo: Photo, metadata: Metadata) -> bytes:
    import tifffile

    more = [
        (number, kind, len(value), value, True)
        for number, kind, value in ((tiff.XMP, 1, metadata.xmp), (tiff.IPTC, 7, metadata.iptc))
        if value
    ]
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="rgb",
        compression="adobe_deflate",
        predictor=True,
        rowsperstrip=64,
        extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
        iccprofile=photo.profile,
        resolution=metadata.dpi,
        resolutionunit="inch" if metadata.dpi else None,
        metadata=None,
        software=False,
        extratags=more,
    )
    data = bytearray(out.getbuffer())
    if metadata.exif:
        exif.append_to_tiff(data, metadata.exif)
    return bytes(data)


def _npy(pixels: Pixels, quality: int, photo: Photo, metadata: Metadata) -> bytes:
    out = io.BytesIO()
    np.save(out, pixels, allow_pickle=False)
    return out.getvalue()


_ENCODERS: dict[str, Encoder] = {
    "jpeg": _pillow("JPEG", subsampling=0),
    "webp": _pillow("WEBP", method=4),
    "avif": _pillow("AVIF", subsampling="4:4:4"),
    "heic": _heic,
    "png": _png,
    "tiff": _tiff,
    "npy": _npy,
}
