"""What a long painting takes is known, roughly, before it starts."""

from __future__ import annotations

import time

import pytest
import torch

from stylecore import Photo
from stylecore.device import Device
from stylecore.errors import TooLarge
from stylecore.estimate import BACKGROUND, Estimate, estimate, expected, probe
from stylecore.objective import layers_of
from stylecore.preset import Painting
from stylecore.scales import scales_of
from stylecore.transfer import stylize

EXACT = Device(torch.device("cpu"), torch.float32, "CPU, float32")


def test_a_short_one_needs_no_estimate(oil: Painting) -> None:
    assert estimate((6000, 4000), oil, EXACT) is None
    assert estimate((6000, 4000), oil.model_copy(update={"size": "full", "strength": 0.0}), EXACT) is None


def test_more_pixels_and_steps_take_longer(oil: Painting) -> None:
    """With the rates of one probe: how busy the machine is changes from one to the next."""
    photo = (6000, 4000)
    rates = probe(scales_of(photo, oil.model_copy(update={"size": "full"}), EXACT), EXACT)

    def found(size: object, steps: int) -> Estimate:
        preset = oil.with_steps(steps).model_copy(update={"size": size})
        return expected(scales_of(photo, preset, EXACT), photo, EXACT, rates)

    usual = sum(oil.steps)
    small, large, full = (found(size, usual) for size in (1536, 3072, "full"))
    assert 1.5 < large.seconds / small.seconds < 8
    assert 1.5 < full.seconds / large.seconds < 8
    assert small.memory <= large.memory < 8_500_000_000, "the scales of the small one are among those of the large one"
    assert 5_000_000_000 < full.memory < 8_500_000_000
    assert 1.4 < found(1536, 2 * usual).seconds / small.seconds < 2.2, "what a scale needs to begin stays"


def test_a_large_result_of_16_bits_needs_twice_as_much(oil: Painting) -> None:
    scales = scales_of((600, 400), oil, EXACT)
    rates = {layers_of(scale.recipe): 1e-5 for scale in scales}
    eight, sixteen = (expected(scales, (20_000, 15_000), EXACT, rates, count).memory for count in (1, 2))
    assert sixteen - BACKGROUND == 2 * (eight - BACKGROUND)


def test_what_does_not_fit_fails_before_it_starts(oil: Painting) -> None:
    with pytest.raises(TooLarge, match="would fit"):
        estimate((200_000, 200_000), oil.model_copy(update={"size": "full"}), EXACT)


@pytest.mark.slow
def test_the_estimate_is_about_right(oil: Painting, photo: Photo) -> None:
    """Within a factor that no view would mind, on whatever machine this is, and however busy."""
    preset = oil.model_copy(update={"size": 192, "steps": (1, 1, 20)})
    scales = scales_of(photo.size, preset, EXACT)
    found = expected(scales, photo.size, EXACT, probe(scales, EXACT))
    start = time.monotonic()
    for _ in stylize(photo, preset, EXACT):
        pass
    assert 0.2 < found.seconds / (time.monotonic() - start) < 5
