"""Files that are not photos, or are hostile: refused by name, in bounded memory and time."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stylecore.errors import PhotoError
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.photo import Metadata, Photo
from stylecore.images.preview import small_picture
from stylecore.output import Output
from tests.harness import HANG, REPOSITORY
from tests.stylecore.images.photos import result_of


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_bombs_are_refused_in_bounded_memory(tmp_path: Path, cat: Image.Image) -> None:
    """In a separate process, because the memory's high-water mark belongs to the process."""
    (tmp_path / "bomb.png").write_bytes(png_header(100_000, 100_000))
    (tmp_path / "large.png").write_bytes(png_header(21_000, 20_000))  # Pillow's guard alone would let it pass
    block = bytearray(b"II*\0\x08\0\0\0" + struct.pack("<H", 900))
    for tag in range(900):  # each entry points at the same 4 MB
        block += struct.pack("<HHII", tag + 1, 7, 4_000_000, 8)
    (tmp_path / "tags.tif").write_bytes(bytes(block) + bytes(4_000_100))
    code = """if True:
        import resource, sys
        from pathlib import Path
        from stylecore.errors import PhotoError
        from stylecore.images.decode import load_photo
        load_photo(Path(sys.argv[1]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in sys.argv[2:]:
            try:
                load_photo(Path(name))
                print("loaded")
            except PhotoError as e:
                print(e)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    cat.save(tmp_path / "cat.png")
    names = [str(tmp_path / name) for name in ("cat.png", "bomb.png", "large.png", "tags.tif")]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, cwd=REPOSITORY, timeout=HANG
    )
    bomb, large, tags, megabytes = done.stdout.splitlines()
    assert "claims 100000 x 100000 pixels" in bomb
    assert "claims 21000 x 20000 pixels" in large
    assert "tags.tif is" in tags
    assert int(megabytes) < 150


def test_what_is_no_photo_is_refused_by_name(tmp_path: Path, small: Image.Image) -> None:
    def refused(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(PhotoError) as e:
            load_photo(path)
        assert str(e.value).startswith(name)
        return str(e.value)

    out = io.BytesIO()
    small.save(out, "JPEG")
    assert "is empty" in refused("empty.jpg", b"")
    assert "not a picture" in refused("words.jpg", b"these are words" * 50)
    assert "damaged or cut off" in refused("cut.jpg", out.getvalue()[:1500])
    out = io.BytesIO()
    small.save(out, "PNG")
    assert "cut off" in refused("cut.png", out.getvalue()[:2000])
    out = io.BytesIO()
    small.save(out, "GIF", save_all=True, append_images=[small.rotate(90), small.rotate(180)])
    assert "animated (3 frames)" in refused("moving.gif", out.getvalue())
    out = io.BytesIO()
    small.save(out, "TIFF", save_all=True, append_images=[small])
    assert "several pages" in refused("pages.tif", out.getvalue())
    out = io.BytesIO()
    tifffile.imwrite(out, np.ones((20, 20, 3), np.float32), photometric="rgb")
    assert "RGB, float32" in refused("float.tif", out.getvalue())
    assert "RAW" in refused("camera.nef", b"no such thing" * 100)


def test_a_wrong_extension_does_not_matter(tmp_path: Path, small: Image.Image) -> None:
    path = tmp_path / "really-a-png.jpg"
    small.save(path, "PNG")
    assert load_photo(path).format == "png"


def test_bigtiff_keeps_its_orientation(tmp_path: Path, small: Image.Image) -> None:
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, np.asarray(small), bigtiff=True, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    assert load_photo(path).size == (64, 96)


def test_hostile_xmp_costs_no_time(tmp_path: Path, small: Image.Image) -> None:
    photo = Photo(tmp_path / "a.png", np.asarray(small), "png", metadata=Metadata(xmp=b"<xmp:Thumbnails " * 60_000))
    save_result(result_of(photo), tmp_path / "a.png", Output())


def test_no_permission_and_no_file(tmp_path: Path, small: Image.Image) -> None:
    path = tmp_path / "mine.png"
    small.save(path)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        tmp_path.chmod(0o755)
        for parent in [p for p in tmp_path.parents if p.stat().st_uid == os.getuid() and len(p.parts) > 2]:
            parent.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(PhotoError, match=r"mine\.png cannot be read \(Permission denied\)"):
            load_photo(path)
    finally:
        if root:
            os.seteuid(0)
    with pytest.raises(PhotoError, match="No such file"):
        load_photo(tmp_path / "gone.png")


def test_damaged_pictures_are_refused_when_they_are_decoded_small(small: Image.Image) -> None:
    """Whatever their decoder raises."""
    chance = random.Random(7)
    refused = 0
    for kind in ("AVIF", "JPEG", "PNG", "TIFF", "WEBP", "GIF"):
        out = io.BytesIO()
        small.save(out, kind)
        for _ in range(60):
            data = bytearray(out.getvalue())
            for _ in range(chance.randint(1, 20)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                small_picture(bytes(data), 64, 64)
            except PhotoError:
                refused += 1
    assert refused > 50


@pytest.mark.parametrize("mode", ["1", "P", "CMYK"])
def test_pillows_own_limit_on_pixels_does_not_apply(
    tmp_path: Path, cat: Image.Image, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its decoders check it a second time. It stays as it was for others."""
    path = tmp_path / "a.tif"
    cat.convert(mode).save(path, icc_profile=None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load_photo(path).size == cat.size
    assert small_picture(path, 64, 64).size == (64, 43)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_a_tiff_whose_directories_go_round(tmp_path: Path, small: Image.Image) -> None:
    """The last directory points to the first: without a limit, reading would never end."""
    small.save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    (tmp_path / "a.tif").write_bytes(bytes(data))
    with pytest.raises(PhotoError, match=r"several pages|damaged"):
        load_photo(tmp_path / "a.tif")


def test_samples_whose_header_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 3), np.uint8))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data.replace(b"'shape': (", b"'shape': (\n\t((("))
    with pytest.raises(PhotoError, match="holds no samples that can be read"):
        load_photo(tmp_path / "a.npy")
