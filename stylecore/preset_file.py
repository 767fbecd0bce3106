"""A Preset's file, read and checked: each mistake is named with its line."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stylecore.errors import PresetError, cause
from stylecore.limits import MAX_SIZE, MIN_SIZE, MIN_STYLE
from stylecore.output import Output
from stylecore.preset import PRESETS, RECIPES, Look, Preset
from stylecore.recipe import Finish, LookRecipe, PaintingRecipe, Recipe, StylePicture
from stylecore.yamlfile import Lines, read_yaml, shown, words_of

RESERVED_NAMES = ("presets", "styled", "failed")


def load_preset(path: Path) -> Preset:
    """Raises PresetError, ``file:line: key: what is wrong``, with one line for each mistake."""
    data, lines = read_yaml(path)
    return _checked(path, path.stem, data, lines)


def preset_of_picture(picture: Path, name: str, transfer: str) -> Preset:
    """The transfer's defaults, with this style picture. Raises PresetError."""
    data = {"transfer": transfer, "style": picture.name, "description": f"After {picture.name} in its folder"}
    return _checked(picture, name, data, Lines({}))


def look_like(
    pictures: Sequence[Path],
    lut: Path | None = None,
    *,
    strength: float = 100,
    series: bool = False,
    tables: Sequence[Path] = (),
) -> Look:
    """A Look that is in no file: of these pictures, or of a table. Raises PresetError."""
    digest = hashlib.sha256()
    for path in (*pictures, *([lut] if lut is not None else [])):
        try:
            if path.exists() and not path.is_file():
                raise PresetError(f"{path} is not a file: name a picture or a table.")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as e:
            raise PresetError(f"{path} cannot be read ({cause(e)}): check its name.") from e
    found = Look.model_construct(
        **{
            **{name: field.default for name, field in Look.model_fields.items()},
            "transfer": "look",
            "name": "look",
            "digest": digest.hexdigest(),
            "style": tuple(StylePicture(picture=path.absolute()) for path in pictures),
            "lut": lut and lut.absolute(),
            "fit": "series" if series else "photo",
            "strength": strength,
            "tables": tuple(path.absolute() for path in tables),
        }
    )
    try:
        found.model_dump_json()
    except ValueError as e:
        raise PresetError("A picture or a table has a name that is not UTF-8: give it another name.") from e
    return found


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
    transfer = data.get("transfer", "painting")
    if not isinstance(transfer, str) or transfer not in RECIPES:
        words = " or ".join(RECIPES)
        raise PresetError(f"{path}:{lines.where(('transfer',))}: transfer: must be {words} (not {shown(transfer)}).")
    kind = RECIPES[transfer]
    try:
        recipe = kind.model_validate(data)
    except ValidationError as e:
        by_line = {_sentence(kind, path, lines, error): lines.where(_location(error)) for error in _causes(e.errors())}
        raise PresetError("\n".join(sorted(by_line, key=lambda sentence: by_line[sentence]))) from e
    return _with_files(recipe, name, path, lines)


def _with_files(recipe: Recipe, name: str, path: Path, lines: Lines) -> Preset:
    """The Preset with absolute paths, and a digest of everything."""
    apart = {"style", "lut", "photos"} | ({"transfer"} if recipe.transfer == "painting" else set())
    keys = recipe.model_dump(mode="json", exclude=apart)  # digests of paintings are older than the key `transfer`
    digest = hashlib.sha256(json.dumps({**keys, "digest": ""}, sort_keys=True).encode())

    def absolute(file: Path, mark: str, key: str, *location: object) -> Path:
        full = _existing(path, file, key, lines.where((key, *location)))
        if key == "style" and recipe.transfer == "painting":
            _check_size(path, full, lines.where((key, *location)))
        with full.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest() + mark.encode())
        return full

    style = [
        StylePicture(picture=absolute(p.picture, repr(p.weight), "style", i, "picture"), weight=p.weight)
        for i, p in enumerate(recipe.style)
    ]
    files: dict[str, Any] = {"style": tuple(style)}
    if isinstance(recipe, LookRecipe):
        files["lut"] = recipe.lut and absolute(recipe.lut, "lut", "lut")
        files["photos"] = tuple(absolute(photo, "photo", "photos", i) for i, photo in enumerate(recipe.photos))
    weights = recipe.weights
    if weights not in ("oxford", "torchvision"):
        try:
            weights = str((path.parent / Path(weights).expanduser()).resolve())
        except (ValueError, RuntimeError) as e:
            raise PresetError(f"{path}:{lines.where(('weights',))}: weights: {weights!r} is not a path ({e}).") from e
    values = {key: getattr(recipe, key) for key in type(recipe).model_fields}
    whole = {**values, **files, "weights": weights, "name": name, "digest": digest.hexdigest()}
    preset = PRESETS[recipe.transfer].model_construct(**whole)  # validated above; again would wrap single values
    try:
        preset.model_dump_json()
    except ValueError as e:
        raise PresetError(f"{path}: is in a folder whose name is not UTF-8: move it elsewhere.") from e
    return preset


