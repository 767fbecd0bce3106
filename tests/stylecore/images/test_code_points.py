"""Colours that HEIC, AVIF and PNG describe by code points (ITU-T H.273), HDR among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from stylecore.errors import PhotoError
from stylecore.images import cicp
from stylecore.images.decode import load_photo
from stylecore.images.png import chunk
from tests.harness import difference
from tests.stylecore.images.colours import (
    P3,
    check,
    hdr,
    heic,
    in_space,
    png_with,
)


def test_png_of_limited_range(tmp_path: Path, small: Image.Image) -> None:
    limited = np.rint(np.asarray(small) / 255 * 219 + 16).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png_with(limited, chunk(b"cICP", bytes((1, 13, 0, 0)))))
    check(load_photo(tmp_path / "a.png"), tmp_path / "a.png", small)


def test_display_p3_by_code_points(tmp_path: Path, small: Image.Image) -> None:
    pixels = in_space(small, P3)
    (tmp_path / "a.heic").write_bytes(heic(pixels.astype(np.uint16) * 257, 12, 13))
    data = bytes(imagecodecs.avif_encode(pixels, level=95, primaries=12, transfer=13, matrix=6))
    (tmp_path / "a.avif").write_bytes(data)
    for name in ("a.heic", "a.avif"):
        photo = load_photo(tmp_path / name)
        assert photo.profile == P3
        check(photo, tmp_path / name, small, 3)


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


def test_hdr_of_8_bits_keeps_its_transparency(tmp_path: Path, small: Image.Image) -> None:
    pixels = (hdr(small, cicp.PQ) >> 8).astype(np.uint8)
    alpha = np.full((64, 96), 128, np.uint8)
    (tmp_path / "a.png").write_bytes(png_with(np.dstack([pixels, alpha]), chunk(b"cICP", bytes((9, 16, 0, 1)))))
    photo = load_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert photo.alpha.dtype == photo.pixels.dtype == np.uint16
    assert (photo.alpha == 128 * 257).all()


def test_multiplied_alpha_of_heic(tmp_path: Path, small: Image.Image) -> None:
    alpha = np.full((64, 96), 100, np.uint8)
    multiplied = np.rint(np.asarray(small) * (100 / 255)).astype(np.uint8)
    picture = pillow_heif.from_bytes("RGBa", (96, 64), np.dstack([multiplied, alpha]).tobytes())
    picture.save(tmp_path / "a.heic", quality=98, chroma=444)
    assert difference(load_photo(tmp_path / "a.heic").pixels, small) < 6
