"""``stylefolder presets new``: a Preset's file with every key explained, checked before it takes effect, and a
sample."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from daemon.commands.sheet import make_sheet
from daemon.events import Listener
from daemon.paths import free_name
from stylecore.errors import PresetError
from stylecore.images.atomic_write import write_whole
from stylecore.images.decode import load_photo
from stylecore.preset import json_schema
from stylecore.preset_file import load_preset
from stylecore.recipe import PaintingRecipe

HEAD = """\
# yaml-language-server: $schema=preset.schema.json
# To change a key, remove its #. What each key does, with pictures: docs/presets.md
description: {description}

# {style_says} Several: - {{picture: other.jpg, weight: 0.5}}
style:
{style}
"""
IN_HEAD = ("description", "style")


def write_preset(name: str, pictures: Sequence[Path], folder: Path) -> Path:
    """Copies the pictures to the file's folder, so that nothing is lost if they move. Raises PresetError,
    PhotoError."""
    path = folder / f"{name}.yaml"
    if path.parent != folder:
        raise PresetError(f"{name!r} cannot be a preset's name, because it contains a folder: choose another.")
    if path.exists() or (path.with_suffix(".yml")).exists():
        raise PresetError(f"There is already a preset {name!r}, in {path}: choose another name, or edit that file.")
    for picture in pictures:
        load_photo(picture)  # a picture that cannot be read fails now, not at the first Job
    names = [f"{name}-{i}{picture.suffix.lower()}" for i, picture in enumerate(pictures, 1)]
    copies = [free_name(folder / copy, os.path.lexists) for copy in names]
    style = "\n".join(f"  - {_quoted(copy.name)}" for copy in copies)
    description = _quoted(f"{name}, after {', '.join(p.stem for p in pictures)}"[:500])
    style_says = PaintingRecipe.model_fields["style"].description
    text = HEAD.format(description=description, style=style, style_says=style_says) + _commented_keys()
    for picture, copy in zip(pictures, copies, strict=True):
        write_whole(copy, picture.read_bytes())
    write_whole(folder / "preset.schema.json", json.dumps(json_schema(), indent=1).encode())
    write_whole(path, text.encode())
    try:
        load_preset(path)
    except PresetError:
        for written in (path, *copies):
            written.unlink()
        raise
    return path


def paint_sample(preset: Path, photo: Path, device: str, show: Listener) -> Path:
    """A small painting of ``photo`` beside the Preset's file. Raises UsageError, ResultError."""
    out = preset.with_name(f"{preset.stem}-sample.jpg")
    make_sheet(photo, [load_preset(preset)], out, device, show)
    return out


def _quoted(text: str) -> str:
    """The text as YAML reads it: JSON, but with characters beyond the basic plane unescaped."""
    return json.dumps(text, ensure_ascii=False)


def _commented_keys() -> str:
    """All other keys with their defaults, as comments."""
    defaults = PaintingRecipe.model_validate({"style": "x"}).model_dump(mode="json")
    lines: list[str] = []
    for name, field in PaintingRecipe.model_fields.items():
        if name not in IN_HEAD:
            value = yaml.safe_dump(defaults[name], default_flow_style=True, width=1000).removesuffix("...\n").strip()
            lines += ["", f"# {field.description}", f"# {name}: {value}"]
    return "\n".join(lines) + "\n"
