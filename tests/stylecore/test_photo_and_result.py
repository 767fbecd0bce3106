"""Photo in, Result out: pixels, orientation, metadata, depth, through every format, with real files."""

from __future__ import annotations

import functools
import io
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from stylecore import exif
from stylecore.decode import load_photo
from stylecore.errors import PhotoError, ResultError
from stylecore.files import write_whole
from stylecore.photo import Photo
from stylecore.preset import Output
from stylecore.result import EXTENSIONS, Result, save_result
from tests.conftest import REPOSITORY, difference

FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "heic"]
LOSSLESS = ("png", "tiff")


@functools.cache  # it holds the time of its making
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
        reader = exif.Reader(io.BytesIO(bytes(raw)))
        start = len(raw)
        struct.pack_into(reader.order + "I", raw, reader.next_at, start)
        pad = 4000  # cameras leave room
        entries = {
            0x103: exif.Entry(3, 1, struct.pack(reader.order + "H", 6), 0),
            0x201: exif.Entry(4, 1, struct.pack(reader.order + "I", start + 2 + 36 + 4), 0),
            0x202: exif.Entry(4, 1, struct.pack(reader.order + "I", len(out.getvalue()) + pad), 0),
        }
        exif._write_directory(raw, reader.order, entries)
        raw += out.getvalue() + bytes(pad)
    return bytes(raw)


def result_of(photo: Photo, pixels: np.ndarray | None = None) -> Result:
    return Result(photo, photo.pixels if pixels is None else pixels, 0, 0.0, None, "none")


def write_photo(folder: Path, image: Image.Image, kind: str, orientation: int = 1, **options: object) -> Path:
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
        exif.made_true(whole[:cut], 10, 10, None)
        assert exif.orientation(whole[:cut]) in (1, 6)
    noise = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for at in noise.integers(8, len(whole), 12):
            broken[at] = noise.integers(256)
        assert len(exif.made_true(bytes(broken), 10, 10, None)) == len(whole)


@pytest.mark.parametrize("kind", FORMATS)
def test_icc_profile_and_xmp_travel(tmp_path: Path, small: Image.Image, kind: str) -> None:
    profile = adobe_rgb()
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:creator="Ana"/></x:xmpmeta>'
    options: dict[str, object] = {"icc_profile": profile}
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
    assert difference(photo.pixels, srgb) < 0.6, "the network sees sRGB"
    target = tmp_path / f"result{path.suffix}"
    save_result(result_of(photo), target, Output())
    out = Image.open(target)
    assert out.info["icc_profile"] == profile
    xmp = out.info.get("xmp") or out.tag_v2[700]  # type: ignore[attr-defined]
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    assert b'dc:creator="Ana"' in xmp
    assert b'tiff:Orientation="6"' not in xmp
    assert difference(out.convert("RGB"), Image.open(path).convert("RGB")) < (2.5 if kind in LOSSLESS else 7)


def test_grey_palette_cmyk_and_alpha(tmp_path: Path, small: Image.Image) -> None:
    alpha = Image.linear_gradient("L").resize(small.size)
    rgba = small.copy()
    rgba.putalpha(alpha)
    grey_alpha = small.convert("L")
    grey_alpha.putalpha(alpha)
    cases = {
        "grey.png": (small.convert("L"), small.convert("L").convert("RGB"), 0.1),
        "line.png": (small.convert("1"), small.convert("1").convert("RGB"), 0.1),
        "palette.png": (small.quantize(64), small.quantize(64).convert("RGB"), 0.1),
        "cmyk.jpg": (small.convert("CMYK"), small, 8),
        "rgba.png": (rgba, small, 0.1),
        "la.png": (grey_alpha, small.convert("L").convert("RGB"), 0.1),
    }
    for name, (image, expected, near) in cases.items():
        image.save(tmp_path / name)
        photo = load_photo(tmp_path / name)
        assert photo.pixels.shape == (64, 96, 3)
        assert difference(photo.pixels, expected) < near, name
        assert (photo.alpha is not None) == (name in ("rgba.png", "la.png"))
    photo = load_photo(tmp_path / "rgba.png")
    save_result(result_of(photo), tmp_path / "out.png", Output())
    out = Image.open(tmp_path / "out.png")
    assert out.mode == "RGBA"
    assert difference(out.getchannel("A"), alpha) == 0
    notes = save_result(result_of(photo), tmp_path / "out.jpg", Output())
    assert notes == ["jpeg holds no transparency: it became white."]
    assert np.asarray(Image.open(tmp_path / "out.jpg"))[0].mean() > 250, "the gradient begins transparent"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_in_16_bits_out(tmp_path: Path, kind: str, channels: int) -> None:
    ramp = np.linspace(1000, 60000, 64 * 96, dtype=np.uint16).reshape(64, 96, 1).repeat(channels, 2)
    ramp[..., 0] += 7
    path = tmp_path / f"deep{EXTENSIONS[kind]}"
    samples = ramp[..., 0] if channels == 1 else ramp
    if kind == "png":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(samples)))
    else:
        tifffile.imwrite(path, samples, photometric="minisblack" if channels == 1 else "rgb", compression="lzw",
                         extrasamples=["unassalpha"] if channels == 4 else None)  # fmt: skip
    photo = load_photo(path)
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, ramp[..., :3] if channels > 1 else ramp.repeat(3, 2))
    target = tmp_path / f"result{path.suffix}"
    save_result(result_of(photo), target, Output())
    again = load_photo(target)
    assert np.array_equal(again.pixels, photo.pixels)
    assert (again.alpha is None) == (channels != 4)
    notes = save_result(result_of(photo), tmp_path / "result.jpg", Output())
    assert any("16 were cut to 8" in note for note in notes)


