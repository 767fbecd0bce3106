"""A painting's scales, from coarse to fine. All layers decide where the strokes go, up to a long edge of about
``ALL_LAYERS`` pixels. At the last of these scales, a few cheap steps with shallow layers come first: they sharpen what
was enlarged. At finer scales, they are all."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stylecore.device import Device
from stylecore.layers import LAYERS, work_of
from stylecore.objective import layers_of
from stylecore.preset import Painting
from stylecore.recipe import Finish

ALL_LAYERS = 768  # pixels
PLAIN = 384  # pixels of `size: auto` on a CPU, if all steps use all layers
SMALLEST_EDGE = 32  # VGG19 halves four times before block 5, and one position makes no Gram matrix
STEP_COST = 4000  # what a step costs besides its pixels, in pixels through all layers; measured on a CPU


@dataclass(frozen=True)
class Scale:
    """Two in a row can have the same size. ``size``: (width, height). ``recipe``: the Preset with this scale's layers
    and weights. ``targets``: the layers whose style targets are needed at this size, which one pass gives for both.
    ``halved``: how often it was halved from the finest. ``sharpens``: whether it is of the Preset's ``finish``."""

    size: tuple[int, int]
    steps: int
    recipe: Painting
    targets: tuple[str, ...]
    halved: int
    sharpens: bool

    @property
    def cost(self) -> float:
        """Of one step, in the same unit for all scales."""
        width, height = self.size
        return width * height * work_of((*self.recipe.content_layers, *self.recipe.style_layers)) + STEP_COST


def scales_of(photo: tuple[int, int], preset: Painting, device: Device) -> list[Scale]:
    """For a photo of this (width, height). The finest has the Preset's size, but is never larger than the Result."""
    width, height = preset.output.size_of(photo)
    finest = min(1.0, long_edge(max(width, height), preset, device) / max(width, height))
    finer = max(0, round(math.log2(finest * max(width, height) / ALL_LAYERS))) if preset.finish else 0
    halvings = len(preset.steps) - 1 + finer
    plan = [(halvings - i, steps, preset, False) for i, steps in enumerate(preset.steps)]
    finish = preset.finish
    if finish and len(plan) > 1:
        plan[-1] = finer, preset.steps[-1], _loosened(preset, finish[0]), False
        plan.insert(-1, (finer, finish[0].steps, shallow(preset, finish[0]), True))
        finish = finish[1:] or finish
    for i in range(finer):
        sharpening = finish[min(i, len(finish) - 1)]
        plan.append((finer - 1 - i, sharpening.steps, shallow(preset, sharpening), True))
    scales = []
    for halved, steps, recipe, sharpens in plan:
        share = finest / 2**halved
        size = max(SMALLEST_EDGE, round(width * share)), max(SMALLEST_EDGE, round(height * share))
        seen = [layers_of(other) for level, _, other, _ in plan if level == halved]
        targets = tuple(dict.fromkeys(name for layers in reversed(seen) for name in layers))
        scales.append(Scale(size, steps, recipe, targets, halved, sharpens))
    return scales


def long_edge(whole: int, preset: Painting, device: Device) -> int:
    """In pixels, at the finest scale, for a Result of this long edge."""
    if preset.size == "full":
        return whole
    if preset.size != "auto":
        return preset.size
    if preset.output.edge is not None and preset.finish:  # a large print is worth some minutes
        return max(device.auto_size, min(preset.output.edge, device.print_size))
    return device.auto_size if preset.finish or device.torch.type != "cpu" else PLAIN


def shallow(preset: Painting, finish: Finish) -> Painting:
    """The Preset without the layers after ``finish.through``. Content layers are replaced by that one if all are
    deeper."""
    style = _through(finish.through, preset.style_layers)
    content = _through(finish.through, preset.content_layers) or {finish.through: 1.0}
    return _loosened(preset, finish).model_copy(update={"style_layers": style, "content_layers": content})


def _loosened(preset: Painting, finish: Finish) -> Painting:
    return preset.model_copy(update={"content_weight": preset.content_weight * finish.content})


def _through(last: str, layers: dict[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in layers.items() if LAYERS.index(name) <= LAYERS.index(last)}
