"""A Preset: the YAML recipe of a style. One door in: ``load_preset``."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from stylecore.errors import PresetError
from stylecore.layers import LAYERS
from stylecore.yamlfile import Lines, YamlFileError, read_yaml, words_of

RESERVED_NAMES = ("presets", "styled", "failed")
MAX_STEPS = 20_000


class StylePicture(BaseModel):
    """A picture whose style is taken, and its share among several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: Path = Field(description="The style picture, relative to the preset's file.")
    weight: float = Field(1.0, gt=0, le=1000, description="Its share among several style pictures.")


class Output(BaseModel):
    """How Results are saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["same", "jpeg", "png", "tiff", "webp", "avif", "heic"] = Field(
        "same", description="same: the photo's own format, JPEG for RAW, PNG for formats that are read only."
    )
    quality: int = Field(95, ge=1, le=100, description="Of JPEG, WebP, AVIF and HEIC.")


def _as_pictures(value: Any) -> Any:
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple({"picture": v} if isinstance(v, (str, Path)) else v for v in values)


def _as_steps(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _known_layers(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name not in LAYERS:
            near = difflib.get_close_matches(name, LAYERS, 1)
            raise ValueError(f"there is no layer {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    if not any(value.values()):
        raise ValueError("one layer at least needs a weight above 0")
    return {name: weight for name, weight in value.items() if weight}


Colour = Literal["style", "photo", "palette"]
Weight = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class Preset(BaseModel):
    """How a photo is styled. ``name`` is the file's stem, ``digest`` covers the recipe and the style pictures' bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str
    description: str = Field("", max_length=500, description="A line for people.")
    style: Annotated[tuple[StylePicture, ...], BeforeValidator(_as_pictures)] = Field(
        min_length=1, max_length=16, description="One style picture, or several with weights."
    )
    style_size: float = Field(
        1.0, ge=0.1, le=4, description="The style picture's long edge over the photo's: larger means larger strokes."
    )
    strokes: Literal["picture", "pixel"] = Field(
        "picture",
        description="picture: strokes keep their size within the picture, so that a large Result looks like its small preview; pixel:"
        " they keep their size in pixels, so that a large one has more and finer strokes.",
    )
    weighting: Literal["relative", "article"] = Field(
        "relative",
        description="relative: every loss as a share of its target, alike in all layers; article: the formula of Gatys et al.",
    )
    statistic: Literal["gram", "covariance", "wasserstein"] = Field(
        "covariance",
        description="What of the style is matched in a layer: gram, the article's; covariance, mean and covariance; wasserstein, both by"
        " the distance of two Gaussians. The article's weighting has gram.",
    )
    content_layers: dict[str, Weight] = Field(
        default={"relu2_2": 1.0}, description="Layers whose features hold the scene, with weights."
    )
    style_layers: dict[str, Weight] = Field(
        default={"relu1_1": 0.6, "relu2_1": 0.2, "relu3_1": 0.2, "relu4_1": 0.2, "relu5_1": 0.2},
        description="Layers whose Gram matrices hold the style, with weights: early ones colour and fine stroke.",
    )
    content_weight: Weight = Field(0.6, description="How much the scene counts.")
    style_weight: Weight = Field(1.0, description="How much the style counts.")
    tv_weight: Weight = Field(0.0, description="Total variation: smooths noise, and strokes as well.")
    optimiser: Literal["lbfgs", "adam"] = Field("lbfgs", description="lbfgs: fewer steps; adam: the textbook's.")
    rate: float | None = Field(
        None,
        gt=0,
        le=10,
        description="The optimiser's rate; by default 1 for lbfgs, 0.02 (of the pixel range) for adam.",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Of adam alone: the Result is a running mean of the pictures after each step, with this decay:"
        " calmer, with less noise; 0: none.",
    )
    steps: Annotated[tuple[Steps, ...], BeforeValidator(_as_steps)] = Field(
        default=(60, 40, 25),
        min_length=1,
        max_length=8,
        description="Steps at each scale, coarse to fine; each scale has twice the size of the one before.",
    )
    size: Literal["auto", "full"] | Annotated[int, Field(ge=32, le=16384)] = Field(
        "auto",
        description="Long edge in pixels at which the optimiser works; auto: 1024 on a GPU, 384 on a CPU; full: the photo's own, by"
        " tiles where memory is short: slow, with strokes as fine as the photo's pixels.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="A number: another painting of the same photo, begun from some noise; none: begun from the photo.",
    )
    recolour: bool = Field(
        True,
        description="The photo begins with its colours matched to the style's, and they are matched anew at each scale.",
    )
    colour: Colour = Field(
        "style",
        description="style: the style's colours; photo: the photo's own, only light and dark are painted; palette: the style's colours are"
        " exchanged for the photo's beforehand, and each stroke may have any of those.",
    )
    strength: float = Field(100, ge=0, le=100, description="Per cent of the painting in the Result, over the photo.")
    detail: float = Field(
        0.8, ge=0, le=2, description="How much of the photo's fine detail guides the enlarging to full size; 0: none."
    )
    weights: str = Field("oxford", description="oxford (packaged), torchvision (a download), or a state dict's path.")
    output: Output = Output()

    @field_validator("content_layers", "style_layers")
    @classmethod
    def _check_layers(cls, value: dict[str, float]) -> dict[str, float]:
        return _known_layers(value)

    @model_validator(mode="before")
    @classmethod
    def _articles_statistic(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("weighting") == "article":
            return {"statistic": "gram", **data}
        return data

    @model_validator(mode="after")
    def _check_statistic(self) -> Preset:
        if self.weighting == "article" and self.statistic != "gram":
            raise ValueError("`statistic` is gram where `weighting` is article")
        if self.average and self.optimiser != "adam":
            raise ValueError("`average` is for the optimiser adam")
        return self

    def with_steps(self, total: int) -> Preset:
        """The same recipe in ``total`` steps, spread over the scales as before; the finest scale comes first."""
        shares = self.steps[-total:] if total < len(self.steps) else self.steps
        steps = [max(1, total * share // sum(shares)) for share in shares]
        steps[-1] = max(1, steps[-1] + total - sum(steps))
        return self.model_copy(update={"steps": tuple(steps)})


def load_preset(path: Path) -> Preset:
    """Read and check one. Raises PresetError, ``file:line: key: what is wrong``, one line for each mistake."""
    try:
        data, lines = read_yaml(path)
    except YamlFileError as e:
        raise PresetError(str(e)) from e
    return _checked(path, path.stem, data, lines)


def preset_of_picture(picture: Path, name: str) -> Preset:
    """The defaults, with this style picture. Raises PresetError."""
    return _checked(
        picture, name, {"style": picture.name, "description": f"After {picture.name} in its folder"}, Lines({})
    )


def _checked(path: Path, name: str, data: dict[str, Any], lines: Lines) -> Preset:
    if name in RESERVED_NAMES or name.startswith(".") or not name.isprintable():
        raise PresetError(f"{path}: {name!r} cannot be a preset's name (it names a folder): rename the file.")
    own = [key for key in ("name", "digest") if key in data]
    try:
        preset = Preset.model_validate({**data, "name": name, "digest": ""})
    except ValidationError as e:
        told = {_sentence(path, lines, error): lines.where(_place(error)) for error in _bare(e.errors())}
        raise PresetError("\n".join(sorted(told, key=lambda sentence: told[sentence]))) from e
    if own:
        raise PresetError(_unknown(path, lines, (own[0],)))
    return _with_pictures(preset, path, lines)


def find_presets(folders: Iterable[Path]) -> dict[str, Path]:
    """{name: file}, sorted by name; a name in an earlier folder wins over the same name in a later one."""
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for path in [*folder.glob("*.yaml"), *folder.glob("*.yml")]:
                if not path.name.startswith("."):
                    found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a preset's file, for editors' completion."""
    schema = Preset.model_json_schema()
    for key in ("name", "digest"):
        del schema["properties"][key]
        schema["required"].remove(key)
    # What the validators widen: one picture or number stands for a list of one.
    picture = schema["$defs"]["StylePicture"]
    one = [{"type": "string"}, picture]
    style = schema["properties"]["style"]
    style.update(anyOf=[*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1}])
    steps = schema["properties"]["steps"]
    steps.update(
        anyOf=[{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "integer", "minimum": 1}}]
    )
    for widened in (style, steps):
        for key in ("type", "items", "minItems", "maxItems"):
            widened.pop(key, None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Stylefolder preset"}


def _with_pictures(preset: Preset, path: Path, lines: Lines) -> Preset:
    pictures = []
    digest = hashlib.sha256(
        json.dumps(preset.model_dump(mode="json", exclude={"name", "style"}), sort_keys=True).encode()
    )
    for i, style in enumerate(preset.style):
        try:
            full = path.parent / style.picture.expanduser()
            if full.exists() and not full.is_file():
                raise ValueError("it is no file")
            with full.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest() + repr(style.weight).encode())
        except (OSError, ValueError, RuntimeError) as e:  # a name with a zero byte; ~nobody
            where, why = lines.where(("style", i, "picture")), getattr(e, "strerror", None) or e
            raise PresetError(
                f"{path}:{where}: style: the picture {style.picture} cannot be read ({why}): put it there or correct the path."
            ) from e
        pictures.append(StylePicture(picture=full.resolve(), weight=style.weight))
    weights = preset.weights
    if weights not in ("oxford", "torchvision"):
        try:
            weights = str((path.parent / Path(weights).expanduser()).resolve())
        except (ValueError, RuntimeError) as e:
            raise PresetError(f"{path}:{lines.where(('weights',))}: weights: {weights!r} is no path ({e}).") from e
    whole = preset.model_copy(update={"style": tuple(pictures), "digest": digest.hexdigest(), "weights": weights})
    try:
        whole.model_dump_json()
    except ValueError as e:
        raise PresetError(f"{path}: lies in a folder whose name is not UTF-8: move it elsewhere.") from e
    return whole


def _bare(errors: Sequence[Any]) -> list[Any]:
    """Without those that only follow from another: a list whose entries are wrong counts as too short."""
    deep = {error["loc"][:-1] for error in errors if error["loc"] and isinstance(error["loc"][-1], int)}
    return [error for error in errors if not (error["type"] == "too_short" and error["loc"] in deep)]


def _place(error: Any) -> tuple[Any, ...]:
    return tuple(part for part in error["loc"] if part not in ("int", "constrained-int") and "literal" not in str(part))


def _sentence(path: Path, lines: Lines, error: Any) -> str:
    loc = _place(error)
    if error["type"] == "extra_forbidden":
        return _unknown(path, lines, loc)
    if error["type"] == "missing" and len(loc) == 1:
        return f"{path}:1: {loc[0]}: is missing; a preset needs it."
    if loc[:1] == ("size",):  # of its two kinds each says no
        return f"{path}:{lines.where(loc)}: size: must be a number from 32 to 16384, auto or full (it says {error['input']!r})."
    key = ".".join(map(str, loc)) or "statistic"
    return f"{path}:{lines.where(loc)}: {key}: {words_of(error)}"


def _unknown(path: Path, lines: Lines, loc: tuple[Any, ...]) -> str:
    model = Preset if len(loc) == 1 else Output if loc[0] == "output" else StylePicture
    known = sorted(set(model.model_fields) - {"name", "digest"})
    near = difflib.get_close_matches(str(loc[-1]), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}."
    return f"{path}:{lines.where(loc)}: {loc[-1]}: there is no such key; {hint}"


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))  # noqa: T201
