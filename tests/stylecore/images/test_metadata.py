"""What a photo carries besides its pixels: EXIF, orientation, profile, XMP, thumbnail. All of it reaches the Result."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from stylecore.images import directories, exif
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Metadata
from stylecore.images.png import chunk
from stylecore.output import Output
from tests.harness import difference
from tests.stylecore.images.photos import FORMATS, LOSSLESS, adobe_rgb, check_upright, result_of, rich_exif, write_photo


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_orientation_and_exif_go_round(tmp_path: Path, small: Image.Image, kind: str, orientation: int) -> None:
    path = write_photo(tmp_path, small, kind, orientation)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    photo = load_photo(path)
    assert photo.size == expected.size == ((64, 96) if orientation >= 5 else (96, 64))
    assert difference(photo.pixels, expected) < 1

    target = tmp_path / f"result{path.suffix}"
    assert save_result(result_of(photo), target, Output()) == []
    shown, block = check_upright(target)
    assert difference(shown.convert("RGB"), expected) < (0.1 if kind in LOSSLESS else 6)
    assert block.get(ExifTags.Base.Orientation, 1) == 1
    assert block[ExifTags.Base.Make] == "Stylefolder & Sons"
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (48.0, 31.0, 12.5)
    details = block.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:11:23 10:00:00"
    assert details[ExifTags.Base.MakerNote].startswith(b"Maker\0" + bytes(range(200)))
    if kind != "tiff":
        assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == photo.size


def test_the_thumbnail_is_the_results_own(tmp_path: Path, small: Image.Image) -> None:
    photo = load_photo(write_photo(tmp_path, small, "jpeg", 6))
    target = tmp_path / "result.jpg"
    save_result(result_of(photo), target, Output())
    _, block = check_upright(target)
    second = block.get_ifd(ExifTags.IFD.IFD1)
    raw = Image.open(target).info["exif"].removeprefix(b"Exif\0\0")
    at, length = second[0x201], second[0x202]
    thumbnail = Image.open(io.BytesIO(raw[at : at + length]))
    assert thumbnail.size == (64, 96)
    assert difference(thumbnail, photo.pixels) < 8


def test_a_damaged_exif_block_is_left_alone() -> None:
    whole = rich_exif(6)
    for cut in (0, 3, 8, 9, 40, 100, len(whole) - 10):
        exif.corrected(whole[:cut], 10, 10, None)
        assert exif.orientation(whole[:cut]) in (1, 6)
    noise = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for at in noise.integers(8, len(whole), 12):
            broken[at] = noise.integers(256)
        assert len(exif.corrected(bytes(broken), 10, 10, None)) == len(whole)


@pytest.mark.parametrize("kind", FORMATS)
def test_icc_profile_and_xmp_travel(tmp_path: Path, small: Image.Image, kind: str) -> None:
    profile = adobe_rgb()
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:creator="Ana"/></x:xmpmeta>'
    options: dict[str, Any] = {"icc_profile": profile}
    if kind == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options["pnginfo"] = info
    elif kind == "tiff":
        options["tiffinfo"] = {700: packet}
    else:
        options["xmp"] = packet
    path = write_photo(tmp_path, small, kind, **options)
    if kind == "tiff":
        small.save(path, icc_profile=profile, tiffinfo={700: packet, 274: 1})
    photo = load_photo(path)
    srgb = ImageCms.profileToProfile(
        Image.open(path).convert("RGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert difference(photo.resized(*photo.size) * 255, srgb) < 0.6, "the network sees sRGB"
    target = tmp_path / f"result{path.suffix}"
    save_result(result_of(photo), target, Output())
    out = Image.open(target)
    assert out.info["icc_profile"] == profile
    xmp = out.info.get("xmp") or out.tag_v2[700]  # type: ignore[attr-defined]
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    assert b'dc:creator="Ana"' in xmp
    assert b'tiff:Orientation="6"' not in xmp
    assert difference(out.convert("RGB"), Image.open(path).convert("RGB")) < (2.5 if kind in LOSSLESS else 7)


def test_a_linear_profile_that_calls_itself_srgb(tmp_path: Path, small: Image.Image) -> None:
    """What was read as linear is written as linear: if nothing is painted, the pixels stay the same."""
    primaries = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06]
    linear = bytes(imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329], primaries=primaries, gamma=1.0))
    name = linear.replace("RGB built-in".encode("utf-16-be"), "sRGB builtin".encode("utf-16-be"))
    small.save(tmp_path / "linear.png", icc_profile=name)
    photo = load_photo(tmp_path / "linear.png")
    assert difference(photo.resized(96, 64) * 255, small) > 20
    save_result(result_of(photo), tmp_path / "out.png", Output())
    assert difference(Image.open(tmp_path / "out.png"), small) < 2


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize(
    ("kind", "other"), [("jpeg", "png"), ("png", "jpeg"), ("png", "tiff"), ("tiff", "tiff"), ("tiff", "jpeg")]
)
def test_the_resolution_in_print_travels(tmp_path: Path, small: Image.Image, kind: str, other: str, turn: int) -> None:
    """Pixels per inch, across and down, in the format's own field. A TIFF is rotated by its tag, other formats by their
    EXIF."""
    path = tmp_path / f"photo{EXTENSIONS[kind]}"
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = turn
    small.save(path, dpi=(300, 150), exif=block)
    target = tmp_path / f"result{EXTENSIONS[other]}"
    save_result(result_of(load_photo(path)), target, Output())
    with Image.open(target) as out:
        assert [float(edge) for edge in out.info["dpi"]] == pytest.approx(
            [300, 150] if turn == 1 else [150, 300], abs=0.6
        )


def test_what_stands_behind_the_pixels_of_a_16_bit_png(tmp_path: Path) -> None:
    """The specification allows EXIF there: orientation 6 is respected, and the block is kept."""
    samples = np.random.default_rng(0).integers(0, 65536, (40, 60, 3), dtype=np.uint16)
    data = bytes(imagecodecs.png_encode(samples))
    block = rich_exif(6, thumbnail=False)
    (tmp_path / "a.png").write_bytes(data[:-12] + chunk(b"eXIf", block) + data[-12:])
    photo = load_photo(tmp_path / "a.png")
    assert photo.size == (40, 60)
    assert photo.metadata.exif == block


def test_an_exif_that_avif_does_not_take_is_left_out(tmp_path: Path, small: Image.Image) -> None:
    block = bytearray(rich_exif(1, thumbnail=False))
    reader = directories.Reader(bytes(block))
    struct.pack_into(reader.order + "H", block, 10 + 2, 13)  # a type that Pillow's writer does not know
    photo = replace(load_photo(write_photo(tmp_path, small, "png")), metadata=Metadata(exif=bytes(block)))
    notes = save_result(result_of(photo), tmp_path / "out.avif", Output())
    assert difference(Image.open(tmp_path / "out.avif").convert("RGB"), small) < 6
    assert all("was left out" in note for note in notes)


def test_makers_notes_that_a_jpeg_does_not_hold(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block[ExifTags.Base.Make] = "Stylefolder"
    details = block.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.MakerNote], details[ExifTags.Base.DateTimeOriginal] = bytes(90_000), "2026:11:23 10:00:00"
    small.save(tmp_path / "a.png", exif=block)
    notes = save_result(result_of(load_photo(tmp_path / "a.png")), tmp_path / "out.jpg", Output())
    assert notes == ["Its maker notes are larger than a JPEG can hold and were left out."]
    with Image.open(tmp_path / "out.jpg") as out:
        kept = out.getexif()
    assert kept[ExifTags.Base.Make] == "Stylefolder"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:11:23 10:00:00"


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_a_tiff_whose_resolution_is_of_an_odd_type(tmp_path: Path, small: Image.Image, kind: int) -> None:
    """Text or a whole number in place of a fraction: the photo is read, but its resolution is unknown."""
    small.save(tmp_path / "a.tif", dpi=(300, 300))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    start = struct.unpack("<I", data[4:8])[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack("<H", data[start : start + 2])[0], 12):
        if struct.unpack("<H", data[at : at + 2])[0] in exif.RESOLUTION:
            struct.pack_into("<H", data, at + 2, kind)
    (tmp_path / "a.tif").write_bytes(bytes(data))
    photo = load_photo(tmp_path / "a.tif")
    assert difference(photo.pixels, small) == 0
    assert photo.metadata.dpi is None
