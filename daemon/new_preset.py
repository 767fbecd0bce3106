"""``stylefolder presets new``: a preset's file, checked before it is in force."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from stylecore.errors import PresetError
from stylecore.files import write_whole
from stylecore.photo import load_photo
from stylecore.preset import json_schema, load_preset

TEMPLATE = """\
# yaml-language-server: $schema=preset.schema.json
description: {name}, after {pictures}
# One style picture, or several with weights: - {{picture: other.jpg, weight: 0.5}}
style:
{style}
# Larger strokes above 1, smaller below.
style_size: 1.0
# How much the scene counts against the style, whose weight is 1.
content_weight: 0.2
# photo: keep the photo's own colours.
colour: style
# All keys with their defaults: stylefolder presets show {name}
"""


def write_preset(name: str, pictures: Sequence[Path], folder: Path) -> Path:
    """Copies the pictures beside the file, so that nothing is lost when theirs move. Raises PresetError, PhotoError."""
    path = folder / f"{name}.yaml"
    if path.parent != folder or path.exists():
        raise PresetError(f"{path} is there already, or no good name: choose another name.")
    copies = []
    for i, picture in enumerate(pictures, 1):
        load_photo(picture)  # a picture that cannot be read is told here and not at the first Job
        copy = folder / f"{name}-{i}{picture.suffix.lower()}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, copy)
        copies.append(copy.name)
    style = "\n".join(f"  - {json.dumps(c)}" for c in copies)
    text = TEMPLATE.format(name=name, pictures=", ".join(p.stem for p in pictures), style=style)
    write_whole(folder / "preset.schema.json", json.dumps(json_schema(), indent=1).encode())
    write_whole(path, text.encode())
    try:
        load_preset(path)
    except PresetError:
        path.unlink()
        raise
    return path
