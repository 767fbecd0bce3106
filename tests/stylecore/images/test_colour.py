"""What a photo's colours mean: however a file describes them, the Result shows the same, and loses no gamut."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from stylecore.errors import PhotoError
from stylecore.images import cicp, directories, exif, icc
from stylecore.images.cicp import Cicp
from stylecore.images.decode import load_photo
from stylecore.images.encode import Result, save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Photo
from stylecore.images.png import chunk
from stylecore.output import Output
from stylecore.preset import Painting
from stylecore.transfer import stylize
from tests.harness import difference
from tests.stylecore.images.photos import LOSSLESS, adobe_rgb, one_way_profile, result_of

P3 = cicp.profile_of(Cicp(12, 13))
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def in_space(picture: Image.Image, profile: bytes | None) -> np.ndarray:
    """sRGB pixels in another space."""
    floats = np.asarray(picture, np.float32) / np.float32(255)
    return np.rint((floats if profile is None else icc.from_srgb(floats, profile)) * 255).astype(np.uint8)


def shown(path: Path) -> Image.Image:
    """A picture as a colour-managed viewer shows it."""
    with Image.open(path) as image:
        image.load()
        rgb = image.convert("RGB")
        if profile := image.info.get("icc_profile"):
            return ImageCms.profileToProfile(rgb, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB)  # type: ignore[return-value]
        return rgb


SRGB = ImageCms.createProfile("sRGB")


def png_with(pixels: np.ndarray, *chunks: bytes) -> bytes:
    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    return data[:33] + b"".join(chunks) + data[33:]


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma)))


def chrm(primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * v) for v in (*icc.D65, *primaries))))


def iccp(profile: bytes) -> bytes:
    import zlib

    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def check(photo: Photo, path: Path, picture: Image.Image, limit: float = 2.0) -> None:
    """The network, and whoever opens the Result of strength 0, sees the picture."""
    assert difference(photo.resized(*photo.size) * 255, picture) < limit
    target = path.with_name(f"result{EXTENSIONS.get(photo.format, '.png')}")
    save_result(result_of(photo), target, Output())
    assert difference(shown(target), picture) < limit + 2.5 * (photo.format not in LOSSLESS)


def test_png_chunks_and_their_order(tmp_path: Path, small: Image.Image) -> None:
    adobe = in_space(small, icc.adobe_rgb())
    gamma_1 = np.rint(icc.srgb_to_linear(np.asarray(small) / 255) * 255).astype(np.uint8)
    srgb, cicp_p3 = chunk(b"sRGB", b"\0"), chunk(b"cICP", bytes((12, 13, 0, 1)))
    cases: list[tuple[np.ndarray, tuple[bytes, ...]]] = [
        (adobe, (gama(563 / 256), chrm(ADOBE))),
        (gamma_1, (gama(1.0),)),
        (np.asarray(small), (srgb, gama(1.0), chrm(ADOBE))),
        (adobe, (iccp(icc.adobe_rgb()), gama(1.0))),
        (in_space(small, P3), (cicp_p3, iccp(icc.adobe_rgb()), srgb)),
    ]
    for pixels, chunks in cases:
        path = tmp_path / "photo.png"
        path.write_bytes(png_with(pixels, *chunks))
        photo = load_photo(path)
        assert np.array_equal(photo.pixels, pixels), "to the last bit"
        check(photo, path, small)


def test_png_of_limited_range(tmp_path: Path, small: Image.Image) -> None:
    limited = np.rint(np.asarray(small) / 255 * 219 + 16).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png_with(limited, chunk(b"cICP", bytes((1, 13, 0, 0)))))
    check(load_photo(tmp_path / "a.png"), tmp_path / "a.png", small)


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


def test_colours_by_tiffs_tags(tmp_path: Path, small: Image.Image) -> None:
    linear = np.rint(icc.srgb_to_linear(np.asarray(small) / 255) * 255).astype(np.uint8)
    table = tuple(range(0, 65536, 257))
    corners = tuple(round(v * 10_000) for p in ADOBE for v in (p,) for v in (v,))
    tagged: list[tuple[np.ndarray, list[Any]]] = [
        (linear, [(301, 3, 256, table, True)]),
        (in_space(small, icc.rgb_profile(ADOBE, icc.D65, gamma=2.2)), [
            (318, 5, 2, (3127, 10_000, 3290, 10_000), True),
            (319, 5, 6, tuple(n for corner in corners for n in (corner, 10_000)), True),
        ]),
    ]  # fmt: skip
    for pixels, tags in tagged:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, extratags=tags)
        check(load_photo(path), path, small)


def test_a_bmp_that_describes_its_colours(tmp_path: Path, small: Image.Image) -> None:
    """Version 4 by end points and gamma, version 5 by a profile within."""
    adobe = in_space(small, icc.adobe_rgb())
    rows = np.ascontiguousarray(adobe[::-1, :, ::-1]).tobytes()
    white, xyz = (
        np.array([0.9505, 1, 1.089]),
        np.array([[*ADOBE[i : i + 2], 1 - sum(ADOBE[i : i + 2])] for i in (0, 2, 4)]),
    )
    ends = xyz * np.linalg.solve(xyz.T, white)[:, None]

    def bmp(header: int, space: bytes, more: bytes, tail: bytes = b"") -> bytes:
        start = 14 + header
        info = struct.pack("<IiiHHIIiiII", header, 96, 64, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
        body = (info + space + more).ljust(header, b"\0") + rows + tail
        return struct.pack("<2sIHHI", b"BM", 14 + len(body), 0, 0, start) + body

    corners = struct.pack("<9I", *(round(v * 2**30) for v in ends.ravel()))
    gammas = struct.pack("<3I", *[round(563 / 256 * 65536)] * 3)
    profile = icc.adobe_rgb()
    embedded = bytes(36 + 12 + 4) + struct.pack("<II", 124 + len(rows), len(profile))
    for name, data in {
        "4.bmp": bmp(108, bytes(4), corners + gammas),
        "5.bmp": bmp(124, b"DEBM", embedded[4 - 4 :], profile),
    }.items():
        (tmp_path / name).write_bytes(data)
        photo = load_photo(tmp_path / name)
        assert photo.profile is not None
        check(photo, tmp_path / name, small)
    (tmp_path / "linked.bmp").write_bytes(bmp(124, b"KNIL", embedded))
    with pytest.raises(PhotoError, match="its colours are not known"):
        load_photo(tmp_path / "linked.bmp")


def test_a_gif_with_a_profile(tmp_path: Path, small: Image.Image) -> None:
    out = io.BytesIO()
    Image.fromarray(in_space(small, icc.adobe_rgb())).quantize(256).save(out, "GIF")
    data, profile = out.getvalue(), icc.adobe_rgb()
    blocks = b"".join(
        bytes((len(part),)) + part for part in (profile[i : i + 255] for i in range(0, len(profile), 255))
    )
    at = 13 + (3 << ((data[10] & 7) + 1))
    (tmp_path / "a.gif").write_bytes(data[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[at:])
    check(load_photo(tmp_path / "a.gif"), tmp_path / "a.gif", small, 6)


def heic(pixels: np.ndarray, primaries: int, transfer: int) -> bytes:
    """10 bits, described by code points alone."""
    height, width = pixels.shape[:2]
    picture = pillow_heif.from_bytes("RGB;16", (width, height), pixels.astype(np.uint16).tobytes())
    out = io.BytesIO()
    picture.save(
        out, quality=98, chroma=444, color_primaries=primaries, transfer_characteristics=transfer, matrix_coefficients=9
    )
    return out.getvalue()


def test_display_p3_by_code_points(tmp_path: Path, small: Image.Image) -> None:
    pixels = in_space(small, P3)
    (tmp_path / "a.heic").write_bytes(heic(pixels.astype(np.uint16) * 257, 12, 13))
    data = bytes(imagecodecs.avif_encode(pixels, level=95, primaries=12, transfer=13, matrix=6))
    (tmp_path / "a.avif").write_bytes(data)
    for name in ("a.heic", "a.avif"):
        photo = load_photo(tmp_path / name)
        assert photo.profile == P3
        check(photo, tmp_path / name, small, 3)


def hdr(picture: Image.Image, transfer: int) -> np.ndarray:
    """The picture in BT.2020, its white at 203 cd/m2, as 16 bits."""
    linear = cicp.profile_of(Cicp(9, 8))
    assert linear is not None
    light = icc.from_srgb(np.asarray(picture, np.float32) / np.float32(255), linear) * 203
    if transfer == cicp.PQ:
        encoded = cicp._pq(light)
    else:
        weights = np.array([0.2627, 0.6780, 0.0593], np.float32)
        display = light / 1000
        scene = display * np.maximum(display @ weights, 1e-6)[..., None] ** (1 / 1.2 - 1)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        encoded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-6)) + c)
    return np.rint(encoded.clip(0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [cicp.PQ, cicp.HLG])
def test_hdr_becomes_sdr(tmp_path: Path, small: Image.Image, transfer: int) -> None:
    """What is at most as bright as SDR's white keeps its light."""
    pixels = hdr(small, transfer)
    (tmp_path / "a.heic").write_bytes(heic(pixels, 9, transfer))
    data = bytes(
        imagecodecs.avif_encode(pixels >> 6, level=95, bitspersample=10, primaries=9, transfer=transfer, matrix=9)
    )
    (tmp_path / "a.avif").write_bytes(data)
    (tmp_path / "a.png").write_bytes(png_with(pixels, chunk(b"cICP", bytes((9, transfer, 0, 1)))))
    for name in ("a.heic", "a.avif", "a.png"):
        photo = load_photo(tmp_path / name)
        assert "It is HDR" in photo.notes[0]
        check(photo, tmp_path / name, small, 3)


