"""docs/formats.md says what the code does: each cell and each sentence is tried out."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from stylecore.errors import PhotoError
from stylecore.images import decode, formats
from stylecore.images.complete import BLACK_END
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.photo import Metadata, Photo
from stylecore.output import Output
from tests.harness import REPOSITORY
from tests.stylecore.images.colours import hdr, heic
from tests.stylecore.images.photos import adobe_rgb, icc_file, one_way_profile, result_of, rich_exif
from tests.stylecore.images.records import PACKET, RECORD

PAGE = (REPOSITORY / "docs" / "formats.md").read_text()


def table(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_what_comes_in(tmp_path: Path, small: Image.Image) -> None:
    suffixes: dict[str, set[str]] = {}
    for suffix in formats.PICTURE_SUFFIXES:
        kind = "raw" if suffix in formats.RAW_SUFFIXES else formats.one_suffix(suffix).strip(".")
        suffixes.setdefault({"jpg": "jpeg", "tif": "tiff"}.get(kind, kind), set()).add(suffix)
    bits = {name: set[int]() for name in suffixes}
    deep = np.asarray(small).astype(np.uint16)
    small.save(tmp_path / "a.jpg")
    for name in ("a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "a.avif", "a.heic"):
        small.save(tmp_path / name)
    tifffile.imwrite(tmp_path / "16.tif", deep * 257, photometric="rgb")
    (tmp_path / "16.png").write_bytes(bytes(imagecodecs.png_encode(deep * 257)))
    for depth in (10, 12):
        shifted = deep << (depth - 8)
        (tmp_path / f"{depth}.avif").write_bytes(imagecodecs.avif_encode(shifted, level=90, bitspersample=depth))
        packed = bytes(imagecodecs.packints_encode(shifted.ravel(), depth))
        tifffile.imwrite(
            tmp_path / f"{depth}.tif", data=iter([packed]), shape=deep.shape, dtype=np.uint16, bitspersample=depth,
            photometric="rgb", rowsperstrip=64,
        )  # fmt: skip
        photo = Photo(tmp_path, deep << 8, "heic", bits=depth)
        save_result(result_of(photo), tmp_path / f"{depth}.heic", Output())
    for path in tmp_path.iterdir():
        photo = load_photo(path)
        bits[photo.format].add(photo.bits)
    bits["raw"] = {16}
    found = {kind: (suffixes[kind], bits[kind], formats.READ_ONLY.get(kind, kind)) for kind in suffixes}
    said = {
        row[0].lower(): (set(row[1].split()), {int(b) for b in row[2].split()}, row[3])
        for row in table("What comes in")
    }
    assert said == found


def test_what_comes_out(tmp_path: Path, small: Image.Image) -> None:
    """A photo with everything, saved and read again."""
    pixels = np.random.default_rng(0).integers(0, 65536, (64, 96, 3), dtype=np.uint16)
    metadata = Metadata(rich_exif(1), PACKET, RECORD, (("Source", "film"),), b"hello", (300.0, 300.0))
    everything = Photo(tmp_path, pixels, "png", alpha=pixels[..., 0], profile=adobe_rgb(), metadata=metadata, bits=16)
    for row in table("What comes out"):
        kind = row[0]
        path = tmp_path / f"out{formats.EXTENSIONS[kind]}"
        save_result(result_of(everything), path, Output())
        back = load_photo(path)
        kept = (back.alpha, back.profile, back.metadata.exif, back.metadata.xmp, back.metadata.iptc)
        more = (dict(back.metadata.text).get("Source"), back.metadata.comment, back.metadata.dpi)
        assert row[1:] == [str(back.bits), *("no" if part is None else "yes" for part in (*kept, *more))], kind


def test_every_note(tmp_path: Path, small: Image.Image) -> None:
    """Each is provoked, and no other."""
    notes: set[str] = set()

    def load(name: str, data: bytes | None = None) -> Photo:
        if data is not None:
            (tmp_path / name).write_bytes(data)
        photo = load_photo(tmp_path / name)
        notes.update(photo.notes)
        return photo

    def save(photo: Photo, name: str) -> None:
        notes.update(save_result(result_of(photo), tmp_path / name, Output()))

    deep = Photo(tmp_path, np.asarray(small).astype(np.uint16) * 257, "png", bits=16)
    plain = Photo(tmp_path, np.asarray(small), "png")
    save(deep, "a.jpg")
    save(replace(plain, alpha=np.full((64, 96), 9, np.uint8)), "a.jpg")
    save(replace(plain, metadata=Metadata(iptc=RECORD)), "a.webp")
    save(replace(plain, metadata=Metadata(text=(("Source", "film"),))), "a.jpg")
    save(replace(plain, metadata=Metadata(comment=b"hello")), "a.webp")
    large = Image.Exif()
    large.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(90_000)
    save(replace(plain, metadata=Metadata(exif=large.tobytes()[6:])), "a.jpg")
    save(replace(plain, metadata=Metadata(exif=b"no directory")), "a.avif")
    four = np.dstack([np.asarray(small), np.asarray(small)[..., 0]])
    tifffile.imwrite(tmp_path / "a.tif", four, photometric="rgb", extrasamples=["unspecified"], metadata=None)
    load("a.tif")
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(np.asarray(small), photometric="rgb", metadata=None)
        writer.write(np.asarray(small)[..., 0], photometric="minisblack", metadata=None)
    load("b.tif")
    small.save(tmp_path / "c.jpg", xmp=PACKET.replace(b"</rdf:RDF>", DEPTH + b"</rdf:RDF>"))
    load("c.jpg")
    small.save(tmp_path / "d.mpo", "MPO", save_all=True, append_images=[small.rotate(1)])
    load("d.mpo")
    load("e.heic", heic(hdr(small, 16), 9, 16))
    small.convert("CMYK").save(tmp_path / "f.jpg", icc_profile=None)
    load("f.jpg")
    tifffile.imwrite(
        tmp_path / "g.tif", np.asarray(small.convert("CMYK")), photometric="separated", iccprofile=cmyk_profile()
    )
    load("g.tif")
    grey = Image.new("RGB", (8, 8), (90, 90, 90))
    grey.save(tmp_path / "h.png", icc_profile=one_way_profile())
    load("h.png")
    uncalibrated = Image.Exif()
    uncalibrated.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    small.save(tmp_path / "i.jpg", exif=uncalibrated)
    load("i.jpg")
    out = io.BytesIO()
    small.save(out, "BMP")
    load("j.bmp", out.getvalue()[:-9000] + bytes(9000))
    documented = {row[0].strip("*") for row in table("What is noted")}
    assert notes == documented
    assert {BLACK_END, decode.UNCALIBRATED} <= documented


DEPTH = b'<x xmlns:d="http://ns.google.com/photos/1.0/depthmap/" d:Format="RangeInverse"/>'


def cmyk_profile() -> bytes:
    """Ink without a profile's usual table: one grid point for each corner (lut8Type)."""
    import struct

    corners = np.array([[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)])
    light = (1 - corners[:, 3]) * (1 - corners[:, :3].mean(1))
    table = np.stack([light * 255, np.full(16, 128), np.full(16, 128)], 1).round().astype(np.uint8).tobytes()
    curve = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + curve * 4 + table + curve * 3
    return icc_file(b"prtr", b"CMYK", lut)