def _existing(preset: Path, file: Path, key: str, line: int) -> Path:
    try:
        full = preset.parent / file.expanduser()
        if full.exists() and not full.is_file():
            raise ValueError("it is not a file")
        with full.open("rb"):
            return full.resolve()
    except (OSError, ValueError, RuntimeError) as e:  # also a name with a zero byte, or ~nobody
        what = "table" if key == "lut" else "picture"
        raise PresetError(
            f"{preset}:{line}: {key}: the {what} {file} cannot be read ({cause(e)}): put it there, or correct the path."
        ) from e


def _check_size(preset: Path, picture: Path, line: int) -> None:
    """Raises PresetError for a style picture that has too few strokes to learn from. What Pillow cannot read here is
    read, or refused, when it is used."""
    from stylecore.images.preview import opened_picture

    try:
        with opened_picture(picture) as image:
            size = image.size
    except (OSError, ValueError):
        return
    if min(size) < MIN_STYLE:
        raise PresetError(
            f"{preset}:{line}: style: the picture {picture.name} has {size[0]} x {size[1]} pixels: "
            f"choose one with {MIN_STYLE} or more on each side."
        )


def _causes(errors: Sequence[Any]) -> list[Any]:
    """The errors that do not just follow from others: a list whose entries are wrong also counts as too short."""
    deep = {error["loc"][:-1] for error in errors if error["loc"] and isinstance(error["loc"][-1], int)}
    return [error for error in errors if not (error["type"] == "too_short" and error["loc"] in deep)]


def _location(error: Any) -> tuple[Any, ...]:
    return tuple(part for part in error["loc"] if part not in ("int", "constrained-int") and "literal" not in str(part))


def _sentence(kind: type[Recipe], path: Path, lines: Lines, error: Any) -> str:
    location = _location(error)
    if not location:  # keys that do not go together: the sentence begins with one of them
        location = (re.findall(r"`(\w+)", error["msg"])[0],)
    if error["type"] == "extra_forbidden":
        return _unknown_key(kind, path, lines, location)
    if error["type"] == "missing" and len(location) == 1:
        return f"{path}:1: {location[0]}: is missing; a preset needs it."
    where = f"{path}:{lines.where(location)}"
    if location[:1] == ("size",):  # each of its two types has an error
        given = shown(error["input"])
        return f"{where}: size: must be a number from {MIN_SIZE} to {MAX_SIZE}, auto or full (not {given})."
    key = ".".join(map(str, location))
    return f"{where}: {key}: {words_of(error)}"


def _unknown_key(kind: type[Recipe], path: Path, lines: Lines, location: tuple[Any, ...]) -> str:
    where, key = f"{path}:{lines.where(location)}: {location[-1]}", str(location[-1])
    for transfer, other in RECIPES.items():
        if other is not kind and key in _keys(other, location):
            instead = f"remove it, or add `transfer: {transfer}`." if kind is PaintingRecipe else "remove it."
            return f"{where}: only {transfer}s have this key: {instead}"
    known = sorted(_keys(kind, location))
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}."
    return f"{where}: there is no such key; {hint}"


def _keys(kind: type[Recipe], location: tuple[Any, ...]) -> Collection[str]:
    """The keys that could be at this place in a Preset's file."""
    if len(location) == 1:
        return kind.model_fields
    if location[0] == "output":
        output: type[Output] = type(kind.model_fields["output"].default)
        return output.model_fields
    return Finish.model_fields if location[0] == "finish" else StylePicture.model_fields