def test_highlights_are_rolled_off_and_white_stays_bright() -> None:
    light = np.linspace(0, 1500, 500, dtype=np.float32)
    out = cicp.rolled_off(light, 1000.0)
    assert (np.diff(out) >= 0).all(), "monotone"
    assert out[-1] == pytest.approx(1, abs=0.01)
    assert np.allclose(cicp.rolled_off(light[:60], 203.0), light[:60] / 203)
    white = float(cicp.rolled_off(np.array([203.0], np.float32), 1000.0)[0])
    assert 0.75 < white < 1
    assert cicp._pq_light(cicp._pq(light)) == pytest.approx(light, rel=1e-2, abs=0.05)


@pytest.mark.parametrize("code_points", [(3, 13), (1, 9), (40, 13)])
def test_code_points_without_a_meaning_are_refused(tmp_path: Path, small: Image.Image, code_points: Any) -> None:
    (tmp_path / "a.png").write_bytes(png_with(np.asarray(small), chunk(b"cICP", bytes((*code_points, 0, 1)))))
    with pytest.raises(PhotoError, match="its colours are not known"):
        load_photo(tmp_path / "a.png")


def test_a_profile_that_leads_only_out_of_its_space(tmp_path: Path, small: Image.Image) -> None:
    linear = np.rint(icc.srgb_to_linear(np.asarray(small) / 255) * 255).astype(np.uint8)
    path = tmp_path / "scan.png"
    Image.fromarray(linear).save(path, icc_profile=one_way_profile())
    photo = load_photo(path)
    assert "converted to" in photo.notes[0]
    check(photo, path, small, 4)