def test_every_reason(tmp_path: Path, small: Image.Image) -> None:
    out = io.BytesIO()
    small.save(out, "PNG")
    png = out.getvalue()

    def saved(name: str, **options: Any) -> Callable[[], Path]:
        def save() -> Path:
            small.save(tmp_path / name, **options)
            return tmp_path / name

        return save

    def written(name: str, data: bytes) -> Callable[[], Path]:
        def write() -> Path:
            (tmp_path / name).write_bytes(data)
            return tmp_path / name

        return write

    def floats() -> Path:
        tifffile.imwrite(tmp_path / "float.tif", np.ones((8, 8, 3), np.float32), photometric="rgb")
        return tmp_path / "float.tif"

    cases = {
        "is cut off": written("a.png", png[:-100]),
        "was not copied completely (the end is empty)": written("b.png", png[:1000] + bytes(len(png) - 1000)),
        "contains only zeros: it was not downloaded": written("c.png", bytes(100)),
        "is damaged": written("d.png", png[:8] + b"\0\0\0\1x2345678"),
        "its colours are not known": saved("e.png", icc_profile=b"no profile at all" * 20),
        "has several pages": saved("f.tif", save_all=True, append_images=[small]),
        "is animated": saved("g.gif", save_all=True, append_images=[small.rotate(9)]),
        "which is not supported": floats,
        "is not a picture in a supported format": written("h.psd", b"8BPS" + bytes(range(1, 100))),
    }
    assert cases.keys() == {row[0].strip("*") for row in table("What is refused")}
    for reason, make in cases.items():
        with pytest.raises(PhotoError, match=re.escape(reason)):
            load_photo(make())
