"""What a photo's colours mean: however a file describes them, the Result shows the same, and loses no gamut."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from stylecore.errors import PhotoError
from stylecore.images import icc
from stylecore.images.decode import load_photo
from stylecore.images.encode import Result, save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.png import chunk
from stylecore.output import Output
from stylecore.preset import Painting
from stylecore.transfer import stylize
from tests.harness import difference
from tests.stylecore.images.colours import (
    ADOBE,
    P3,
    check,
    chrm,
    gama,
    iccp,
    in_space,
    png_with,
    shown,
)
from tests.stylecore.images.photos import LOSSLESS, adobe_rgb, one_way_profile, result_of


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


def test_tags_without_a_meaning_do_no_harm(tmp_path: Path, small: Image.Image) -> None:
    block = Image.Exif()
    block[318], block[319] = (0.0, 0.0), (0.0,) * 6
    small.save(tmp_path / "a.jpg", exif=block, icc_profile=P3)
    photo = load_photo(tmp_path / "a.jpg")
    save_result(result_of(photo), tmp_path / "out.jpg", Output())
    assert load_photo(tmp_path / "out.jpg").profile == P3


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
