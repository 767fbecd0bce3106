"""The Presets in force: found in their folders, loaded, loaded anew when their files change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from stylecore.errors import PresetError
from stylecore.preset import Preset, find_presets, load_preset


class Library:
    """``refresh`` looks at the folders; a broken preset is in ``errors`` under its name, not in ``presets``."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.presets: dict[str, Preset] = {}
        self.errors: dict[str, str] = {}
        self._seen: dict[str, tuple[object, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        found = find_presets(self.folders)
        for name in self._seen.keys() - found.keys():
            self._forget(name)
        for name, path in found.items():
            now = self._stamps(path, self.presets.get(name))
            if self._seen.get(name) == now and name not in self.errors:
                continue
            self._forget(name)
            try:
                self.presets[name] = load_preset(path)
            except PresetError as e:
                self.errors[name] = str(e)
            self._seen[name] = self._stamps(path, self.presets.get(name))

    def why_not(self, name: str) -> str:
        """The sentence for a name that is in ``presets`` not."""
        return self.errors[name] if name in self.errors else _unknown(name, self.presets)

    def _forget(self, name: str) -> None:
        for known in (self.presets, self.errors, self._seen):
            known.pop(name, None)

    @staticmethod
    def _stamps(path: Path, preset: Preset | None) -> tuple[object, ...]:
        stamps: list[object] = [path]
        for file in (path, *(p.picture for p in preset.style)) if preset else (path,):
            try:
                stat = file.stat()
                stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                stamps.append(None)
        return tuple(stamps)


def get_preset(name_or_file: str, folders: Sequence[Path]) -> Preset:
    """By name from the folders, or a YAML file by its path. Raises PresetError."""
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml"):
        return load_preset(path)
    found = find_presets(folders)
    if name_or_file in found:
        return load_preset(found[name_or_file])
    raise PresetError(_unknown(name_or_file, found))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}."
    return f"There is no preset {name!r}: {hint}"
