"""A Preset's file, read and checked: each mistake is named with its line."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stylecore.errors import PresetError
from stylecore.preset import MAX_SIZE, MIN_SIZE, Output, Preset, Recipe, StylePicture
from stylecore.yamlfile import Lines, read_yaml, shown, words_of

RESERVED_NAMES = ("presets", "styled", "failed")


def load_preset(path: Path) -> Preset:
    """Raises PresetError, ``file:line: key: what is wrong``, with one line for each mistake."""
    data, lines = read_yaml(path)
    return _checked(path, path.stem, data, lines)


def preset_of_picture(picture: Path, name: str) -> Preset:
    """The defaults, with this style picture. Raises PresetError."""
    data = {"style": picture.name, "description": f"After {picture.name} in its folder"}
    return _checked(picture, name, data, Lines({}))


def find_presets(folders: Iterable[Path]) -> dict[str, Path]:
    """{name: file}, sorted by name. Of two files with one name, the one in the earlier folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for path in [*folder.glob("*.yaml"), *folder.glob("*.yml")]:
                if not path.name.startswith(".") and path.is_file():  # reading a FIFO would never end
                    found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _checked(path: Path, name: str, data: dict[str, Any], lines: Lines) -> Preset:
    if name in RESERVED_NAMES or name.startswith(".") or not name.isprintable():
        raise PresetError(f"{path}: {name!r} cannot be a preset's name, because it names a folder: rename the file.")
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as e:
        by_line = {_sentence(path, lines, error): lines.where(_location(error)) for error in _causes(e.errors())}
        raise PresetError("\n".join(sorted(by_line, key=lambda sentence: by_line[sentence]))) from e
    return _with_files(recipe, name, path, lines)


def _with_files(recipe: Recipe, name: str, path: Path, lines: Lines) -> Preset:
    """The Preset with absolute paths, and a digest of everything."""
    keys = recipe.model_dump(mode="json", exclude={"style"})
    digest = hashlib.sha256(json.dumps({**keys, "digest": ""}, sort_keys=True).encode())
    pictures = []
    for i, style in enumerate(recipe.style):
        where = lines.where(("style", i, "picture"))
        full = _style_picture(path, style.picture, where)
        with full.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest() + repr(style.weight).encode())
        pictures.append(StylePicture(picture=full, weight=style.weight))
    weights = recipe.weights
    if weights not in ("oxford", "torchvision"):
        try:
            weights = str((path.parent / Path(weights).expanduser()).resolve())
        except (ValueError, RuntimeError) as e:
            raise PresetError(f"{path}:{lines.where(('weights',))}: weights: {weights!r} is not a path ({e}).") from e
    values = {key: getattr(recipe, key) for key in Recipe.model_fields}
    whole = {**values, "style": tuple(pictures), "weights": weights, "name": name, "digest": digest.hexdigest()}
    preset = Preset.model_construct(**whole)  # validated above; validation would wrap single values again
    try:
        preset.model_dump_json()
    except ValueError as e:
        raise PresetError(f"{path}: is in a folder whose name is not UTF-8: move it elsewhere.") from e
    return preset


def _style_picture(preset: Path, picture: Path, line: int) -> Path:
    try:
        full = preset.parent / picture.expanduser()
        if full.exists() and not full.is_file():
            raise ValueError("it is not a file")
        with full.open("rb"):
            return full.resolve()
    except (OSError, ValueError, RuntimeError) as e:  # also a name with a zero byte, or ~nobody
        why = getattr(e, "strerror", None) or e
        raise PresetError(
            f"{preset}:{line}: style: the picture {picture} cannot be read ({why}): put it there, or correct the path."
        ) from e


def _causes(errors: Sequence[Any]) -> list[Any]:
    """The errors that do not just follow from others: a list whose entries are wrong also counts as too short."""
    deep = {error["loc"][:-1] for error in errors if error["loc"] and isinstance(error["loc"][-1], int)}
    return [error for error in errors if not (error["type"] == "too_short" and error["loc"] in deep)]


def _location(error: Any) -> tuple[Any, ...]:
    return tuple(part for part in error["loc"] if part not in ("int", "constrained-int") and "literal" not in str(part))


def _sentence(path: Path, lines: Lines, error: Any) -> str:
    location = _location(error)
    if error["type"] == "extra_forbidden":
        return _unknown_key(path, lines, location)
    if error["type"] == "missing" and len(location) == 1:
        return f"{path}:1: {location[0]}: is missing; a preset needs it."
    where = f"{path}:{lines.where(location)}"
    if location[:1] == ("size",):  # each of its two types has an error
        given = shown(error["input"])
        return f"{where}: size: must be a number from {MIN_SIZE} to {MAX_SIZE}, auto or full (not {given})."
    key = ".".join(map(str, location)) or "statistic"
    return f"{where}: {key}: {words_of(error)}"


def _unknown_key(path: Path, lines: Lines, location: tuple[Any, ...]) -> str:
    model = Recipe if len(location) == 1 else Output if location[0] == "output" else StylePicture
    known = sorted(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}."
    return f"{path}:{lines.where(location)}: {location[-1]}: there is no such key; {hint}"
