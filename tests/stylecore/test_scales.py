"""Which scales a painting has, and which layers they use."""

from __future__ import annotations

import pytest
import torch

from stylecore import Result, stylize
from stylecore.device import Device
from stylecore.images.photo import Photo
from stylecore.layers import work_of
from stylecore.objective import layers_of
from stylecore.preset import Painting
from stylecore.recipe import Finish
from stylecore.scales import scales_of
from tests.harness import shipped

CPU = Device(torch.device("cpu"), torch.float32, "CPU, float32")
GPU = Device(torch.device("mps"), torch.float32, "GPU")
CUDA = Device(torch.device("cuda"), torch.bfloat16, "GPU")


def sizes(photo: tuple[int, int], preset: Painting, device: Device = CPU) -> list[tuple[int, int]]:
    return [scale.size for scale in scales_of(photo, preset, device)]


def test_each_scale_is_twice_the_one_before(oil: Painting) -> None:
    three = oil.model_copy(update={"steps": (1, 1, 1), "size": 400, "finish": ()})
    assert sizes((6000, 4000), three) == [(100, 67), (200, 133), (400, 267)]
    assert sizes((200, 100), three)[-1] == (200, 100), "never larger than the photo"
    assert sizes((10, 9000), three)[-1] == (32, 400)


def test_the_finest_scale_with_all_layers_is_sharpened_first(oil: Painting) -> None:
    assert sizes((6000, 4000), oil) == [(192, 128), (384, 256), (768, 512), (768, 512)]
    *coarse, sharpening, fine = scales_of((6000, 4000), oil, CPU)
    assert [scale.recipe for scale in coarse] == 2 * [oil]
    assert [scale.steps for scale in (*coarse, fine)] == list(oil.steps)
    assert (sharpening.steps, sharpening.sharpens, fine.sharpens) == (oil.finish[0].steps, True, False)
    assert list(sharpening.recipe.style_layers) == ["relu1_1", "relu2_1", "relu3_1"]
    assert fine.recipe.style_layers == oil.style_layers
    assert sharpening.targets == fine.targets == layers_of(oil), "one pass gives the style targets of both"
    for scale in (sharpening, fine):
        assert scale.recipe.content_layers == {"relu2_2": 1}
        assert scale.recipe.content_weight == pytest.approx(oil.content_weight * oil.finish[0].content)
    assert sharpening.cost < 0.6 * fine.cost


def test_beyond_768_pixels_a_scale_only_sharpens(oil: Painting) -> None:
    """The last finish is repeated as often as the size needs."""
    finish = (Finish(steps=6), Finish(steps=5), Finish(steps=3, through="relu2_1"))
    full = oil.model_copy(update={"size": "full", "finish": finish})
    scales = scales_of((12000, 8000), full, CPU)
    assert [scale.size[0] for scale in scales] == [188, 375, 750, 750, 1500, 3000, 6000, 12000]
    assert [scale.steps for scale in scales[2:]] == [6, oil.steps[-1], 5, 3, 3, 3]
    assert [scale.halved for scale in scales] == [6, 5, 4, 4, 3, 2, 1, 0]
    assert list(scales[-1].recipe.style_layers) == ["relu1_1", "relu2_1"]
    assert scales[-1].recipe.content_layers == {"relu2_1": 1}, "in place of relu2_2, which is deeper"
    assert set(scales[-1].targets) == {"relu1_1", "relu2_1"}
    single = full.model_copy(update={"steps": (9,)})
    assert [(scale.size[0], scale.steps) for scale in scales_of((1500, 1000), single, CPU)] == [(750, 9), (1500, 6)]


def test_without_a_finish_all_steps_use_all_layers(oil: Painting) -> None:
    """As all did before there was one, at the size that `auto` had then."""
    plain = oil.model_copy(update={"finish": (), "steps": (3, 2, 1)})
    assert sizes((6000, 4000), plain) == [(96, 64), (192, 128), (384, 256)]
    assert sizes((6000, 4000), plain, GPU)[-1] == (1024, 683)
    assert sizes((6000, 4000), oil, GPU)[-2:] == [(1024, 683), (1024, 683)]
    assert sizes((6000, 4000), oil, CUDA)[-2:] == [(1024, 683), (2048, 1365)]
    assert [scale.recipe for scale in scales_of((900, 600), plain.model_copy(update={"size": "full"}), CPU)] == 3 * [
        plain.model_copy(update={"size": "full"})
    ]


def test_classic_is_as_the_textbook_has_it() -> None:
    classic = shipped("classic")
    (scale,) = scales_of((6000, 4000), classic, CPU)
    assert (scale.size, scale.steps, scale.recipe) == ((384, 256), 150, classic)


def test_the_articles_weights_at_two_scales(photo: Photo) -> None:
    """The shallow steps of the finish look at a layer that none of the preset's own scales does."""
    classic = shipped("classic").model_copy(
        update={
            "steps": (1, 1),
            "size": 64,
            "content_layers": {"conv4_2": 1.0},
            "style_layers": {"conv1_1": 1.0, "conv5_1": 1.0},
            "finish": (Finish(steps=1),),
        }
    )
    *_, result = stylize(photo, classic, CPU)
    assert isinstance(result, Result)


def test_the_work_of_shallow_layers() -> None:
    """As measured with AVX2 at 512 pixels: 0.53 of a step's time through relu3_1, 0.33 through relu2_1."""
    assert work_of(["relu5_1", "relu1_1"]) == 1
    assert work_of(["relu3_1"]) == pytest.approx(0.53, abs=0.05)
    assert work_of(["relu2_1"]) == pytest.approx(0.33, abs=0.05)