def test_what_clips_in_srgb_goes_to_adobe_rgb(tmp_path: Path) -> None:
    """A CMYK cyan is outside sRGB."""
    green = np.full((8, 8, 3), (0, 255, 0), np.uint8)
    pixels, profile = icc.to_rgb(green, icc.adobe_rgb())
    assert profile == icc.adobe_rgb()
    assert np.abs(pixels.astype(int) - green).max() <= 1
    pixels, profile = icc.to_rgb(np.full((8, 8, 3), 128, np.uint8), icc.adobe_rgb())
    assert profile is None


def test_grey_with_a_profile_stays_to_the_last_bit(tmp_path: Path, small: Image.Image) -> None:
    """Even though the Result is RGB: its profile has the grey one's curve."""
    grey = np.asarray(small.convert("L"))
    linear = np.rint(icc.srgb_to_linear(grey / 255) * 65535).astype(np.uint16)
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, linear, photometric="minisblack", iccprofile=profile)
    photo = load_photo(path)
    assert np.array_equal(photo.pixels[..., 1], linear)
    check(photo, path, small.convert("L").convert("RGB"))


def test_a_profile_of_another_kind(tmp_path: Path, small: Image.Image) -> None:
    """RGB's under grey pixels is clear; grey's under RGB pixels is not."""
    small.convert("L").save(tmp_path / "grey.png", icc_profile=adobe_rgb())
    assert load_photo(tmp_path / "grey.png").profile == adobe_rgb()
    small.save(tmp_path / "rgb.png", icc_profile=bytes(imagecodecs.cms_profile("gray", gamma=2.2)))
    with pytest.raises(PhotoError, match="colour profile that is for GRAY"):
        load_photo(tmp_path / "rgb.png")


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
@pytest.mark.parametrize("strength", [0, 50, 100])
def test_a_wide_gamut_survives(tmp_path: Path, quick: Painting, kind: str, strength: int) -> None:
    """P3's red, green and blue: unchanged at strength 0, still outside sRGB at 50 with the photo's own colours."""
    patches = np.zeros((64, 96, 3), np.uint8)
    for i, colour in enumerate([(254, 0, 0), (0, 254, 0), (0, 0, 254)]):
        patches[:, 32 * i : 32 * i + 32] = colour
    path = tmp_path / f"p3{EXTENSIONS[kind]}"
    Image.fromarray(patches).save(path, icc_profile=P3, quality=97, subsampling=0)
    preset = quick.model_copy(update={"strength": float(strength), "colour": "photo", "recolour": False})
    *_, result = stylize(load_photo(path), preset)
    assert isinstance(result, Result)
    save_result(result, path.with_name(f"result{path.suffix}"), Output())
    with Image.open(path.with_name(f"result{path.suffix}")) as out:
        assert out.info["icc_profile"] == P3
        pixels = np.asarray(out.convert("RGB")).astype(int)
    if strength == 0:
        assert np.abs(pixels - patches)[8:-8, 8:24].max() <= (0 if kind in LOSSLESS else 3)
    if strength <= 50:
        srgb_red = icc.from_srgb(np.array([[[1, 0, 0]]], np.float32), P3 or b"")[0, 0] * 255
        assert pixels[16:48, 8:24, 0].mean() > srgb_red[0] + 5 or strength == 50
    assert result.photo.profile == P3


