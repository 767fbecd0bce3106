"""``stylefolder presets new``: a preset's file with every key explained, checked before it is in force, and a small sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from daemon.events import Event
from stylecore.errors import PresetError
from stylecore.images.atomic_write import write_whole
from stylecore.images.decode import load_photo
from stylecore.preset import Preset, json_schema, load_preset

HEAD = """\
# yaml-language-server: $schema=preset.schema.json
# A line in force has no # before it. What each key does, with pictures: docs/presets.md
description: {description}

# {style_says} Several: - {{picture: other.jpg, weight: 0.5}}
style:
{style}
"""
OWN = ("name", "digest", "description", "style")  # of the model: no key, or in the head


def write_preset(name: str, pictures: Sequence[Path], folder: Path) -> Path:
    """Copies the pictures beside the file, so that nothing is lost when theirs move. Raises PresetError, PhotoError."""
    path = folder / f"{name}.yaml"
    if path.parent != folder:
        raise PresetError(f"{name!r} cannot be a preset's name, which is a folder's, too: choose another.")
    if path.exists():
        raise PresetError(f"There is a preset {name!r} already, in {path}: choose another name, or edit that.")
    for picture in pictures:
        load_photo(picture)  # a picture that cannot be read is told here and not at the first Job
    copies = [folder / f"{name}-{i}{picture.suffix.lower()}" for i, picture in enumerate(pictures, 1)]
    style = "\n".join(f"  - {json.dumps(copy.name)}" for copy in copies)
    description = json.dumps(f"{name}, after {', '.join(p.stem for p in pictures)}"[:500])
    text = (
        HEAD.format(description=description, style=style, style_says=Preset.model_fields["style"].description) + _keys()
    )
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


def paint_sample(preset: Path, photo: Path, device: str, show: Callable[[Event], None]) -> Path:
    """A small painting of ``photo`` beside the preset's file. Raises SheetError, ResultError."""
    from daemon.commands.sheet import make_sheet

    out = preset.with_name(f"{preset.stem}-sample.jpg")
    make_sheet(photo, [load_preset(preset)], out, device, show)
    return out


def _keys() -> str:
    """All others with their defaults, as comments."""
    defaults = Preset(name="x", digest="", style=("x",)).model_dump(mode="json")
    lines: list[str] = []
    for name, field in Preset.model_fields.items():
        if name not in OWN:
            value = yaml.safe_dump(defaults[name], default_flow_style=True, width=1000).removesuffix("...\n").strip()
            says = (
                field.description
                or "How Results are saved: the format (same: the photo's own), and the quality of those that lose some."
            )
            lines += ["", f"# {says}", f"# {name}: {value}"]
    return "\n".join(lines) + "\n"
