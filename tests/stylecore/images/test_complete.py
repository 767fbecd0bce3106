"""Interrupted copies: too short, ended in zeros, or never downloaded. Each is refused with what it is."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from stylecore.errors import PhotoError
from stylecore.images.complete import BLACK_END
from stylecore.images.decode import load_photo
from tests.stylecore.images.photos import box

FORMATS = {
    "a.jpg": {"format": "JPEG", "quality": 95},
    "progressive.jpg": {"format": "JPEG", "progressive": True},
    "a.png": {"format": "PNG"},
    "a.webp": {"format": "WEBP", "quality": 95},
    "lossless.webp": {"format": "WEBP", "lossless": True},
    "a.avif": {"format": "AVIF", "quality": 95},
    "a.heic": {"format": "HEIF", "quality": 95},
    "a.gif": {"format": "GIF"},
    "plain.tif": {"format": "TIFF"},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    "a.bmp": {"format": "BMP"},
}


def encoded(name: str, cat: Image.Image) -> bytes:
    out = io.BytesIO()
    cat.save(out, **FORMATS[name])  # type: ignore[arg-type]
    return out.getvalue()


def reason(path: Path) -> str:
    with pytest.raises(PhotoError) as e:
        load_photo(path)
    return str(e.value)


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off(tmp_path: Path, cat: Image.Image, name: str) -> None:
    data = encoded(name, cat)
    for share in (0.3, 0.6, 0.99):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        assert "cut off" in reason(tmp_path / name)


@pytest.mark.parametrize("name", FORMATS)
def test_the_rest_was_never_written(tmp_path: Path, cat: Image.Image, name: str) -> None:
    """The copying program gave the file its size first: what is missing is a hole."""
    data = encoded(name, cat)
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * 0.6)])
    os.truncate(path, len(data))
    assert "was not copied completely" in reason(path)


@pytest.mark.parametrize("name", FORMATS)
def test_the_rest_is_zeros(tmp_path: Path, cat: Image.Image, name: str) -> None:
    """Written zeros: where pixels are not compressed, they may be black, and a note says so."""
    data = bytearray(encoded(name, cat))
    half = int(len(data) * 0.6)
    data[half:] = bytes(len(data) - half)
    path = tmp_path / name
    path.write_bytes(data)
    if name in ("plain.tif", "a.bmp"):
        assert load_photo(path).notes == (BLACK_END,)
    else:
        assert "was not copied completely" in reason(path)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_but_zeros(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(300_000))
    assert "contains only zeros: it was not downloaded" in reason(path)


def test_a_complete_picture_that_is_black_at_its_end(tmp_path: Path, cat: Image.Image) -> None:
    """Compressed black is not zeros, so it is left in peace."""
    black = cat.copy()
    black.paste((0, 0, 0), (0, 150, 451, 300))
    for name in FORMATS:
        (tmp_path / name).write_bytes(encoded(name, black))
        notes = load_photo(tmp_path / name).notes
        assert notes == ((BLACK_END,) if name == "plain.tif" else ()), name


def test_what_follows_a_jpeg_may_end_in_zeros(tmp_path: Path, cat: Image.Image) -> None:
    """A motion photo's video, or padding."""
    data = encoded("a.jpg", cat)
    video = box(b"ftyp", b"mp42") + b"frames" * 100 + bytes(200_000)
    (tmp_path / "a.MP.jpg").write_bytes(data + video)
    assert load_photo(tmp_path / "a.MP.jpg").notes == ("The video of the motion photo is not in the Result.",)
    (tmp_path / "padded.jpg").write_bytes(data + bytes(200_000))
    assert load_photo(tmp_path / "padded.jpg").notes == ()


