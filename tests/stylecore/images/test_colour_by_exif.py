"""What EXIF says about colours, and what counts more."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from stylecore.images import directories, exif, icc
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.png import chunk
from stylecore.output import Output
from tests.stylecore.images.colours import (
    check,
    in_space,
    png_with,
)
from tests.stylecore.images.photos import result_of

R03 = Image.Exif()
R03.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
R03.get_ifd(ExifTags.IFD.Exif)[0xA005] = {1: "R03"}


@pytest.mark.parametrize("space", [0xFFFF, 2])
def test_adobe_rgb_by_exif_alone(tmp_path: Path, small: Image.Image, space: int) -> None:
    """As cameras mark it (DCF 2.0): uncalibrated, with R03, or with a 2 that is in no standard."""
    block = Image.Exif()
    details = block.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ColorSpace] = space
    if space != 2:
        details[0xA005] = {1: "R03"}
    path = tmp_path / "_DSC0001.jpg"
    Image.fromarray(in_space(small, icc.adobe_rgb())).save(path, exif=block, quality=97, subsampling=0)
    photo = load_photo(path)
    assert photo.profile == icc.adobe_rgb()
    check(photo, path, small, 3)


def test_exif_does_not_contradict_the_profile(tmp_path: Path, small: Image.Image) -> None:
    """Colours that were converted are no longer what EXIF said."""
    path = tmp_path / "a.jpg"
    small.save(path, exif=R03)
    photo = replace(load_photo(path), profile=None)
    save_result(result_of(photo), tmp_path / "out.jpg", Output())
    with Image.open(tmp_path / "out.jpg") as out:
        details = out.getexif().get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.ColorSpace] == 1
    assert load_photo(tmp_path / "out.jpg").profile is None


def test_what_is_stated_wins_over_exif(tmp_path: Path, small: Image.Image) -> None:
    """sRGB by a chunk, and what LibRaw has converted to sRGB, are sRGB whatever the camera was set to."""
    block = R03.tobytes().removeprefix(b"Exif\0\0")
    (tmp_path / "a.png").write_bytes(png_with(np.asarray(small), chunk(b"sRGB", b"\0"), chunk(b"eXIf", block)))
    photo = load_photo(tmp_path / "a.png")
    assert photo.profile is None
    check(photo, tmp_path / "a.png", small)
    with Image.open(tmp_path / "result.png") as out:
        assert out.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 1
    pytest.importorskip("rawpy")
    from tests.stylecore.images.test_raw import dng

    data = bytearray(dng(small, preview=False))
    interop = exif.as_block("<", directories.Tree({1: directories.Entry(2, 4, b"R03\0", 0)}))
    reader = directories.Reader(bytes(data))
    details = directories.Tree(
        {0xA001: directories.Entry(3, 1, b"\xff\xff", 0)},
        {0xA005: directories.Tree(directories.Reader(interop).main)},
    )
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    directories.write(data, "<", directories.Tree(reader.main, {exif.EXIF_IFD: details}))
    (tmp_path / "a.dng").write_bytes(data)
    photo = load_photo(tmp_path / "a.dng")
    assert photo.profile is None
    assert photo.metadata.exif is not None
    assert exif.colour(photo.metadata.exif) == icc.adobe_rgb(), "that is what it says"


def test_uncalibrated_is_noted(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    small.save(tmp_path / "a.jpg", exif=block)
    assert "they were read as sRGB" in load_photo(tmp_path / "a.jpg").notes[0]