def test_16_bits_through_a_wide_profile(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(20000, 40000, (64, 96, 3), dtype=np.uint16)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, samples, photometric="rgb", iccprofile=adobe_rgb())
    photo = load_photo(path)
    save_result(result_of(photo), tmp_path / "result.tif", Output())
    with tifffile.TiffFile(tmp_path / "result.tif") as out:
        page = out.pages.first
        assert page.iccprofile == adobe_rgb()  # type: ignore[union-attr]
        assert difference(page.asarray(), samples) < 30  # of 65535: 12 bits survive both ways


def test_a_damaged_profile_is_said_and_dropped(tmp_path: Path, small: Image.Image) -> None:
    for name, profile in {"cut.png": adobe_rgb()[:300], "noise.png": b"no profile at all" * 20}.items():
        small.save(tmp_path / name, icc_profile=profile)
        photo = load_photo(tmp_path / name)
        assert photo.profile is None
        assert "colour profile" in photo.notes[0]


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_bombs_are_refused_in_bounded_memory(tmp_path: Path, cat: Image.Image) -> None:
    """In a process of its own, for the memory's high-water mark is the process's."""
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
        from stylecore.decode import load_photo
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
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
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
    assert "damaged" in refused("cut.png", out.getvalue()[:2000])
    out = io.BytesIO()
    small.save(out, "GIF", save_all=True, append_images=[small.rotate(90), small.rotate(180)])
    assert "animated (3 frames)" in refused("moving.gif", out.getvalue())
    out = io.BytesIO()
    small.save(out, "TIFF", save_all=True, append_images=[small])
    assert "2 pages" in refused("pages.tif", out.getvalue())
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
    photo = Photo(tmp_path / "a.png", np.asarray(small), "png", xmp=b"<xmp:Thumbnails " * 60_000)
    start = time.monotonic()
    save_result(result_of(photo), tmp_path / "a.png", Output())
    assert time.monotonic() - start < 5


def test_a_linear_profile_that_calls_itself_srgb(tmp_path: Path, small: Image.Image) -> None:
    """What was read as linear is written as linear: the same pixels with nothing painted."""
    primaries = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06]
    linear = bytes(imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329], primaries=primaries, gamma=1.0))
    name = linear.replace("RGB built-in".encode("utf-16-be"), "sRGB builtin".encode("utf-16-be"))
    small.save(tmp_path / "linear.png", icc_profile=name)
    photo = load_photo(tmp_path / "linear.png")
    assert difference(photo.pixels, small) > 20
    save_result(result_of(photo), tmp_path / "out.png", Output())
    assert difference(Image.open(tmp_path / "out.png"), small) < 2


def test_a_camera_raw_file(tmp_path: Path, cat: Image.Image) -> None:
    """A DNG with a Bayer mosaic of the cat, as a camera keeps it; EXIF comes along, the Result is a JPEG."""
    pytest.importorskip("rawpy", reason="the extra stylefolder[raw] is not installed")
    pixels = np.asarray(cat.resize((320, 240))).astype(np.uint16) * 200
    mosaic = pixels[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = pixels[0::2, 0::2, 0], pixels[1::2, 1::2, 2]
    identity = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    path = tmp_path / "camera.dng"
    tifffile.imwrite(
        path, mosaic, photometric=32803, metadata=None, software=False,
        extratags=[
            (50706, 1, 4, bytes((1, 4, 0, 0)), True), (50708, 2, 0, "Stylefolder One", True), (271, 2, 0, "Stylefolder", True),
            (33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes((0, 1, 1, 2)), True), (50721, 10, 9, identity, True),
            (50717, 4, 1, 51000, True), (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        ],
    )  # fmt: skip
    photo = load_photo(path)
    assert (photo.format, photo.pixels.dtype) == ("raw", np.uint16)
    assert 300 <= photo.size[0] <= 320
    assert photo.pixels.std() > 3000, "a picture, and not a blank"
    save_result(result_of(photo), tmp_path / "out.jpg", Output(), "jpeg")
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.getexif()[ExifTags.Base.Make] == "Stylefolder"


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


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "picture.jpg"
    write_whole(target, b"first")
    assert target.read_bytes() == b"first"
    target.unlink()
    target.mkdir()
    (target / "occupied").touch()
    with pytest.raises(ResultError, match="cannot be written"):
        write_whole(target, b"second")
    assert [p.name for p in target.parent.iterdir()] == ["picture.jpg"], "nothing temporary is left"


def test_formats_that_cannot_hold_it(tmp_path: Path) -> None:
    wide = Photo(tmp_path / "wide.png", np.zeros((2, 17000, 3), np.uint8), "png")
    with pytest.raises(ResultError, match="webp holds 16383 pixels a side"):
        save_result(result_of(wide), tmp_path / "wide.webp", Output())
    with pytest.raises(ResultError, match="no format is known"):
        save_result(result_of(wide), tmp_path / "wide.bmp", Output())
