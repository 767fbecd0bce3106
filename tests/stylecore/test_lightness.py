"""Night stays night, and day is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stylecore import Photo, Result, load_photo, stylize
from stylecore.colour import Pixels, luma
from stylecore.device import Device
from stylecore.lightness import DARKEST, gamma_of
from stylecore.preset import Painting

EXACT = Device(torch.device("cpu"), torch.float32, "CPU, float32")
PHOTOS = Path(__file__).parent.parent / "photos"


def darkened(photo: Photo, gamma: float) -> Photo:
    return replace(photo, pixels=((photo.pixels / 255) ** gamma * 255).round().astype(np.uint8))


@pytest.fixture
def night() -> Photo:
    """A city by night: mean luma 0.13."""
    return darkened(load_photo(PHOTOS / "night.jpg"), 2.5)


def mean_luma(pixels: Pixels) -> float:
    return float(luma((pixels / 255).astype(np.float32)).mean())


def painted(photo: Photo, preset: Painting) -> float:
    """The mean luma of the Result."""
    *_, result = stylize(photo, preset, EXACT)
    assert isinstance(result, Result)
    return mean_luma(result.pixels)


def test_only_a_dark_photo_darkens_the_style(oil: Painting, night: Photo) -> None:
    day = load_photo(PHOTOS / "landscape.jpg")
    assert gamma_of(day, oil) == 1
    gammas = [gamma_of(darkened(day, power), oil) for power in (1.0, 1.4, 1.8, 2.4, 4.0)]
    assert gammas == sorted(gammas)
    assert len(set(gammas)) >= 3, "by degrees"
    assert 2 < gamma_of(night, oil) <= DARKEST
    assert gamma_of(night, oil.model_copy(update={"lightness": "style"})) == 1
    assert gamma_of(night, oil.model_copy(update={"colour": "palette"})) == 1, "the style gets the photo's palette"


@pytest.mark.parametrize("colour", ["style", "photo"])
def test_night_stays_night(oil: Painting, night: Photo, colour: str) -> None:
    quick = oil.model_copy(update={"size": 96, "steps": (6, 4), "colour": colour})
    before = mean_luma(night.pixels)
    dark, pale = (painted(night, quick.model_copy(update={"lightness": key})) for key in ("photo", "style"))
    assert dark < before + 0.1
    assert pale > before + 0.2
