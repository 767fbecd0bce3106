"""Photos as cameras and editors write them, for the tests of reading and writing."""

from __future__ import annotations

import functools
import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps

from stylecore.images import directories
from stylecore.images.encode import Result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Photo

pillow_heif.register_heif_opener()  # for Pillow, which checks what we wrote

FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "heic"]
LOSSLESS = ("png", "tiff")


@functools.cache  # it contains its creation time
def adobe_rgb() -> bytes:
    return bytes(imagecodecs.cms_profile("adobergb"))


def rich_exif(orientation: int, thumbnail: bool = True) -> bytes:
    """As a camera writes it: maker, dimensions, maker's note, GPS, and a thumbnail in the second directory."""
    block = Image.Exif()
    block[ExifTags.Base.Make] = "Stylefolder & Sons"
    block[ExifTags.Base.Orientation] = orientation
    details = block.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = 9999, 8888
    details[ExifTags.Base.MakerNote] = b"Maker\0" + bytes(range(200))
    details[ExifTags.Base.DateTimeOriginal] = "2026:11:23 10:00:00"
    details[ExifTags.Base.ExposureTime] = (1, 250)
    gps = block.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (48.0, 31.0, 12.5)
    raw = bytearray(block.tobytes().removeprefix(b"Exif\0\0"))
    if thumbnail:
        out = io.BytesIO()
        Image.new("RGB", (160, 120), "magenta").save(out, "JPEG", quality=90)
        reader = directories.Reader(bytes(raw))
        start = len(raw)
        struct.pack_into(reader.order + "I", raw, reader.next_at, start)
        pad = 4000  # cameras leave room
        entries = {
            0x103: directories.Entry(3, 1, struct.pack(reader.order + "H", 6), 0),
            0x201: directories.Entry(4, 1, struct.pack(reader.order + "I", start + 2 + 36 + 4), 0),
            0x202: directories.Entry(4, 1, struct.pack(reader.order + "I", len(out.getvalue()) + pad), 0),
        }
        directories._write_entries(raw, reader.order, entries, 0)
        raw += out.getvalue() + bytes(pad)
    return bytes(raw)


def result_of(photo: Photo, pixels: np.ndarray | None = None) -> Result:
    return Result(photo, photo.pixels if pixels is None else pixels, 0, 0.0, None, "none")


def write_photo(folder: Path, image: Image.Image, kind: str, orientation: int = 1, **options: Any) -> Path:
    path = folder / f"photo{EXTENSIONS[kind]}"
    given: dict[str, object] = {"exif": b"Exif\0\0" + rich_exif(orientation), "quality": 95, **options}
    if kind == "tiff":
        block = Image.Exif()
        block.load(rich_exif(orientation, thumbnail=False))
        given = {"exif": block, **options}
    image.save(path, {"heic": "HEIF"}.get(kind, kind.upper()), **given)
    return path


def check_upright(path: Path) -> tuple[Image.Image, Image.Exif]:
    """The picture as any viewer shows it, and its EXIF."""
    image = Image.open(path)
    image.load()
    return ImageOps.exif_transpose(image), image.getexif()