def test_exif_does_not_contradict_the_profile(tmp_path: Path, small: Image.Image) -> None:
    """Colours that were converted are no longer what EXIF said."""
    block = Image.Exif()
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    block.get_ifd(ExifTags.IFD.Exif)[0xA005] = {1: "R03"}
    path = tmp_path / "a.jpg"
    small.save(path, exif=block)
    photo = replace(load_photo(path), profile=None)
    save_result(result_of(photo), tmp_path / "out.jpg", Output())
    with Image.open(tmp_path / "out.jpg") as out:
        details = out.getexif().get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.ColorSpace] == 1
    assert load_photo(tmp_path / "out.jpg").profile is None


R03 = Image.Exif()
R03.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
R03.get_ifd(ExifTags.IFD.Exif)[0xA005] = {1: "R03"}


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


def test_hdr_of_8_bits_keeps_its_transparency(tmp_path: Path, small: Image.Image) -> None:
    pixels = (hdr(small, cicp.PQ) >> 8).astype(np.uint8)
    alpha = np.full((64, 96), 128, np.uint8)
    (tmp_path / "a.png").write_bytes(png_with(np.dstack([pixels, alpha]), chunk(b"cICP", bytes((9, 16, 0, 1)))))
    photo = load_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert photo.alpha.dtype == photo.pixels.dtype == np.uint16
    assert (photo.alpha == 128 * 257).all()


