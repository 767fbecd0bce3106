"""Looks: a table is fitted through the real network to real photographs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from stylecore import Photo, PresetError, Progress, Result, load_photo, save_result, stylize
from stylecore.colour import Floats, luma, palette_of
from stylecore.device import Device
from stylecore.images import icc
from stylecore.images.encode import encode
from stylecore.look import STEPS, fit, small
from stylecore.lut import Lut, identity
from stylecore.lut_files import cube
from stylecore.natural import (
    POINTS,
    SKIN_COLOURS,
    Naturalness,
    disorder,
    lattice,
    overexposure,
    places_of_controls,
)
from stylecore.natural import luma as tensor_luma
from stylecore.preset import Look
from stylecore.preset_file import load_preset, look_like
from stylecore.toning import toning_of
from tests.harness import REPOSITORY, difference

PHOTOS, STYLES = REPOSITORY / "tests" / "photos", REPOSITORY / "presets" / "styles"
CPU32 = Device(torch.device("cpu"), torch.float32, "CPU")
LOOKS = ["golden-hour", "blue-hour", "faded-film", "teal-and-orange", "silver", "overcast"]


def like(*pictures: Path, strength: float = 100) -> Look:
    return look_like(pictures, None, strength=strength, series=False)


def run(photo: Photo, preset: Look, **given: object) -> tuple[list[Progress], Result]:
    events = list(stylize(photo, preset, CPU32, **given))  # type: ignore[arg-type]
    *progress, result = events
    assert isinstance(result, Result)
    return [event for event in progress if isinstance(event, Progress)], result


@pytest.fixture(scope="module")
def landscape() -> Photo:
    return load_photo(PHOTOS / "landscape.jpg")


@pytest.fixture(scope="module")
def golden(landscape: Photo) -> tuple[list[Progress], Result]:
    return run(landscape, like(STYLES / "golden-hour.jpg"))


def colours_of(pixels: object) -> NDArray[np.float64]:
    return palette_of([np.asarray(pixels, np.float32) / np.float32(255)], [1]).mean


def test_the_photo_gets_the_looks_colours_and_keeps_its_detail(
    landscape: Photo, golden: tuple[list[Progress], Result]
) -> None:
    progress, result = golden
    style = load_photo(STYLES / "golden-hour.jpg")
    before, after, wanted = map(colours_of, (landscape.pixels, result.pixels, style.pixels))
    assert np.abs(after - wanted).sum() < 0.7 * np.abs(before - wanted).sum()
    was, now = (luma(pixels.astype(np.float32)) for pixels in (landscape.pixels, result.pixels))
    a, b = np.diff(was, axis=1), np.diff(now, axis=1)
    assert np.corrcoef(a[np.abs(a) > 8], b[np.abs(a) > 8])[0, 1] > 0.95  # every edge is where it was
    assert progress[-1].losses.total < 0.7 * progress[0].losses.total


def test_progress_tells_the_whole_way(golden: tuple[list[Progress], Result]) -> None:
    progress, result = golden
    assert [event.step for event in progress] == list(range(1, STEPS + 1))
    assert [event.share for event in progress] == [step / STEPS for step in range(1, STEPS + 1)]
    totals = [event.losses.total for event in progress]
    assert totals == sorted(totals, reverse=True)  # the line search never goes up
    assert progress[0].scales == 1
    assert progress[-1].preview().shape == (*progress[0].size[::-1], 3)
    assert result.steps == STEPS and result.table is not None


def test_the_same_photo_gets_the_same_table(landscape: Photo, golden: tuple[list[Progress], Result]) -> None:
    _, again = run(landscape, like(STYLES / "golden-hour.jpg"))
    np.testing.assert_array_equal(again.pixels, golden[1].pixels)


def test_strength_0_is_the_photo_and_half_is_half(landscape: Photo, golden: tuple[list[Progress], Result]) -> None:
    progress, none = run(landscape, like(STYLES / "golden-hour.jpg", strength=0))
    assert not progress
    np.testing.assert_array_equal(none.pixels, landscape.pixels)
    _, half = run(landscape, like(STYLES / "golden-hour.jpg", strength=50))
    middle = (landscape.pixels.astype(float) + golden[1].pixels) / 2
    assert np.abs(half.pixels - middle).max() <= 2


def test_16_bits_alpha_profile_and_metadata_stay(landscape: Photo, tmp_path: Path) -> None:
    wide = replace(
        landscape,
        pixels=landscape.pixels.astype(np.uint16) * 257,
        alpha=np.full(landscape.pixels.shape[:2], 40_000, np.uint16),
        profile=icc.adobe_rgb(),
        bits=16,
        format="png",
    )
    preset = like(STYLES / "teal-and-orange.jpg")
    _, result = run(wide, preset)
    assert result.pixels.dtype == np.uint16
    assert len(np.unique(result.pixels)) > 1000
    save_result(result, tmp_path / "out.png", preset.output)
    read = load_photo(tmp_path / "out.png")
    np.testing.assert_array_equal(read.pixels, result.pixels)
    assert read.profile == wide.profile and read.alpha is not None
    np.testing.assert_array_equal(read.alpha, wide.alpha)


def test_16_bits_become_8_without_steps(tmp_path: Path) -> None:
    ramp = np.linspace(30_000, 30_000 + 257 * 3, 3000).astype(np.uint16)
    photo = Photo(Path("ramp.png"), np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2), "png", bits=16)
    preset = like(STYLES / "overcast.jpg", strength=0)
    _, result = run(photo, preset)
    save_result(result, tmp_path / "out.jpg", preset.output.model_copy(update={"quality": 100}))
    column = np.asarray(Image.open(tmp_path / "out.jpg").convert("RGB"), float).mean((0, 2))
    smooth = column.reshape(-1, 100).mean(1)
    assert np.abs(np.diff(smooth) - np.diff(smooth).mean()).max() < 0.15  # rounded, it would be three steps of 1
    exact = (np.arange(256, dtype=np.uint16) * 257).repeat(3).reshape(1, 256, 3)
    data, _ = encode(replace(result, pixels=exact, photo=replace(photo, pixels=exact)), "webp", 100)
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(data)).convert("L")))) > 200  # what has 8 bits stays exact


def test_a_grey_photo_is_toned(landscape: Photo) -> None:
    grey = np.repeat(luma(landscape.pixels.astype(np.float32))[..., None], 3, axis=2).round().astype(np.uint8)
    _, result = run(replace(landscape, pixels=grey), like(STYLES / "blue-hour.jpg"))
    mean = result.pixels.reshape(-1, 3).mean(0)
    assert mean[2] > mean[0] + 20


def test_a_black_and_white_picture_takes_all_colour_away(landscape: Photo) -> None:
    _, result = run(landscape, like(STYLES / "silver.jpg"))
    pixels = result.pixels.astype(int)
    assert np.ptp(pixels, axis=2).max() <= 2
    assert pixels.std() > 30


def test_a_sepia_print_tones(landscape: Photo, tmp_path: Path) -> None:
    light = luma(load_photo(STYLES / "silver.jpg").pixels.astype(np.float32) / np.float32(255))[..., None]
    sepia = np.clip(light + np.array([0.06, 0.0, -0.08], np.float32) * 4 * light * (1 - light), 0, 1)
    Image.fromarray((sepia * 255).round().astype(np.uint8)).save(tmp_path / "sepia.png")
    _, result = run(landscape, like(tmp_path / "sepia.png"))
    middle = result.pixels[np.abs(luma(result.pixels.astype(np.float32)) - 128) < 10].mean(0)
    assert middle[0] - middle[2] == pytest.approx(0.14 * 255, abs=8)


@pytest.mark.parametrize("colour", ["black", (120, 130, 140)])
def test_a_picture_of_one_colour_is_refused(landscape: Photo, tmp_path: Path, colour: str) -> None:
    Image.new("RGB", (64, 64), colour).save(tmp_path / "flat.png")
    with pytest.raises(PresetError, match=r"flat\.png has only one colour, so there is no look to take from it"):
        run(landscape, like(tmp_path / "flat.png"))


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (4000, 3)])
def test_a_tiny_or_thin_photo(landscape: Photo, size: tuple[int, int]) -> None:
    image = Image.fromarray(landscape.pixels).resize(size)
    _, result = run(replace(landscape, pixels=np.asarray(image)), like(STYLES / "overcast.jpg"))
    assert result.size == size


def test_a_photo_of_one_colour(landscape: Photo) -> None:
    pixels = np.full((60, 80, 3), (200, 120, 90), np.uint8)
    _, result = run(replace(landscape, pixels=pixels), like(STYLES / "overcast.jpg"))
    assert len(np.unique(result.pixels.reshape(-1, 3), axis=0)) == 1


def test_leaving_the_loop_is_cancelling(landscape: Photo) -> None:
    for event in stylize(landscape, like(STYLES / "overcast.jpg"), CPU32):
        assert isinstance(event, Progress) and event.step == 1
        break


def test_a_table_that_others_made(landscape: Photo, tmp_path: Path) -> None:
    (tmp_path / "negative.cube").write_bytes(cube(Lut(1 - identity()), "negative"))
    progress, result = run(landscape, look_like((), tmp_path / "negative.cube", strength=100, series=False))
    assert not progress
    assert np.abs(255 - landscape.pixels.astype(int) - result.pixels).max() <= 1


def test_several_pictures_have_one_table() -> None:
    """It fits each a little less well than its own, and another photo of the series better than theirs would."""
    photos = [small(load_photo(PHOTOS / name)) for name in ("landscape.jpg", "indoor.jpg")]
    preset = like(STYLES / "overcast.jpg")

    def fitted(pictures: list[Floats]) -> Lut:
        fitting = fit(pictures, preset, CPU32)
        while True:
            try:
                next(fitting)
            except StopIteration as end:
                table: Lut = end.value
                return table

    both, first, second = fitted(photos), fitted(photos[:1]), fitted(photos[1:])
    far = difference(first.of(photos[1]) * 255, second.of(photos[1]) * 255)
    assert difference(both.of(photos[1]) * 255, second.of(photos[1]) * 255) < far


# What keeps a table natural


def test_the_spline_holds_the_identity() -> None:
    table = lattice(places_of_controls(), 33).numpy()
    np.testing.assert_allclose(table, identity(33), atol=1e-6)


def penalty(change: object, photo: Photo, in_colour: bool = True) -> float:
    """Of the table whose controls are ``change`` of the identity's."""
    colours = torch.from_numpy(small(photo).reshape(-1, 3))
    return float(Naturalness(colours, 1.0, in_colour)(change(places_of_controls())))  # type: ignore[operator]


