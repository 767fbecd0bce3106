"""Presets: a painting or a Look, with a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import ValidationError

from stylecore.errors import PresetError
from stylecore.recipe import FITTING, LookRecipe, PaintingRecipe, Recipe, Statistic, Weighting
from stylecore.yamlfile import words_of


class Preset(Recipe):
    """A Recipe with its file's stem as ``name``. ``digest`` covers the recipe and the bytes of its pictures."""

    name: str
    digest: str


class Painting(PaintingRecipe, Preset):
    """Pixels are optimised."""

    def with_steps(self, total: int) -> Painting:
        """The same recipe in ``total`` steps, spread over the scales with all layers as before. If there are fewer
        steps than scales, the finest scales get them. The scales of ``finish`` get more or fewer in proportion."""
        shares = self.steps[-total:]
        steps = [max(1, total * share // sum(shares)) for share in shares]
        steps[-1] = max(1, steps[-1] + total - sum(steps))
        while sum(steps) > total:  # a scale's one step was more than its share
            steps[steps.index(max(steps))] -= 1
        share = total / sum(self.steps)
        finish = [f.model_copy(update={"steps": max(1, round(f.steps * share))}) for f in self.finish]
        return self.model_copy(update={"steps": tuple(steps), "finish": tuple(finish)})


class Look(LookRecipe, Preset):
    """A table of colours is optimised.

    ``tables``: files that get the table, by their extensions, besides those that ``output`` asks for.
    """

    statistic: ClassVar[Statistic] = "wasserstein"  # the others clip two to three times more colours
    weighting: ClassVar[Weighting] = "relative"
    style_weight: ClassVar[float] = 1.0
    tv_weight: ClassVar[float] = 0.0

    tables: tuple[Path, ...] = ()


BEFORE = {"finish": [], "lightness": "style"}
"""What keys of a painting meant before they existed."""
RECIPES: dict[str, type[Recipe]] = {"painting": PaintingRecipe, "look": LookRecipe}
PRESETS: dict[str, type[Preset]] = {"painting": Painting, "look": Look}


Kind = TypeVar("Kind", bound=Preset)


def with_options(preset: Preset, **options: Any) -> Preset:
    """The Preset with other values; None keeps its own. ``steps``: the total. Raises PresetError for options that its
    transfer does not have."""
    given = {name: value for name, value in options.items() if value is not None}
    wrong = sorted(given.keys() - type(preset).model_fields.keys())
    if wrong:
        words = " and ".join(wrong)
        raise PresetError(f"The preset {preset.name!r} is a {preset.transfer}, which has no {words}: leave it out.")
    if isinstance(preset, Painting) and (steps := given.pop("steps", None)) is not None:
        preset = preset.with_steps(steps)
    return preset.model_copy(update=given)


def with_output(preset: Kind, **given: Any) -> Kind:
    """The Preset with other keys of ``output``; None keeps its own. Raises PresetError for keys that its transfer does
    not have or that do not fit together."""
    given = {name: value for name, value in given.items() if value is not None}
    kind = type(preset.output)
    for name in sorted(given.keys() - kind.model_fields.keys()):
        raise PresetError(f"The preset {preset.name!r} is a {preset.transfer}, which has no {name}: leave it out.")
    keys = preset.output.model_dump()
    for one, other in (("print", "long_edge"), ("long_edge", "print")):
        if one in given and other not in given:
            keys.pop(other, None)
    try:
        output = kind.model_validate({**keys, **given})
    except ValidationError as e:
        raise PresetError("; ".join(_of_option(error) for error in e.errors())) from e
    return preset.model_copy(update={"output": output})


def _of_option(error: Any) -> str:
    return "".join(f"{name}: " for name in error["loc"][:1]) + words_of(error)


def preset_of_json(text: str) -> Preset:
    """What ``model_dump_json`` of a Preset gave, now or in an earlier version."""
    data = json.loads(text)
    if data.get("transfer", "painting") == "painting":
        data = {**BEFORE, **data}
    return PRESETS[data.get("transfer", "painting")].model_validate(data)


def files_of(preset: Preset) -> list[Path]:
    """All files that the Preset names, but no weights."""
    found: list[Path] = []

    def note(file: Path) -> Path:
        found.append(file)
        return file

    with_files(preset, note)
    return found


def with_files(preset: Preset, move: Callable[[Path], Path]) -> Preset:
    """The Preset with ``move`` of each of its files."""
    style = tuple(p.model_copy(update={"picture": move(p.picture)}) for p in preset.style)
    changed: dict[str, Any] = {"style": style}
    if isinstance(preset, Look):
        changed |= {"lut": preset.lut and move(preset.lut), "photos": tuple(map(move, preset.photos))}
    return preset.model_copy(update=changed)


def as_yaml(preset: Preset) -> str:
    """Every key with its value, in the format of a Preset's file."""
    recipe = RECIPES[preset.transfer]
    unused = set() if not isinstance(preset, Look) else {"lut"} if preset.lut is None else FITTING
    keys = preset.model_dump(mode="json", include=set(recipe.model_fields) - unused)
    return yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a Preset's file, for completion in editors."""
    painting, look = (recipe.model_json_schema() for recipe in (PaintingRecipe, LookRecipe))
    shared = painting.pop("$defs") | look.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stylefolder preset",
        "type": "object",
        "if": {"properties": {"transfer": {"const": "look"}}, "required": ["transfer"]},
        "then": look,
        "else": painting,
        "$defs": shared,
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))  # noqa: T201
