"""``stylefolder config``: the settings' file, written with comments where there is none, opened in the user's editor."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from daemon.settings import Settings, SettingsError, load_settings
from stylecore.images.atomic_write import write_whole


def commented() -> str:
    """Every setting with its description and its default, which is a comment itself."""
    lines = ["# Stylefolder's settings. A line in force has no # before it; a running daemon reads changes at once."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"# {name}: {json.dumps(field.default)}"]
    return "\n".join(lines) + "\n"


def edit(file: Path) -> None:
    """Open it in $VISUAL, $EDITOR or what the system has. Raises SettingsError where it is wrong afterwards."""
    import click

    if not file.exists():
        write_whole(file, commented().encode())
    try:
        click.edit(filename=str(file))
    except click.ClickException as e:
        raise SettingsError(
            f"The editor could not be used ({e.message}): set EDITOR to the one you have, or open {file} yourself."
        ) from e
    load_settings(file)


def shown(file: Path) -> str:
    """What is in force, as YAML. Raises SettingsError."""
    found = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in load_settings(file).model_dump(mode="json").items()
    }
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
