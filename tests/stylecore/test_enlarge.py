"""Enlarging with the photo's detail as a guide."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecore.enlarge import _stretch, enlarge, enlarge_to
from stylecore.images.photo import Photo


def enlarged(painting: np.ndarray, photo: Photo, detail: float = 1.0) -> np.ndarray:
    return enlarge(painting.astype(np.float32), photo, detail=detail, colour="style", strength=100)


@pytest.fixture
def photo(cat: Image.Image) -> Photo:
    return Photo(Path("cat.png"), np.asarray(cat.resize((800, 532), Image.Resampling.LANCZOS)), "png")


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.square(a.astype(float) - b).mean())


def test_the_photo_itself_comes_back_sharper_than_by_bicubic(cat: Image.Image) -> None:
    """If the painting is the small photo, guided enlarging must come much closer to the photo than plain enlarging."""
    photo = Photo(Path("cat.png"), np.asarray(cat), "png")
    small = photo.resized(90, 60)
    assert error(enlarged(small, photo), photo.pixels) < 0.25 * error(enlarged(small, photo, detail=0), photo.pixels)


def test_inverted_tones_get_inverted_detail(photo: Photo) -> None:
    small = 1 - photo.resized(120, 80)
    target = 255 - photo.pixels
    assert error(enlarged(small, photo), target) < 0.5 * error(enlarged(small, photo, detail=0), target)


def test_where_the_painting_went_its_own_way_nothing_shows_through(photo: Photo) -> None:
    flat = np.full((80, 120, 3), 0.5)
    assert int(np.ptp(enlarged(flat, photo))) <= 1


def test_noise_in_a_flat_sky_is_not_detail() -> None:
    rng = np.random.default_rng(0)
    sky = np.clip(180 + rng.normal(0, 3, (400, 600, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
    photo = Photo(Path("sky.png"), sky, "png")
    painting = photo.resized(120, 80)
    assert enlarged(painting, photo).std() < 0.7 * sky.std()


def test_no_banding_in_16_bits() -> None:
    ramp = np.linspace(20000, 24000, 900).astype(np.uint16)[None, :, None].repeat(300, 0).repeat(3, 2)
    photo = Photo(Path("sky.tif"), ramp, "tiff")
    row = enlarged(photo.resized(90, 30), photo)[150, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() < 12, "16 bits: steps of 4 and not of 257"


def test_stretch_is_bicubic() -> None:
    """Against Pillow's bicubic, whose kernel is the same, away from the edges."""
    rng = np.random.default_rng(0)
    plane = rng.random((20, 30)).astype(np.float32)
    ours = _stretch(_stretch(plane[..., None], 90, axis=1), 60, axis=0)[..., 0]
    theirs = np.asarray(Image.fromarray(plane).resize((90, 60), Image.Resampling.BICUBIC))
    assert np.abs(ours - theirs)[9:-9, 9:-9].max() < 1e-4


def test_bands_join_without_a_seam(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    painting = photo.resized(120, 80)[::-1].copy()
    whole = enlarged(painting, photo)
    monkeypatch.setattr("stylecore.enlarge.BAND", 37)
    assert np.array_equal(enlarged(painting, photo), whole)


def test_memory_of_24_megapixels() -> None:
    """Besides photo and Result, less than 60 bytes per pixel; NumPy reports its arrays to tracemalloc."""
    photo = Photo(Path("large.png"), np.zeros((4000, 6000, 3), np.uint8), "png")
    tracemalloc.start()
    enlarged(photo.resized(384, 256), photo)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 3 * 24e6 < peak < 60 * 24e6


@pytest.mark.parametrize("detail", [0.0, 1.0])
def test_soft_transparent_edges_keep_their_colour(detail: float) -> None:
    """The painting is the photo itself, on white: what comes back is the photo, whatever its alpha."""
    y, x = np.mgrid[0:200, 0:300]
    alpha = np.clip(255 * (1.4 - np.hypot(x - 150, y - 100) / 70), 0, 255).astype(np.uint8)
    pixels = np.full((200, 300, 3), (20, 60, 90), np.uint8)
    photo = Photo(Path("blob.png"), pixels, "png", alpha=alpha)
    out = enlarged(photo.resized(300, 200), photo, detail)
    seen = alpha > 25
    assert np.abs(out.astype(int) - pixels)[seen].max() < 12
    assert np.array_equal(enlarge(photo.resized(30, 20), photo, detail=1, colour="style", strength=0), pixels)


@pytest.mark.parametrize("shape", [(1, 300_000), (300_000, 1)])
def test_a_very_thin_picture_takes_no_more_memory(shape: tuple[int, int]) -> None:
    """Its painting is thicker than the photo itself: at least 32 pixels."""
    photo = Photo(Path("thin.png"), np.zeros((*shape, 3), np.uint8), "png")
    painting = np.zeros((max(32, shape[0] // 1000), max(32, shape[1] // 1000), 3))
    tracemalloc.start()
    assert enlarged(painting, photo).shape == (*shape, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250 * 300_000


def test_between_scales_the_photos_edges_guide() -> None:
    """A painting with the photo's edge, in other colours, gets it back sharp; without detail it is bicubic."""
    photo = np.zeros((64, 96, 3), np.float32)
    photo[:, 50:] = 0.8
    small = photo.reshape(16, 4, 24, 4, 3).mean((1, 3))
    painting = (1 - small) * np.array([0.9, 0.6, 0.3], np.float32)
    guided, plain = enlarge_to(painting, small, photo, 1.0), enlarge_to(painting, small, photo, 0.0)
    assert guided.shape == photo.shape
    exact = (1 - photo) * np.array([0.9, 0.6, 0.3], np.float32)
    assert np.abs(guided - exact).mean() < np.abs(plain - exact).mean() / 2
    assert np.abs(guided[32, 50] - guided[32, 49]).max() > 2 * np.abs(plain[32, 50] - plain[32, 49]).max()
