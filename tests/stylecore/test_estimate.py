"""What a long painting takes is known, roughly, before it starts."""

from __future__ import annotations

import time

import pytest
import torch

from stylecore import Photo
from stylecore.device import Device
from stylecore.errors import TooLarge
from stylecore.estimate import estimate
from stylecore.preset import Painting
from stylecore.transfer import stylize

EXACT = Device(torch.device("cpu"), torch.float32, "CPU, float32")


def test_a_short_one_needs_no_estimate(oil: Painting) -> None:
    assert estimate((6000, 4000), oil, EXACT) is None
    assert estimate((6000, 4000), oil.model_copy(update={"size": "full", "strength": 0.0}), EXACT) is None


def test_more_pixels_and_steps_take_longer(oil: Painting) -> None:
    found = [estimate((6000, 4000), oil.model_copy(update={"size": size}), EXACT) for size in (1536, 3072, "full")]
    small, large, full = (e for e in found if e is not None)
    assert 1.5 < large.seconds / small.seconds < 8
    assert 1.5 < full.seconds / large.seconds < 8
    assert large.memory < full.memory < 8_000_000_000
    assert small.memory < 8_000_000_000
    twice = estimate((6000, 4000), oil.with_steps(2 * sum(oil.steps)).model_copy(update={"size": 1536}), EXACT)
    assert twice is not None
    assert 1.4 < twice.seconds / small.seconds < 2.2, "what a scale needs to begin stays"


def test_what_does_not_fit_fails_before_it_starts(oil: Painting) -> None:
    with pytest.raises(TooLarge, match="would fit"):
        estimate((200_000, 200_000), oil.model_copy(update={"size": "full"}), EXACT)


@pytest.mark.slow
def test_the_estimate_is_about_right(oil: Painting, photo: Photo) -> None:
    """Within a factor that no view would mind, on whatever machine this is, and however busy."""
    preset = oil.model_copy(update={"size": 384, "steps": (1, 1, 70)})
    expected = estimate((451, 300), preset, EXACT)
    assert expected is not None
    start = time.monotonic()
    for _ in stylize(photo, preset, EXACT):
        pass
    assert 0.2 < expected.seconds / (time.monotonic() - start) < 5