def test_each_penalty_is_for_something(landscape: Photo) -> None:
    """Whatever no photographer would print costs more than the identity does."""
    base = penalty(lambda c: c, landscape)
    assert base < 0.05
    swapped = penalty(lambda c: c.flip(-1), landscape)  # red and blue: green skin, blue faces
    negative = penalty(lambda c: 1 - c, landscape)
    harsh = penalty(lambda c: (c - 0.5) * 4 + 0.5, landscape)
    grey = penalty(lambda c: tensor_luma(c)[..., None].expand(-1, -1, -1, 3), landscape)
    veiled = penalty(lambda c: 0.3 + 0.7 * c, landscape)
    assert min(swapped, negative, harsh, grey, veiled) > 1
    assert penalty(lambda c: tensor_luma(c)[..., None].expand(-1, -1, -1, 3), landscape, in_colour=False) < grey / 2


def test_light_and_dark_may_not_change_places(landscape: Photo) -> None:
    picture = small(landscape)
    height, width = picture.shape[:2]
    before = torch.from_numpy(picture.reshape(-1, 3))
    assert float(disorder(before, before, height, width)) == 0
    assert float(disorder(1 - before, before, height, width)) > 1
    assert float(overexposure(before * 0.5, before)) > float(overexposure(before * 0.9, before)) == 0


