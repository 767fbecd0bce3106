"""Image files to Photos: each format has a reader; what they found becomes upright RGB pixels with a known meaning."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from stylecore.colour import Floats, Pixels
from stylecore.errors import PhotoError, PhotoGone, cause
from stylecore.images import (
    bmp,
    channels,
    cicp,
    complete,
    exif,
    gif,
    heif,
    icc,
    jpeg,
    png,
    raw,
    samples,
    tiff,
    with_pillow,
    xmp,
)  # fmt: skip
from stylecore.images.cicp import Cicp
from stylecore.images.formats import HEAD, RAW_SUFFIXES, kind_of
from stylecore.images.photo import Decoded, Metadata, Photo
from stylecore.images.preview import DECODER_ERRORS, MAX_PIXELS

KINDS = "JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF, BMP, RAW"
UNKNOWN_COLOURS = "so its colours are not known: assign a profile in an image editor, or save it as sRGB."
UNCALIBRATED = "Its EXIF says that its colours are not sRGB, but not what they are, so they were read as sRGB."
FROM_HDR = "It is HDR ({}); the Result is SDR, with 203 cd/m2 as white."


def load_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode the whole file, by its contents and not by its name. Raises PhotoGone, PhotoError.

    A `.npy` of (height, width, 1 to 4) in uint8 or uint16 is read as sRGB: grey, grey + alpha, RGB or RGB + alpha.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            complete.check_not_empty(path, file, head)
            kind = _kind(path, file, head)
            found = _READERS[kind](path, file, functools.partial(_check_size, path, max_pixels))
            return _photo(path, kind, found)
    except FileNotFoundError as e:
        raise PhotoGone(_unreadable(path, e)) from e
    except icc.UnknownColours as e:
        raise PhotoError(f"{path.name} describes its colours in a way that cannot be read, {UNKNOWN_COLOURS}") from e
    except MemoryError as e:
        raise PhotoError(f"{path.name} does not fit into this machine's memory: make it smaller.") from e
    except UnidentifiedImageError as e:
        raise complete.damaged(path) from e
    except OSError as e:
        if e.errno is not None:
            raise PhotoError(_unreadable(path, e)) from e
        raise PhotoError(f"{path.name} is damaged or cut off: copy it again from the original.") from e
    except DECODER_ERRORS as e:
        raise complete.damaged(path) from e


def load_style_picture(path: Path, long_edge: int) -> Floats:
    """A style picture with this long edge (never enlarged), sRGB, float32 in 0..1, (height, width, 3)."""
    photo = load_photo(path)
    scale = min(1.0, long_edge / max(photo.size))
    return photo.resized(*(max(32, round(edge * scale)) for edge in photo.size))


def _kind(path: Path, file: BinaryIO, head: bytes) -> str:
    kind = kind_of(head)
    named_raw = path.suffix.lower() in RAW_SUFFIXES
    if kind == "tiff" and (tiff.is_raw(file) or (named_raw and raw.is_known(path))):
        return "raw"
    if kind is None and named_raw:  # of a maker whose first bytes we do not know
        return "raw"
    if kind is None:
        raise PhotoError(f"{path.name} is not a picture in a supported format ({KINDS}).")
    return kind


def _read_webp(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    complete.check_webp(path, file)
    picture = with_pillow.read(path, ["WEBP"], check_size)
    metadata = Metadata(picture.exif, picture.xmp, dpi=picture.dpi)
    return Decoded(picture.samples, picture.alpha, picture.profile, metadata, picture.turn)


_READERS: dict[str, Callable[[Path, BinaryIO, with_pillow.CheckSize], Decoded]] = {
    "jpeg": jpeg.read,
    "png": png.read,
    "tiff": tiff.read,
    "webp": _read_webp,
    "avif": heif.read_avif,
    "heic": heif.read_heic,
    "gif": gif.read,
    "bmp": bmp.read,
    "raw": raw.read,
    "npy": samples.read,
}


def _photo(path: Path, kind: str, found: Decoded) -> Photo:
    pixels, profile, notes = _rgb(path, found)
    metadata, turn, claims = found.metadata, found.turn, found.claims
    alpha = found.alpha
    if alpha is not None and pixels.dtype == np.uint16:  # HDR of 8 bits
        alpha = channels.to_16_bits(alpha)
    if metadata.xmp:
        told = xmp.read(metadata.xmp)
        claims |= set(told.claims)
        states = metadata.exif is not None and exif.stated_orientation(metadata.exif) is not None
        if not states and kind in ("jpeg", "png", "tiff", "webp"):  # others are turned by a box of their own
            turn = told.orientation or turn
    dpi = metadata.dpi
    return Photo(
        path=path,
        pixels=channels.upright(pixels, turn),
        alpha=None if alpha is None else channels.upright(alpha, turn),
        format=kind,
        profile=profile,
        metadata=replace(metadata, dpi=dpi[::-1] if dpi and turn >= 5 else dpi),
        bits=found.bits,
        notes=(*found.notes, *(f"The {claim} is not in the Result." for claim in sorted(claims)), *notes),
    )


def _rgb(path: Path, found: Decoded) -> tuple[Pixels, bytes | None, tuple[str, ...]]:
    """RGB pixels, the profile that says what they mean (None: sRGB), and notes. Raises PhotoError and UnknownColours if
    that is not known."""
    pixels, colour, block = found.samples, found.colour, found.metadata.exif
    if colour is None and pixels.shape[2] != 4 and block:
        colour = exif.colour(block)
        if colour is None and exif.is_uncalibrated(block):
            return channels.repeated(pixels), None, (UNCALIBRATED,)
    if isinstance(colour, Cicp):
        hdr, profile = cicp.is_hdr(colour), cicp.profile_of(colour)
        if hdr:
            name = "PQ" if colour.transfer == cicp.PQ else "HLG"
            return cicp.tone_mapped(channels.repeated(pixels), colour), profile, (FROM_HDR.format(name),)
        return channels.repeated(pixels), profile, ()
    return _by_profile(path, pixels, colour)


def _by_profile(path: Path, pixels: Pixels, profile: bytes | None) -> tuple[Pixels, bytes | None, tuple[str, ...]]:
    count = pixels.shape[2]
    if profile is None:
        if count == 4:
            note = "It is CMYK without a colour profile; the Result is RGB, and its colours are a guess."
            return _naive_rgb(pixels), None, (note,)
        return channels.repeated(pixels), None, ()
    space = icc.profile_space(profile)
    if count == 4 and space == "CMYK":
        return *icc.to_rgb(pixels, profile), ("It is CMYK; the Result is RGB.",)
    if count == 3 and space == "GRAY" and (pixels == pixels[..., :1]).all():
        pixels, count = pixels[..., :1], 1
    if count == 1 and space == "GRAY":
        return channels.repeated(pixels), icc.with_grey_curve(profile), ()
    if count == 4 or space != "RGB":
        words = f"is for {space}" if space else "is damaged"
        raise PhotoError(f"{path.name} has a colour profile that {words}, {UNKNOWN_COLOURS}")
    pixels = channels.repeated(pixels)
    if icc.works_both_ways(profile):
        return pixels, profile, ()
    note = "Its colour profile only leads out of its space, so its colours were converted to {}."
    pixels, target = icc.to_rgb(pixels, profile)
    name = {None: "sRGB", icc.adobe_rgb(): "Adobe RGB"}.get(target, "ProPhoto RGB")
    return pixels, target, (note.format(name),)


def _naive_rgb(pixels: Pixels) -> Pixels:
    """CMYK without a profile, as Pillow converts it."""
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels, "CMYK").convert("RGB"))
    top = np.uint32(np.iinfo(pixels.dtype).max)
    light: Any = top - pixels.astype(np.uint32)
    out: Pixels = (light[..., :3] * light[..., 3:] // top).astype(pixels.dtype)
    return out


def _check_size(path: Path, max_pixels: int, width: int, height: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(
            f"{path.name} claims {width} x {height} pixels, more than the {max_pixels // 1_000_000} megapixels that "
            "are allowed."
        )
    if width < 1 or height < 1:
        raise PhotoError(f"{path.name} has no pixels.")


def _unreadable(path: Path, e: OSError) -> str:
    return f"{path.name} cannot be read ({cause(e)}): check that it is there and that you may read it."
