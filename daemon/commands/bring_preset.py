"""A Preset of this machine's, brought to the daemon of another one: its pictures travel once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from daemon.api.client import Client
from daemon.engine.tables import wants_table
from stylecore.errors import PresetError, cause
from stylecore.preset import Look, Preset, files_of, with_files


def travels(preset: Preset) -> bool:
    """Whether another machine can do all of it. A Look's table is a file, or is fitted to photos, on this one."""
    return not isinstance(preset, Look) or (preset.fit != "series" and not wants_table(preset))


def bring(client: Client, preset: Preset) -> str:
    """Returns ``kept`` of ``POST /v1/jobs``. Raises PresetError, Refused, NoDaemon."""
    names = {file: _name(file) for file in files_of(preset)}
    there = {name: file for file, name in names.items()}
    fields = {"preset": with_files(preset, lambda file: Path(names[file])).model_dump_json()}
    answer = client.post("/v1/recipes", fields)
    for name in answer["missing"]:
        with there[name].open("rb") as file:
            client.ask("PUT", f"/v1/files/{name}", file)
    if answer["missing"]:
        answer = client.post("/v1/recipes", fields)
    return str(answer["recipe"])


def portable(preset: Preset) -> str:
    """As JSON, with each file named by its bytes: the same on every machine. Raises PresetError."""
    return with_files(preset, lambda file: Path(_name(file))).model_dump_json()


def _name(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() + file.suffix.lower()
    except OSError as e:
        raise PresetError(f"{file} of the preset cannot be read ({cause(e)}): check that it is there.") from e
