"""The keys of a Preset's file, their types and defaults."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from stylecore.layers import LAYERS

MAX_STEPS = 20_000
MIN_SIZE, MAX_SIZE = 32, 16_384  # pixels at which the optimiser works

Colour = Literal["style", "photo", "palette"]
OutputFormat = Literal["same", "jpeg", "png", "tiff", "webp", "avif", "heic"]
Weight = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class StylePicture(BaseModel):
    """A style picture, and its share among several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: Path = Field(description="The style picture, relative to the preset's file.")
    weight: float = Field(1.0, gt=0, le=1000, description="Its share among several style pictures.")


class Output(BaseModel):
    """How Results are saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: OutputFormat = Field(
        "same", description="same: the photo's own format; JPEG for RAW, PNG for GIF and BMP. Or a format's name."
    )
    quality: int = Field(95, ge=1, le=100, description="The quality of JPEG, WebP, AVIF and HEIC.")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _as_pictures(value: Any) -> Any:
    return tuple({"picture": v} if isinstance(v, (str, Path)) else v for v in _as_tuple(value))


def _check_layers(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name not in LAYERS:
            near = difflib.get_close_matches(name, LAYERS, 1)
            raise ValueError(f"there is no layer {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    if not any(value.values()):
        raise ValueError("at least one layer needs a weight above 0")
    return {name: weight for name, weight in value.items() if weight}


Picture = Annotated[str, Field(min_length=1)] | StylePicture
Pictures = Annotated[
    tuple[StylePicture, ...],
    BeforeValidator(_as_pictures, json_schema_input_type=Picture | Annotated[list[Picture], Field(min_length=1)]),
]
StepsOfScales = Annotated[
    tuple[Steps, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Steps | Annotated[list[Steps], Field(min_length=1)]),
]


class Recipe(BaseModel):
    """The keys of a Preset's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Stylefolder preset")

    description: str = Field("", max_length=500, description="One line that says what the style is.")
    style: Pictures = Field(min_length=1, max_length=16, description="The style picture, or several with weights.")
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
    weighting: Literal["relative", "article"] = Field(
        "relative",
        description="relative: each loss is a share of its target, the same in all layers. article: the formula of "
        "Gatys et al.",
    )
    statistic: Literal["gram", "covariance", "wasserstein"] = Field(
        "covariance",
        description="What is matched in a style layer. gram: the Gram matrix, as in the paper. covariance: mean and "
        "covariance. wasserstein: both, by the distance between two Gaussians. `weighting: article` needs gram.",
    )
    content_layers: dict[str, Weight] = Field(
        default={"relu2_2": 1.0}, description="The layers whose features hold the scene, with weights."
    )
    style_layers: dict[str, Weight] = Field(
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
        default=(60, 40, 25),
        min_length=1,
        max_length=8,
        description="The steps at each scale, from coarse to fine. Each scale is twice the size of the previous one.",
    )
    size: Literal["auto", "full"] | Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)] = Field(
        "auto",
        description="The long edge, in pixels, at which the optimiser works. auto: 1024 on a GPU, 384 on a CPU. "
        "full: the photo's own, in tiles if memory is short; this is slow, and strokes are as fine as the photo's "
        "pixels.",
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
    strength: float = Field(100, ge=0, le=100, description="How much of the painting covers the photo, in percent.")
    detail: float = Field(
        0.8,
        ge=0,
        le=2,
        description="How much the photo's fine detail guides the enlargement to full size. 0 turns it off.",
    )
    weights: str = Field("oxford", description="oxford (packaged), torchvision (a download), or a state dict's path.")
    output: Output = Field(Output(), description="How Results are saved: their format and quality.")

    @field_validator("content_layers", "style_layers")
    @classmethod
    def _check_layer_names(cls, value: dict[str, float]) -> dict[str, float]:
        return _check_layers(value)

    @model_validator(mode="before")
    @classmethod
    def _article_has_gram(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("weighting") == "article":
            return {"statistic": "gram", **data}
        return data

    @model_validator(mode="after")
    def _check_combinations(self) -> Recipe:
        if self.weighting == "article" and self.statistic != "gram":
            raise ValueError("`weighting: article` needs `statistic: gram`")
        if self.average and self.optimiser != "adam":
            raise ValueError("`average` needs `optimiser: adam`")
        return self


class Preset(Recipe):
    """A Recipe with its file's stem as ``name``. ``digest`` covers the recipe and the bytes of its style pictures."""

    name: str
    digest: str

    def with_steps(self, total: int) -> Preset:
        """The same recipe in ``total`` steps, spread over the scales as before. If there are fewer steps than scales,
        the finest scales get them."""
        shares = self.steps[-total:]
        steps = [max(1, total * share // sum(shares)) for share in shares]
        steps[-1] = max(1, steps[-1] + total - sum(steps))
        while sum(steps) > total:  # a scale's one step was more than its share
            steps[steps.index(max(steps))] -= 1
        return self.model_copy(update={"steps": tuple(steps)})


def as_yaml(preset: Preset) -> str:
    """Every key with its value, in the format of a Preset's file."""
    keys = preset.model_dump(mode="json", include=set(Recipe.model_fields))
    return yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a Preset's file, for completion in editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))  # noqa: T201