def with_icc_pieces(data: bytes, profile: bytes, numbers: list[tuple[int, int]]) -> bytes:
    third = -(-len(profile) // 3)
    pieces = b""
    for number, count in numbers:
        body = b"ICC_PROFILE\0" + bytes((number, count)) + profile[(number - 1) * third : number * third]
        pieces += b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    return data[:2] + pieces + data[2:]


def test_pieces_of_a_profile_in_a_jpeg(tmp_path: Path, small: Image.Image) -> None:
    out = io.BytesIO()
    small.save(out, "JPEG")
    path = tmp_path / "a.jpg"
    for numbers in ([(2, 3), (1, 3), (3, 3)], [(1, 3), (2, 3), (2, 3), (3, 3)]):
        path.write_bytes(with_icc_pieces(out.getvalue(), adobe_rgb(), numbers))
        assert load_photo(path).profile == adobe_rgb()
    path.write_bytes(with_icc_pieces(out.getvalue(), adobe_rgb(), [(1, 3), (3, 3)]))
    with pytest.raises(PhotoError, match="its colours are not known"):
        load_photo(path)


def test_uncalibrated_is_noted(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    small.save(tmp_path / "a.jpg", exif=block)
    assert "they were read as sRGB" in load_photo(tmp_path / "a.jpg").notes[0]


def test_tags_without_a_meaning_do_no_harm(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block[318], block[319] = (0.0, 0.0), (0.0,) * 6
    small.save(tmp_path / "a.jpg", exif=block, icc_profile=P3)
    photo = load_photo(tmp_path / "a.jpg")
    save_result(result_of(photo), tmp_path / "out.jpg", Output())
    assert load_photo(tmp_path / "out.jpg").profile == P3


def test_multiplied_alpha_of_heic(tmp_path: Path, small: Image.Image) -> None:
    alpha = np.full((64, 96), 100, np.uint8)
    multiplied = np.rint(np.asarray(small) * (100 / 255)).astype(np.uint8)
    picture = pillow_heif.from_bytes("RGBa", (96, 64), np.dstack([multiplied, alpha]).tobytes())
    picture.save(tmp_path / "a.heic", quality=98, chroma=444)
    assert difference(load_photo(tmp_path / "a.heic").pixels, small) < 6


def test_grey_that_arrives_as_rgb_with_a_grey_profile(tmp_path: Path, small: Image.Image) -> None:
    grey = bytes(imagecodecs.cms_profile("gray", gamma=2.2))
    small.convert("L").save(tmp_path / "a.png", icc_profile=grey, transparency=3)
    small.convert("L").convert("RGB").save(tmp_path / "a.webp", icc_profile=grey, lossless=True)
    for name in ("a.png", "a.webp"):
        photo = load_photo(tmp_path / name)
        assert photo.profile == icc.with_grey_curve(grey)
        assert np.array_equal(photo.pixels[..., 0], np.asarray(small.convert("L")))


@pytest.mark.parametrize("colour", ["style", "photo"])
def test_a_painting_looks_the_same_in_every_space(
    tmp_path: Path, small: Image.Image, quick: Painting, colour: str
) -> None:
    """Enlarging and blending happen in the photo's own space."""
    large = small.resize((192, 128), Image.Resampling.BICUBIC)
    preset = quick.model_copy(update={"colour": colour})
    painted = []
    for name, profile in {"srgb.png": None, "adobe.png": icc.adobe_rgb(), "p3.png": P3}.items():
        Image.fromarray(in_space(large, profile)).save(tmp_path / name, icc_profile=profile)
        *_, result = stylize(load_photo(tmp_path / name), preset)
        assert isinstance(result, Result)
        save_result(result, tmp_path / f"painted-{name}", Output())
        painted.append(shown(tmp_path / f"painted-{name}"))
    assert difference(painted[0], large) > 8, "it is painted"
    assert max(difference(painted[0], other) for other in painted[1:]) < 3
