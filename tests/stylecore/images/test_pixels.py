"""Kinds of pixels in, the same kinds out: grey, palette, CMYK, alpha, 16 bits, wide profiles, RAW."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from stylecore.errors import PhotoError, ResultError
from stylecore.images.atomic_write import write_whole
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Photo
from stylecore.output import Output
from tests.harness import difference
from tests.stylecore.images.photos import adobe_rgb, result_of


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
    assert notes == ["jpeg has no transparency, so transparent areas became white."]
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
    assert any("16 bits were reduced to 8" in note for note in notes)


def test_16_bits_through_a_wide_profile(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(20000, 40000, (64, 96, 3), dtype=np.uint16)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, samples, photometric="rgb", iccprofile=adobe_rgb())
    photo = load_photo(path)
    save_result(result_of(photo), tmp_path / "result.tif", Output())
    with tifffile.TiffFile(tmp_path / "result.tif") as out:
        page = out.pages.first
        assert page.iccprofile == adobe_rgb()
        assert difference(page.asarray(), samples) < 30  # of 65535: 12 bits survive both ways


def test_a_photo_whose_colours_are_not_known_is_refused(tmp_path: Path, small: Image.Image) -> None:
    for name, profile in {"cut.png": adobe_rgb()[:300], "noise.png": b"no profile at all" * 20}.items():
        small.save(tmp_path / name, icc_profile=profile)
        with pytest.raises(PhotoError, match="its colours are not known"):
            load_photo(tmp_path / name)


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
    with pytest.raises(ResultError, match="webp can hold 16383 pixels per side"):
        save_result(result_of(wide), tmp_path / "wide.webp", Output())
    with pytest.raises(ResultError, match="is not a known format"):
        save_result(result_of(wide), tmp_path / "wide.bmp", Output())


def test_tiffs_of_12_bits(tmp_path: Path) -> None:
    """White stays white: samples of 9 to 15 bits are scaled to 16."""
    samples = np.linspace(0, 4095, 64 * 96).astype(np.uint16).reshape(64, 96)
    tifffile.imwrite(
        tmp_path / "a.tif",
        data=iter([bytes(imagecodecs.packints_encode(samples.ravel(), 12))]),
        shape=samples.shape,
        dtype=np.uint16,
        bitspersample=12,
        photometric="minisblack",
        rowsperstrip=64,
    )
    photo = load_photo(tmp_path / "a.tif")
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels[..., 0].astype(int) - samples.astype(int) * 65535 // 4095).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiffs_whose_alpha_is_multiplied_in(tmp_path: Path, kind: type[np.uint8] | type[np.uint16]) -> None:
    top = np.iinfo(kind).max
    alpha = np.linspace(top // 4, top, 64 * 96).astype(kind).reshape(64, 96)
    colour = np.array([0.9, 0.5, 0.2])
    samples = np.dstack([np.rint(colour * alpha[..., None]).astype(kind), alpha])
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    photo = load_photo(tmp_path / "a.tif")
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, alpha)
    assert np.abs(photo.pixels / top - colour).max() < 0.01


def test_transparent_places_are_white_for_the_network(tmp_path: Path) -> None:
    pixels = np.full((40, 60, 3), (20, 60, 90), np.uint8)
    photo = Photo(
        tmp_path / "a.png", pixels, "png", alpha=np.repeat([[0, 128, 255]], 40, 0).repeat(20, 1).astype(np.uint8)
    )
    seen = photo.resized(60, 40)[20] * 255
    assert np.abs(seen[5] - 255).max() < 1
    assert np.abs(seen[30] - (255 + (np.array([20, 60, 90]) - 255.0) * 128 / 255)).max() < 1
    assert np.abs(seen[55] - (20, 60, 90)).max() < 1
