"""``stylefolder config``: the settings file, written with comments if there is none, opened in the user's editor."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from daemon.errors import SettingsError
from daemon.settings import Settings, load_settings
from stylecore.images.atomic_write import write_whole


def commented() -> str:
    """Every setting with its description and its default, all as comments."""
    lines = ["# Stylefolder's settings. To change one, remove its #. A running daemon applies changes at once."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"# {name}: {json.dumps(field.default)}"]
    return "\n".join(lines) + "\n"


def edit(file: Path) -> None:
    """Open it in $VISUAL, $EDITOR or what the system has. Raises SettingsError if it is wrong afterwards."""
    import click

    if not file.exists():
        write_whole(file, commented().encode())
    try:
        click.edit(filename=str(file))
    except click.ClickException as e:
        raise SettingsError(
            f"The editor could not be started ({e.message}): set EDITOR to your editor, or open {file} yourself."
        ) from e
    load_settings(file)


def shown(file: Path) -> str:
    """The current settings, as YAML. Raises SettingsError."""
    found = load_settings(file).model_dump(mode="json")
    whole = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in found.items()}
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
