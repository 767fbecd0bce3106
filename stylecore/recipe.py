"""The keys of a Preset's file, their types and defaults: of a painting, whose pixels are optimised, and of a Look,
whose table of colours is."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stylecore.keys import Keys, refuse_switch
from stylecore.layers import LAYERS
from stylecore.limits import MAX_SIZE, MAX_STEPS, MIN_SIZE
from stylecore.output import LookOutput, Output, PaintingOutput

MAX_PICTURES = 16
MAX_SERIES = 8  # waiting photos to which the table of a series is fitted

Colour = Literal["style", "photo", "palette"]
Statistic = Literal["gram", "covariance", "wasserstein"]
Weighting = Literal["relative", "article"]
Weight = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), BeforeValidator(refuse_switch)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class StylePicture(Keys):
    """A style picture, and its share among several."""

    picture: Path = Field(description="The style picture, relative to the preset's file.")
    weight: float = Field(1.0, gt=0, le=1000, description="Its share among several style pictures.")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _as_pictures(value: Any) -> Any:
    return tuple({"picture": v} if isinstance(v, (str, Path)) else v for v in _as_tuple(value))


def _check_layer(name: str) -> str:
    if name not in LAYERS:
        near = difflib.get_close_matches(name, LAYERS, 1)
        raise ValueError(f"there is no layer {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    return name


def _check_layers(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        _check_layer(name)
    if not any(value.values()):
        raise ValueError("at least one layer needs a weight above 0")
    return {name: weight for name, weight in value.items() if weight}


Picture = Annotated[str, Field(min_length=1)] | StylePicture
Pictures = Annotated[
    tuple[StylePicture, ...],
    BeforeValidator(_as_pictures, json_schema_input_type=Picture | Annotated[list[Picture], Field(min_length=1)]),
]
Paths = Annotated[
    tuple[Path, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Path | Annotated[list[Path], Field(min_length=1)]),
]
Layer = Annotated[str, AfterValidator(_check_layer)]
Layers = Annotated[dict[str, Weight], AfterValidator(_check_layers)]
SHALLOW = set(LAYERS[: LAYERS.index("relu2_1") + 1])
"""The layers that every scale of the default finish uses, if the preset does."""


class Finish(Keys):
    """Steps with shallow layers, which sharpen what was enlarged from the scale before."""

    steps: Steps = Field(6, description="The number of these steps.")
    through: Layer = Field("relu3_1", description="The deepest of the preset's layers that these steps use.")
    content: float = Field(0.16, ge=0, le=100, description="The content weight here, as a multiple of the preset's.")


Finishes = Annotated[
    tuple[Finish, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Finish | list[Finish]),
]
StepsOfScales = Annotated[
    tuple[Steps, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Steps | Annotated[list[Steps], Field(min_length=1)]),
]


class Recipe(Keys):
    """The keys that both transfers have."""

    transfer: Literal["painting", "look"] = "painting"
    description: str = Field("", max_length=500, description="One line that says what the style is.")
    style: Pictures = Field(
        min_length=1, max_length=MAX_PICTURES, description="The style picture, or several with weights."
    )
    content_layers: Layers = Field(default={"relu2_2": 1.0})
    style_layers: Layers = Field(default={"relu1_1": 1.0})
    content_weight: Weight = 1.0
    strength: float = Field(100, ge=0, le=100)
    weights: str = Field(
        "oxford", min_length=1, description="oxford (packaged), torchvision (a download), or a state dict's path."
    )
    output: Output = Field(Output(), description="How Results are saved: their format and quality.")


class PaintingRecipe(Recipe):
    """The keys of a painting."""

    transfer: Literal["painting"] = Field(
        "painting",
        description="painting: the picture is painted. look: its colours and tones change, and nothing else.",
    )
    style_size: float = Field(
        1.0,
        ge=0.1,
        le=4,
        description="The style picture's long edge, as a multiple of the photo's. Higher values give larger strokes.",
    )
    strokes: Literal["picture", "pixel"] = Field(
        "picture",
        description="picture: strokes keep their size within the picture, so a large Result looks like its small "
        "preview. pixel: strokes keep their size in pixels, so a large Result has more and finer strokes.",
    )
    weighting: Weighting = Field(
        "relative",
        description="relative: each loss is a share of its target, the same in all layers. article: the formula of "
        "Gatys et al.",
    )
    statistic: Statistic = Field(
        "covariance",
        description="What is matched in a style layer. gram: the Gram matrix, as in the paper. covariance: mean and "
        "covariance. wasserstein: both, by the distance between two Gaussians. `weighting: article` needs gram.",
    )
    content_layers: Layers = Field(
        default={"relu2_2": 1.0}, description="The layers whose features hold the scene, with weights."
    )
    style_layers: Layers = Field(
        default={"relu1_1": 0.6, "relu2_1": 0.2, "relu3_1": 0.2, "relu4_1": 0.2, "relu5_1": 0.2},
        description="The layers whose statistics hold the style, with weights. Early layers hold colour and fine "
        "strokes.",
    )
    content_weight: Weight = Field(0.6, description="How much the scene counts.")
    style_weight: Weight = Field(1.0, description="How much the style counts.")
    tv_weight: Weight = Field(0.0, description="Total variation: smooths noise, and strokes too.")
    optimiser: Literal["lbfgs", "adam"] = Field(
        "lbfgs", description="lbfgs needs fewer steps; adam is the textbook optimiser."
    )
    rate: float | None = Field(
        None,
        gt=0,
        le=10,
        description="The optimiser's rate. The default is 1 for lbfgs, 0.02 of the pixel range for adam.",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="For adam: the Result is a running mean of the pictures after each step, with this decay. It is "
        "smoother and has less noise. 0 turns it off.",
    )
    steps: StepsOfScales = Field(
        default=(16, 4, 6),
        min_length=1,
        max_length=8,
        description="The steps at each scale that uses all layers, from coarse to fine. Each scale is twice the size "
        "of the previous one. The finest has about 768 pixels, or the `size` if that is less.",
    )
    finish: Finishes = Field(
        default=(
            Finish(steps=5, content=0.4),
            Finish(steps=6),
            Finish(steps=5, through="relu2_1"),
            Finish(steps=3, through="relu2_1"),
        ),
        max_length=8,
        description="Steps with shallow layers and less content weight, which sharpen strokes. The first come before "
        "the steps with all layers at the finest of the scales in `steps`; the others are scales beyond it, and the "
        "last is repeated as often as the size needs. With [], all steps use all layers, as in a preset with one "
        "number of steps.",
    )
    size: Literal["auto", "full"] | Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)] = Field(
        "auto",
        description="The long edge, in pixels, at which the optimiser works. auto: 2048 on an NVIDIA GPU, 1024 on an "
        "Apple GPU, 768 on a CPU (384 without `finish`). full: the photo's own, in tiles if memory is short; this is "
        "slow, and strokes are as fine as the photo's pixels.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="Each number gives a different painting of the same photo, because the optimiser starts from "
        "different noise. Without a seed, it starts from the photo.",
    )
    recolour: bool = Field(
        True,
        description="Match the photo's colours to the style's before the first step, and again at each scale.",
    )
    colour: Colour = Field(
        "style",
        description="style: the style's colours. photo: the photo's own colours; only light and dark are painted. "
        "palette: the style picture first gets the photo's colours, so each stroke can have any of them.",
    )
    output: PaintingOutput = Field(
        PaintingOutput(), description="How Results are saved: their format, quality and size."
    )
    lightness: Literal["photo", "style"] = Field(
        "photo",
        description="photo: a dark photo stays dark, because the style picture is darkened toward it. style: the "
        "painting is as light as the style picture.",
    )
    strength: float = Field(100, ge=0, le=100, description="How much of the painting covers the photo, in percent.")
    detail: float = Field(
        0.8,
        ge=0,
        le=2,
        description="How much the photo's fine detail guides the enlargement to full size. 0 turns it off.",
    )

    @model_validator(mode="before")
    @classmethod
    def _article_has_gram(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("weighting") == "article":
            return {"statistic": "gram", **data}
        return data

    @model_validator(mode="before")
    @classmethod
    def _without_finish(cls, data: Any) -> Any:
        """By default, a preset with one scale, or with deep layers only, has no finish."""
        if isinstance(data, dict):
            one = "steps" in data and len(_as_tuple(data["steps"])) == 1
            layers = data.get("style_layers")
            deep = isinstance(layers, dict) and not SHALLOW & {name for name, weight in layers.items() if weight}
            if one or deep:
                return {"finish": (), **data}
        return data

    @model_validator(mode="after")
    def _check_combinations(self) -> PaintingRecipe:
        if self.weighting == "article" and self.statistic != "gram":
            raise ValueError("`weighting: article` needs `statistic: gram`")
        for finish in self.finish:
            if not any(LAYERS.index(name) <= LAYERS.index(finish.through) for name in self.style_layers):
                raise ValueError(f"`finish` through {finish.through} uses none of the preset's style layers")
        if self.average and self.optimiser != "adam":
            raise ValueError("`average` needs `optimiser: adam`")
        return self


class LookRecipe(Recipe):
    """The keys of a Look."""

    transfer: Literal["look"] = Field(description="look: colours and tones change, and nothing else.")
    style: Pictures = Field(
        (), max_length=MAX_PICTURES, description="The picture whose look is wanted, or several with weights."
    )
    lut: Path | None = Field(
        None, description="In place of `style`: a table that others made, as a .cube file or a HaldCLUT picture."
    )
    fit: Literal["photo", "series"] = Field(
        "photo", description="photo: a table for each photo. series: one table for all, so that they stay alike."
    )
    photos: Paths = Field(
        (),
        max_length=MAX_PICTURES,
        description="For `fit: series`, the photos that the table is fitted to. Without them, it is fitted to the "
        "photos that are waiting when the first is taken, eight at most.",
    )
    content_layers: Layers = Field(
        default={"relu3_1": 1.0}, description="The layers whose features hold the scene, with weights."
    )
    style_layers: Layers = Field(
        default={"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0},
        description="The layers whose statistics hold the look, with weights. Deeper layers bring false colours.",
    )
    content_weight: Weight = Field(1.5, description="How much the photo's own contrasts count.")
    skin: float = Field(100, ge=0, le=100, description="How much the colours of skin are protected, in percent.")
    strength: float = Field(100, ge=0, le=100, description="How much of the look the photo gets, in percent.")
    output: LookOutput = Field(LookOutput(), description="How Results are saved: format, quality, and the table.")

    @model_validator(mode="after")
    def _check_combinations(self) -> LookRecipe:
        if not self.style and self.lut is None:
            raise ValueError("`transfer: look` needs `style` or `lut`")
        for key in sorted(FITTING if self.lut is not None else ()):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"`lut` is a finished table, so `{key}` has no effect: remove one of them")
        if self.photos and self.fit != "series":
            raise ValueError("`photos` needs `fit: series`")
        return self


FITTING = {"style", "fit", "photos", "content_layers", "style_layers", "content_weight", "skin", "weights"}
"""Keys that only matter if a table is fitted."""
