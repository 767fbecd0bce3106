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
import skimage.color
from PIL import ExifTags, Image, ImageOps

from stylecore.images import directories, exif, icc
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


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def cr3(block: bytes) -> bytes:
    """The boxes of Canon's CR3, without a picture: EXIF's three directories as blocks of their own."""
    reader = directories.Reader(block)
    details, gps = reader.child(reader.main, exif.EXIF_IFD), reader.child(reader.main, exif.GPS_IFD)
    main = {tag: entry for tag, entry in reader.main.items() if tag not in (exif.EXIF_IFD, exif.GPS_IFD)}
    parts = ((b"CMT1", main), (b"CMT2", details), (b"CMT4", gps))
    blocks = b"".join(box(name, exif.as_block(reader.order, directories.Tree(entries))) for name, entries in parts)
    uuid = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + blocks)
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", uuid) + box(b"mdat", b"pixels" * 1000)


def one_way_profile() -> bytes:
    """A scanner's: from linear RGB with sRGB's primaries to Lab by a table (lut16Type), and no way back."""
    steps = 17
    axis = np.linspace(0, 1, steps)
    colours = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 1, 3)
    lab = skimage.color.rgb2lab(icc.linear_to_srgb(colours))[:, 0]
    words = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], 1)
    table = words.round().clip(0, 65535).astype(">u2").tobytes()
    curve = np.array([0, 65535], ">u2").tobytes() * 3
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft2\0\0\0\0" + bytes((3, 3, steps, 0)) + matrix + struct.pack(">2H", 2, 2) + curve + table + curve
    return icc_file(b"scnr", b"RGB ", lut)


def icc_file(device: bytes, space: bytes, lut: bytes) -> bytes:
    """An ICC profile (version 2) with nothing but a table to Lab."""
    text = b"text\0\0\0\0CC0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Test\0" + bytes(8 + 3 + 67)
    tags = {b"desc": name, b"cprt": text, b"wtpt": white, b"A2B0": lut}
    at, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        index += key + struct.pack(">2I", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, device, space, b"Lab ").ljust(36, b"\0")
    head += b"acsp".ljust(32, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


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
