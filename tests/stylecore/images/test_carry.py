"""IPTC, XMP, EXIF, PNG's texts and comments: they travel between formats that can hold them, and a note says what
cannot. Checked with readers that are not ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, IptcImagePlugin, PngImagePlugin

from stylecore.images import carry, directories, exif, xmp
from stylecore.images.decode import load_photo
from stylecore.images.formats import DEPTH, EXTENSIONS
from stylecore.images.photo import Metadata
from tests.stylecore.images.photos import FORMATS, rich_exif
from tests.stylecore.images.records import PACKET, RECORD, dataset, photo_with, saved


@pytest.mark.parametrize("kind", FORMATS)
def test_iptc(tmp_path: Path, small: Image.Image, kind: str) -> None:
    path, notes = saved(photo_with(small, Metadata(iptc=RECORD)), tmp_path, kind)
    with Image.open(path) as out:
        out.load()
        if kind in ("jpeg", "tiff"):
            found = IptcImagePlugin.getiptcinfo(out)
            assert found is not None
            assert found[2, 80] == "Jane Doë".encode()
            assert found[2, 25] == [b"harbour", b"evening"]
        elif kind == "png":
            assert b"Jane Do".hex() in out.text["Raw profile type iptc"].replace("\n", "")  # type: ignore[attr-defined]
        else:
            block = out.getexif()
            assert block[ExifTags.Base.ImageDescription] == "The harbour at dusk"
            assert block[ExifTags.Base.Copyright] == "(c) Jane"
            assert notes == [
                f"{kind} cannot hold IPTC: description, author, copyright went to EXIF; the rest was left out."
            ]
    if "iptc" in carry.HOLDS[kind]:
        assert notes == []
        assert load_photo(path).metadata.iptc == RECORD, "and back"


@pytest.mark.parametrize("kind", FORMATS)
def test_xmp_without_its_claims(tmp_path: Path, small: Image.Image, kind: str) -> None:
    path, notes = saved(photo_with(small, Metadata(xmp=PACKET)), tmp_path, kind)
    assert notes == []
    packet = load_photo(path).metadata.xmp
    assert packet is not None
    for gone in (b"MotionPhoto", b"MicroVideo", b"Directory", b'Version="1.0"', b"HasExtendedXMP", b'Orientation="6"'):
        assert gone not in packet
    for kept in (b"<rdf:li>Jane</rdf:li>", b'C:SpecialTypeID="PORTRAIT"', b'tiff:Orientation="1"', b"<?xpacket begin="):
        assert kept in packet


def test_claims_become_notes(tmp_path: Path, small: Image.Image) -> None:
    small.save(tmp_path / "a.jpg", xmp=PACKET)
    photo = load_photo(tmp_path / "a.jpg")
    assert photo.size == (64, 96), "turned by its XMP: it has no other orientation"
    assert photo.notes == (
        "The extended XMP is not in the Result.",
        "The gain map is not in the Result.",
        "The video of the motion photo is not in the Result.",
    )


def test_exif_says_more_about_orientation_than_xmp(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = 3
    small.save(tmp_path / "a.jpg", xmp=PACKET, exif=block)
    assert load_photo(tmp_path / "a.jpg").size == (96, 64)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiffs_tags(tmp_path: Path, small: Image.Image, byteorder: Any, big: bool) -> None:
    """BigTIFF's and IPTC's too, the latter declared as whole numbers, as Photoshop does."""
    padded = RECORD + bytes(-len(RECORD) % 4)
    words = np.frombuffer(padded, byteorder + "u4")
    tags: list[Any] = [
        (315, 2, 0, "Jane", True), (33432, 2, 0, "(c) Jane", True), (274, 3, 1, 6, True),
        (33723, 4, len(words), words.tolist(), True), (700, 1, len(PACKET), PACKET, True),
    ]  # fmt: skip
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.asarray(small), photometric="rgb", bigtiff=big, byteorder=byteorder, metadata=None, extratags=tags,
        resolution=(300, 300), resolutionunit="inch",
    )  # fmt: skip
    photo = load_photo(path)
    assert photo.size == (64, 96)
    assert (photo.metadata.iptc or b"").rstrip(b"\0") == RECORD
    for kind in ("tiff", "jpeg"):
        out, _ = saved(photo, tmp_path, kind)
        with Image.open(out) as shown:
            block = shown.getexif()
            assert block[ExifTags.Base.Artist] == "Jane"
            assert block[ExifTags.Base.Copyright] == "(c) Jane"
            found = IptcImagePlugin.getiptcinfo(shown)
            assert found is not None
            assert found[2, 116] == b"(c) Jane"
            assert shown.info["dpi"] == (300, 300)


def test_more_than_a_jpeg_can_hold(tmp_path: Path, small: Image.Image) -> None:
    large = PACKET.replace(b"Jane", b"J" * 70_000)
    record = b"".join(dataset(2, 25, "k" * 1000) for _ in range(70))
    path, notes = saved(photo_with(small, Metadata(xmp=large, iptc=record, comment=bytes(70_000))), tmp_path, "jpeg")
    assert notes == [
        f"Its {name} is larger than a JPEG can hold and was left out." for name in ("XMP", "IPTC", "comment")
    ]
    with Image.open(path) as out:
        assert "xmp" not in out.info


def test_an_xmp_that_is_a_bomb(tmp_path: Path, small: Image.Image) -> None:
    """Entities are not expanded; the text is corrected as it is."""
    entities = "".join(f'<!ENTITY e{i + 1} "&e{i};&e{i};&e{i};&e{i};">' for i in range(30))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><x tiff:Orientation="6">&e30;</x>'.encode()
    assert xmp.read(bomb).orientation == 6
    assert b'tiff:Orientation="1"' in xmp.corrected(bomb, 1, 1)
    deep = b"<a>" * 50_000 + b"</a>" * 50_000
    assert xmp.corrected(deep, 1, 1) == deep


def test_every_format_has_its_lines() -> None:
    assert carry.HOLDS.keys() == DEPTH.keys() == EXTENSIONS.keys()


def test_xmp_keeps_its_line_breaks() -> None:
    packet = b'<x xmlns:d="d" d:a="1&#xA;2&#x9;3"><b>4&#xD;5</b></x>'
    out = xmp.corrected(packet, 1, 1)
    again = xmp.corrected(out, 1, 1)
    assert b'd:a="1&#10;2&#9;3"' in out
    assert out == again


def test_colours_that_were_converted_are_no_longer_claimed() -> None:
    packet = (
        b'<x xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:p="http://ns.adobe.com/photoshop/1.0/"'
        b' exif:ColorSpace="65535" p:ICCProfile="Adobe RGB" p:City="Ulm"/>'
    )
    out = xmp.corrected(packet, 1, 1, 1)
    assert b"ICCProfile" not in out
    assert b'exif:ColorSpace="1"' in out
    assert b'p:City="Ulm"' in out
    assert b"ICCProfile" in xmp.corrected(packet, 1, 1)


def test_avif_keeps_exif_to_the_last_byte(tmp_path: Path, small: Image.Image) -> None:
    """Pillow would write it in its own way, without thumbnail and with broken maker notes."""
    block = rich_exif(1)
    path, _ = saved(photo_with(small, Metadata(exif=block)), tmp_path, "avif")
    back = load_photo(path).metadata.exif
    assert back is not None
    details, start = directories.Reader(back), directories.Reader(block)
    assert details.next == start.next > 0, "the thumbnail"
    assert back[details.next : details.next + 500] == block[start.next : start.next + 500] or len(back) > len(block)
    reader = details.child(details.main, exif.EXIF_IFD)[exif.MAKERS_NOTES]
    assert reader.data.startswith(b"Maker\0" + bytes(range(200)))


@pytest.mark.parametrize("kind", ["heic", "avif", "webp", "png"])
def test_claims_become_notes_in_every_format(tmp_path: Path, small: Image.Image, kind: str) -> None:
    path = tmp_path / f"a{EXTENSIONS[kind]}"
    options: dict[str, Any] = {"xmp": PACKET}
    if kind == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        options = {"pnginfo": info}
    small.save(path, {"heic": "HEIF"}.get(kind, kind.upper()), **options)
    assert "The video of the motion photo is not in the Result." in load_photo(path).notes


def test_xmp_of_a_gif(tmp_path: Path, small: Image.Image) -> None:
    out = io.BytesIO()
    small.quantize().save(out, "GIF")
    data = out.getvalue()
    at = 13 + (3 << ((data[10] & 7) + 1))
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    (tmp_path / "a.gif").write_bytes(data[:at] + b"\x21\xff\x0bXMP DataXMP" + PACKET + trailer + data[at:])
    assert load_photo(tmp_path / "a.gif").metadata.xmp == PACKET
