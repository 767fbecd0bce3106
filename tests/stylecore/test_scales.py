"""Which scales a painting has, and which layers they use."""

from __future__ import annotations

import pytest
import torch

from stylecore.device import Device
from stylecore.layers import work_of
from stylecore.preset import Painting
from stylecore.recipe import Finish
from stylecore.scales import scales_of
from tests.harness import shipped

CPU = Device(torch.device("cpu"), torch.float32, "CPU, float32")
GPU = Device(torch.device("mps"), torch.float32, "GPU")


def sizes(photo: tuple[int, int], preset: Painting, device: Device = CPU) -> list[tuple[int, int]]:
    return [scale.size for scale in scales_of(photo, preset, device)]


def test_each_scale_is_twice_the_one_before(oil: Painting) -> None:
    three = oil.model_copy(update={"steps": (1, 1, 1), "size": 400})
    assert sizes((6000, 4000), three) == [(100, 67), (200, 133), (400, 267)]
    assert sizes((200, 100), three)[-1] == (200, 100), "never larger than the photo"
    assert sizes((10, 9000), three)[-1] == (32, 400)


def test_beyond_384_pixels_a_scale_only_sharpens(oil: Painting) -> None:
    assert sizes((6000, 4000), oil) == [(96, 64), (192, 128), (384, 256), (768, 512)]
    *coarse, fine = scales_of((6000, 4000), oil, CPU)
    assert all(scale.recipe == oil for scale in coarse)
    assert (fine.steps, fine.halved) == (oil.finish[0].steps, 0)
    assert list(fine.recipe.style_layers) == ["relu1_1", "relu2_1", "relu3_1"]
    assert fine.recipe.content_layers == {"relu2_2": 1}
    assert fine.recipe.content_weight == pytest.approx(oil.content_weight * oil.finish[0].content)
    assert fine.cost < 4 * 0.4 * coarse[-1].cost


def test_the_last_finish_is_repeated_as_often_as_the_size_needs(oil: Painting) -> None:
    full = oil.model_copy(update={"size": "full", "finish": (Finish(steps=5), Finish(steps=3, through="relu2_1"))})
    scales = scales_of((6000, 4000), full, CPU)
    assert [scale.size[0] for scale in scales] == [94, 188, 375, 750, 1500, 3000, 6000]
    assert [scale.steps for scale in scales[3:]] == [5, 3, 3, 3]
    assert list(scales[-1].recipe.style_layers) == ["relu1_1", "relu2_1"]
    assert scales[-1].recipe.content_layers == {"relu2_1": 1}, "in place of relu2_2, which is deeper"


def test_without_a_finish_all_scales_use_all_layers(oil: Painting) -> None:
    """As all did before there was one, at the size that `auto` had then."""
    plain = oil.model_copy(update={"finish": ()})
    assert sizes((6000, 4000), plain) == [(96, 64), (192, 128), (384, 256)]
    assert sizes((6000, 4000), plain, GPU)[-1] == (1024, 683)
    assert sizes((6000, 4000), oil, GPU) == [(128, 85), (256, 171), (512, 341), (1024, 683)]
    assert [scale.recipe for scale in scales_of((900, 600), plain.model_copy(update={"size": "full"}), CPU)] == 3 * [
        plain.model_copy(update={"size": "full"})
    ]


def test_classic_is_as_the_textbook_has_it() -> None:
    classic = shipped("classic")
    (scale,) = scales_of((6000, 4000), classic, CPU)
    assert (scale.size, scale.steps, scale.recipe) == ((384, 256), 150, classic)


def test_the_work_of_shallow_layers() -> None:
    """As measured: 32 per cent of a step's work through relu3_1, 16 through relu2_1."""
    assert work_of(["relu5_1", "relu1_1"]) == 1
    assert work_of(["relu3_1"]) == pytest.approx(0.31, abs=0.01)
    assert work_of(["relu2_1"]) == pytest.approx(0.16, abs=0.01)