def test_tiles_and_bigtiff(tmp_path: Path, cat: Image.Image) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.asarray(cat), photometric="rgb", tile=(64, 64), compression="zlib", bigtiff=True)
    data = path.read_bytes()
    load_photo(path)
    path.write_bytes(data[: len(data) * 2 // 3])
    assert "cut off" in reason(path)
    path.write_bytes(data[: len(data) * 2 // 3] + bytes(len(data) - len(data) * 2 // 3))
    assert "was not copied completely" in reason(path)


def test_the_words_of_libraries_stay_out(tmp_path: Path, cat: Image.Image) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.asarray(cat), photometric="rgb", rowsperstrip=300, metadata=None)
    data = bytearray(path.read_bytes())
    directory = int.from_bytes(data[4:8], "little")
    for at in range(directory + 2, directory + 2 + 12 * int.from_bytes(data[directory : directory + 2], "little"), 12):
        if int.from_bytes(data[at : at + 2], "little") in (256, 257):
            data[at + 8 : at + 12] = (19_000).to_bytes(4, "little")
    path.write_bytes(data)
    assert reason(path) in (
        "a.tif is damaged: copy it again from the original.",
        "a.tif is cut off: copy it again from the original.",
    )


def test_zeros_before_a_jpegs_end(tmp_path: Path, cat: Image.Image) -> None:
    """The last block arrived before those in the middle. A large flat area may be zeros, too: that is no fault."""
    data = bytearray(encoded("a.jpg", cat))
    data[-20_000:-2] = bytes(19_998)
    (tmp_path / "a.jpg").write_bytes(data)
    assert "was not copied completely" in reason(tmp_path / "a.jpg")
    flat = Image.new("RGB", (6000, 4000), (30, 60, 90))
    flat.paste(cat, (0, 0))
    for options in ({"optimize": True}, {"progressive": True}, {}):
        flat.save(tmp_path / "flat.jpg", **options)  # type: ignore[arg-type]
        load_photo(tmp_path / "flat.jpg")


@pytest.mark.parametrize("name", ["a.heic", "a.avif"])
def test_what_follows_the_last_box(tmp_path: Path, cat: Image.Image, name: str) -> None:
    for trailer in (bytes(5000), b"SEFT" * 10, b"MotionPhoto_Data" + bytes(100), b"\xff\xd8\xff\xe0"):
        (tmp_path / name).write_bytes(encoded(name, cat) + trailer)
        load_photo(tmp_path / name)


def test_exif_that_was_not_copied(tmp_path: Path, cat: Image.Image) -> None:
    """In HEIC it often is the last thing in the file."""
    out = io.BytesIO()
    cat.save(out, "HEIF", exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(range(1, 200)) * 20)
    data = bytearray(out.getvalue())
    at = data.rfind(b"II*\0\x08\0\0\0")
    assert at > 0
    end = at + 8 + 199 * 20
    data[at - 10 : end] = bytes(end - at + 10)
    (tmp_path / "a.heic").write_bytes(data)
    assert "was not copied completely" in reason(tmp_path / "a.heic")


def test_jpegs_of_another_kind(tmp_path: Path, cat: Image.Image) -> None:
    """They are whole: copying them again would not help."""
    deep = np.asarray(cat).astype(np.uint16) * 16
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(deep, bitspersample=12))
    assert "is a JPEG of a kind that cannot be read" in reason(tmp_path / "a.jpg")


def test_large_texts_in_png(tmp_path: Path, cat: Image.Image) -> None:
    """As image generators keep their workflows."""
    info = PngImagePlugin.PngInfo()
    text = "node " * 500_000
    info.add_text("workflow", text, zip=True)
    cat.save(tmp_path / "a.png", pnginfo=info)
    assert dict(load_photo(tmp_path / "a.png").metadata.text)["workflow"] == text


def test_old_bmps(tmp_path: Path, cat: Image.Image) -> None:
    rows = np.zeros((64, 96, 3), np.uint8)
    rows[:20] = np.asarray(cat.resize((96, 20)))
    head = struct.pack("<2sIHHI", b"BM", 26 + rows.size, 0, 0, 26) + struct.pack("<IHHHH", 12, 96, 64, 1, 24)
    (tmp_path / "a.bmp").write_bytes(head + rows[::-1].tobytes()[::-1])
    load_photo(tmp_path / "a.bmp")
    (tmp_path / "a.bmp").write_bytes(head + rows.tobytes())
    assert load_photo(tmp_path / "a.bmp").notes == (BLACK_END,)
    (tmp_path / "a.bmp").write_bytes(head + rows.tobytes()[:9000])
    assert "cut off" in reason(tmp_path / "a.bmp")
