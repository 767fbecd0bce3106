"""Cameras' RAW files: recognised by content, upright, as bright as the camera's own rendering, with their EXIF."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from stylecore.errors import PhotoError
from stylecore.images import directories, exif, icc, raw
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.output import Output
from tests.harness import difference
from tests.stylecore.images.photos import cr3, result_of, rich_exif

pytest.importorskip("rawpy", reason="the extra stylefolder[raw] is not installed")


def dng(picture: Image.Image, *, exposure: float = 1.0, preview: bool = True, magic: bytes = b"II*\0") -> bytes:
    """A DNG as a phone writes it: a small RGB preview first, then a mosaic of linear light below white."""
    light = icc.srgb_to_linear(np.asarray(picture) / 255) * exposure
    pixels = np.rint(light * 16000).astype(np.uint16)
    mosaic = pixels[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = pixels[0::2, 0::2, 0], pixels[1::2, 1::2, 2]
    to_camera = np.linalg.inv(np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                                        [0.0193339, 0.1191920, 0.9503041]]))  # fmt: skip
    matrix = tuple(n for value in to_camera.ravel() for n in (round(value * 10_000), 10_000))
    of_all: list[Any] = [
        (50706, 1, 4, bytes((1, 4, 0, 0)), True), (50708, 2, 0, "Stylefolder One", True),
        (271, 2, 0, "Stylefolder", True), (50721, 10, 9, matrix, True), (50778, 3, 1, 21, True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
    ]  # fmt: skip
    of_mosaic: list[Any] = [
        (33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes((0, 1, 1, 2)), True), (50714, 3, 1, 0, True),
        (50717, 4, 1, 16000, True),
    ]  # fmt: skip
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        if preview:
            small = np.asarray(picture.resize((picture.width // 4, picture.height // 4)))
            options: dict[str, Any] = {"metadata": None, "software": False}
            writer.write(small, photometric="rgb", subfiletype=1, subifds=1, extratags=of_all, **options)
            writer.write(mosaic, photometric=32803, extratags=of_mosaic, **options)
        else:
            writer.write(mosaic, photometric=32803, extratags=[*of_all, *of_mosaic], metadata=None, software=False)
    return magic + out.getvalue()[4:]


@pytest.mark.parametrize("name", ["a.dng", "a.tif", "a.GPR", "a.jpg", "a.orf"])
def test_by_content_and_not_by_name(tmp_path: Path, cat: Image.Image, name: str) -> None:
    picture = cat.resize((240, 160))
    (tmp_path / name).write_bytes(dng(picture, magic=b"IIRO" if name == "a.orf" else b"II*\0"))
    photo = load_photo(tmp_path / name)
    assert photo.format == "raw"
    assert photo.pixels.dtype == np.uint16
    assert photo.size == (240, 160), "not the preview"
    assert difference(photo.pixels / 257, picture) < 6
    save_result(result_of(photo), tmp_path / "out.jpg", Output(), "jpeg")
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.getexif()[ExifTags.Base.Make] == "Stylefolder"


def test_other_pictures_under_a_raw_name(tmp_path: Path, small: Image.Image) -> None:
    small.save(tmp_path / "a.dng", "JPEG")
    assert load_photo(tmp_path / "a.dng").format == "jpeg"
    small.save(tmp_path / "b.dng", "TIFF")
    small.save(tmp_path / "b.nef", "TIFF")
    assert load_photo(tmp_path / "b.dng").format == load_photo(tmp_path / "b.nef").format == "tiff"


@pytest.mark.parametrize(("exposure", "preview"), [(0.35, True), (0.35, False), (1.0, True)])
def test_as_bright_as_the_camera_shows_it(tmp_path: Path, cat: Image.Image, exposure: float, preview: bool) -> None:
    """Cameras underexpose RAW to keep highlights. Without their rendering, the light stays as it is."""
    picture = cat.resize((240, 160))
    (tmp_path / "a.dng").write_bytes(dng(picture, exposure=exposure, preview=preview))
    brightness = load_photo(tmp_path / "a.dng").pixels.mean() / 257
    expected = np.asarray(picture).mean() if preview else icc.linear_to_srgb(
        icc.srgb_to_linear(np.asarray(picture) / 255) * exposure
    ).mean() * 255  # fmt: skip
    assert abs(brightness - expected) < 8


def test_raw_files_that_are_not_complete(tmp_path: Path, cat: Image.Image) -> None:
    data = dng(cat, preview=False)
    for name, damaged, reason in (
        ("cut.dng", data[: len(data) * 2 // 3], "cut off"),
        ("empty.nef", b"II*\0\x08\0\0\0" + bytes(100), "damaged|cut off|not copied"),
        ("noise.nef", b"no such thing" * 100, "RAW file of a kind that cannot be read"),
        ("cut.cr3", cr3(rich_exif(1))[:-100], "cut off"),
        ("zero.cr3", cr3(rich_exif(1))[:-5000] + bytes(5000), "was not copied completely"),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(PhotoError, match=reason):
            load_photo(tmp_path / name)


def fuji(block: bytes) -> bytes:
    """RAF: a preview, whose EXIF is the photo's."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG", exif=b"Exif\0\0" + block)
    preview = out.getvalue()
    return b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">6I", 148, len(preview), 0, 0, 0, 0) + bytes(40) + preview


