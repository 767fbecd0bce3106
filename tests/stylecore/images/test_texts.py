"""PNG's texts and JPEG's comments, and the EXIF, IPTC and XMP that other programs keep in PNG's texts."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from stylecore.images import iptc
from stylecore.images.decode import load_photo
from stylecore.images.photo import Metadata
from stylecore.images.png import chunk
from tests.stylecore.images.photos import FORMATS, rich_exif
from tests.stylecore.images.records import PACKET, RECORD, photo_with, saved


@pytest.mark.parametrize("kind", FORMATS)
def test_pngs_texts(tmp_path: Path, small: Image.Image, kind: str) -> None:
    info = PngImagePlugin.PngInfo()
    texts = {"Author": "Jane Doë", "Copyright": "(c) Jane", "Description": "Dusk", "Comment": "nice", "Source": "film"}
    for key, text in texts.items():
        info.add_itxt(key, text)
    small.save(tmp_path / "a.png", pnginfo=info)
    path, notes = saved(load_photo(tmp_path / "a.png"), tmp_path, kind)
    with Image.open(path) as out:
        out.load()
        if kind == "png":
            assert texts.items() <= out.text.items()  # type: ignore[attr-defined]
            assert notes == []
            return
        block = out.getexif()
        assert block[ExifTags.Base.Copyright] == "(c) Jane"
        assert block[ExifTags.Base.ImageDescription] == "Dusk"
        if kind == "jpeg":
            assert out.info["comment"] == b"nice"
    left = "Source" if kind == "jpeg" else "Comment, Source"
    assert notes == [f"{kind} cannot hold PNG's texts, so these were left out: {left}."]


def test_texts_in_exif_win_over_others(tmp_path: Path, small: Image.Image) -> None:
    metadata = Metadata(exif=rich_exif(1), text=(("Author", "new"), ("Software", "GIMP")))
    path, _ = saved(photo_with(small, metadata), tmp_path, "jpeg")
    with Image.open(path) as out:
        block = out.getexif()
        assert block[ExifTags.Base.Artist] == "new"
        assert block[ExifTags.Base.Software] == "GIMP"
        assert block[ExifTags.Base.Make] == "Stylefolder & Sons"
        details = block.get_ifd(ExifTags.IFD.Exif)
        assert details[ExifTags.Base.MakerNote].startswith(b"Maker\0")
        assert block.get_ifd(ExifTags.IFD.IFD1), "the thumbnail is still found"
    again, _ = saved(
        photo_with(small, Metadata(exif=load_photo(path).metadata.exif, text=(("Author", "x"),))), tmp_path, "webp"
    )
    with Image.open(again) as out:
        assert out.getexif()[ExifTags.Base.Artist] == "new"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_comment(tmp_path: Path, small: Image.Image, kind: str) -> None:
    small.save(tmp_path / "a.jpg", comment=b"hello")
    path, notes = saved(load_photo(tmp_path / "a.jpg"), tmp_path, kind)
    with Image.open(path) as out:
        out.load()
        if kind == "jpeg":
            assert out.info["comment"] == b"hello"
        elif kind == "png":
            assert out.text["Comment"] == "hello"  # type: ignore[attr-defined]
        else:
            assert notes == [f"{kind} cannot hold a comment, so its comment was left out."]


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_a_png_whose_exif_is_text(tmp_path: Path, small: Image.Image, name: str) -> None:
    """As ImageMagick and many phones' apps write it: upright, and carried."""
    block = b"Exif\0\0" + rich_exif(6, thumbnail=False)
    record = iptc.as_resources(RECORD)
    chunks = b""
    for kind, data in ((name, block), ("iptc", record)):
        body = f"\n{kind}\n{len(data):8d}\n{data.hex()}\n".encode()
        chunks += chunk(b"zTXt", f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(body))
    out = io.BytesIO()
    small.save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue()[:33] + chunks + out.getvalue()[33:])
    photo = load_photo(tmp_path / "a.png")
    assert photo.size == (64, 96)
    assert photo.metadata.iptc == RECORD
    path, notes = saved(photo, tmp_path, "jpeg")
    assert notes == []
    with Image.open(path) as shown:
        assert shown.getexif()[ExifTags.Base.Make] == "Stylefolder & Sons"
        assert shown.getexif()[ExifTags.Base.Orientation] == 1


def test_what_exiftool_writes_into_a_png(tmp_path: Path, small: Image.Image) -> None:
    """Its words before the digits, a bare block, XMP under APP1, Photoshop's resources."""
    block = rich_exif(6, thumbnail=False)
    cases = {
        "iptc": (b"IPTC profile", RECORD),
        "8bim": (b"8bim", iptc.as_resources(RECORD)),
        "exif": (b"exif", block),
        "APP1": (b"generic profile", b"http://ns.adobe.com/xap/1.0/\0" + PACKET),
    }
    for kind, (words, data) in cases.items():
        body = b"\n" + words + b"\n" + f"{len(data):8d}\n{data.hex()}\n".encode()
        raw = chunk(b"zTXt", f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(body))
        out = io.BytesIO()
        small.save(out, "PNG")
        (tmp_path / "a.png").write_bytes(out.getvalue()[:33] + raw + out.getvalue()[33:])
        photo = load_photo(tmp_path / "a.png")
        if kind in ("iptc", "8bim"):
            assert photo.metadata.iptc == RECORD
        else:
            assert photo.size == (64, 96), kind


def test_repeated_keywords_and_comments_in_latin_1(tmp_path: Path, small: Image.Image) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "one")
    info.add_text("Author", "two")
    small.save(tmp_path / "a.png", pnginfo=info)
    path, _ = saved(load_photo(tmp_path / "a.png"), tmp_path, "png")
    assert load_photo(path).metadata.text == (("Author", "one"), ("Author", "two"))
    small.save(tmp_path / "a.jpg", comment="café".encode("latin-1"))
    path, _ = saved(load_photo(tmp_path / "a.jpg"), tmp_path, "png")
    assert dict(load_photo(path).metadata.text)["Comment"] == "café"