def test_toning_tells_black_and_white_from_colour(landscape: Photo) -> None:
    colours = small(landscape).reshape(-1, 3)
    assert toning_of(colours) is None
    grey = np.repeat(luma(colours)[:, None], 3, axis=1)
    toning = toning_of(grey)
    assert toning is not None
    np.testing.assert_allclose(toning.of(torch.from_numpy(colours)).numpy(), grey, atol=1e-4)
    assert places_of_controls().shape == (POINTS, POINTS, POINTS, 3)


# The shipped looks


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_skin_stays_skin_and_blacks_stay_black(name: str) -> None:
    """On a portrait of dark skin, under every shipped look at its own strength."""
    preset = load_preset(REPOSITORY / "presets" / f"{name}.yaml")
    assert isinstance(preset, Look)
    _, result = run(load_photo(PHOTOS / "portrait-dark.jpg"), preset)
    assert result.table is not None
    table = result.table.at_strength(preset.strength)
    assert luma(table.colours[0, 0, 0]) < 0.12
    skin = np.array(SKIN_COLOURS, np.float32)
    changed = table.of(skin)
    if name != "silver":
        assert (changed[:, 0] > changed[:, 2]).all()  # redder than blue, as skin is
    assert (np.diff(luma(changed)) < 0).all()  # from pale to dark, in the same order