def minolta(block: bytes) -> bytes:
    return (
        b"\0MRM"
        + bytes(4)
        + b"\0PRD"
        + struct.pack(">I", 8)
        + bytes(8)
        + b"\0TTW"
        + struct.pack(">I", len(block))
        + block
    )


@pytest.mark.parametrize("maker", ["canon", "fuji", "minolta", "olympus", "panasonic", "sigma"])
def test_where_each_maker_keeps_exif(tmp_path: Path, maker: str) -> None:
    block = rich_exif(6, thumbnail=False)
    little = exif.from_tiff(block)
    assert little is not None
    order = "<" if little[:2] == b"II" else ">"
    magic = {"olympus": b"IIRO" if order == "<" else b"MMOR", "panasonic": b"IIU\0"}
    if maker == "panasonic":  # always little-endian
        reader = directories.Reader(block)
        block = exif.as_block("<", exif._in_order(exif._descriptive(reader, reader.main), reader.order, "<"))
    made = {"canon": cr3, "fuji": fuji, "minolta": minolta}
    data = made[maker](block) if maker in made else magic.get(maker, b"") + block[4:]
    if maker == "sigma":
        data = b"FOVb" + bytes(100) + fuji(block)[148:]
    path = tmp_path / "a.raw"
    path.write_bytes(data)
    with path.open("rb") as file:
        found = raw._exif(path, file)
    assert found is not None
    shown = Image.Exif()
    shown.load(b"Exif\0\0" + found)
    assert shown[ExifTags.Base.Make] == "Stylefolder & Sons"
    assert shown.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:11:23 10:00:00"
    assert shown.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_xmp_and_iptc_of_raw(tmp_path: Path, small: Image.Image) -> None:
    from tests.stylecore.images.records import PACKET, RECORD

    data = bytearray(dng(small, preview=False))
    reader = directories.Reader(bytes(data))
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    more = {700: directories.Entry(1, len(PACKET), PACKET, 0), 33723: directories.Entry(7, len(RECORD), RECORD, 0)}
    directories.write(data, "<", directories.Tree({**reader.main, **more}))
    (tmp_path / "a.dng").write_bytes(data)
    metadata = load_photo(tmp_path / "a.dng").metadata
    assert metadata.iptc == RECORD
    assert metadata.xmp == PACKET
    assert load_photo(tmp_path / "a.dng").size == (96, 64), "LibRaw has turned it"
