"""IPTC, XMP, EXIF, PNG's texts and comments: they travel between formats that can hold them, and a note says what
cannot. Checked with readers that are not ours."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, IptcImagePlugin, PngImagePlugin

from stylecore.images import carry, directories, exif, iptc, xmp
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.formats import DEPTH, EXTENSIONS
from stylecore.images.photo import Metadata, Photo
from stylecore.images.png import chunk
from stylecore.output import Output
from tests.stylecore.images.photos import FORMATS, result_of, rich_exif


def dataset(record: int, number: int, text: str) -> bytes:
    data = text.encode()
    return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data


RECORD = (
    dataset(1, 90, "\x1b%G")
    + dataset(2, 120, "The harbour at dusk")
    + dataset(2, 80, "Jane Doë")
    + dataset(2, 116, "(c) Jane")
    + dataset(2, 25, "harbour")
    + dataset(2, 25, "evening")
)
PACKET = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:C="http://ns.google.com/photos/1.0/camera/" xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:n="http://ns.adobe.com/xmp/note/"
 tiff:Orientation="6" C:MotionPhoto="1" C:MotionPhotoVersion="1" C:MicroVideoOffset="4032" C:SpecialTypeID="PORTRAIT"
 g:Version="1.0" n:HasExtendedXMP="0123">
<dc:creator><rdf:Seq><rdf:li>Jane</rdf:li></rdf:Seq></dc:creator>
<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def photo_with(small: Image.Image, metadata: Metadata, kind: str = "png") -> Photo:
    return Photo(Path("a"), np.asarray(small), kind, metadata=metadata)


def saved(photo: Photo, folder: Path, kind: str) -> tuple[Path, list[str]]:
    path = folder / f"out{EXTENSIONS[kind]}"
    return path, save_result(result_of(photo), path, Output())


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
