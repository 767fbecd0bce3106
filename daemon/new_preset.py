"""``stylefolder presets new``: a preset's file, checked before it is in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stylecore.decode import load_photo
from stylecore.errors import PresetError
from stylecore.files import write_whole
from stylecore.preset import json_schema, load_preset

TEMPLATE = """\
# yaml-language-server: $schema=preset.schema.json
description: {description}
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
    for picture in pictures:
        load_photo(picture)  # a picture that cannot be read is told here and not at the first Job
    copies = [folder / f"{name}-{i}{picture.suffix.lower()}" for i, picture in enumerate(pictures, 1)]
    style = "\n".join(f"  - {json.dumps(copy.name)}" for copy in copies)
    description = json.dumps(f"{name}, after {', '.join(p.stem for p in pictures)}"[:500])
    text = TEMPLATE.format(name=name, description=description, style=style)
    for picture, copy in zip(pictures, copies, strict=True):
        write_whole(copy, picture.read_bytes())
    write_whole(folder / "preset.schema.json", json.dumps(json_schema(), indent=1).encode())
    write_whole(path, text.encode())
    try:
        load_preset(path)
    except PresetError:
        path.unlink()
        raise
    return path
