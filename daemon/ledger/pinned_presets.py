"""The Presets that Jobs were queued with. Each is stored once, as it was, so that a later edit does not change them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from daemon.ledger.database import Database
from daemon.ledger.rows import StoredPaths
from stylecore.preset import Preset, preset_of_json, with_files

CACHED = 100


class PinnedPresets:
    """A Preset's files inside the Root are stored by relative paths, as photos are."""

    def __init__(self, database: Database, paths: StoredPaths) -> None:
        self._sql = database.sql
        self._paths = paths
        self._read: dict[str, Preset] = {}
        self._latest: tuple[Preset, str, str] | None = None  # with its digest and JSON

    def keep(self, preset: Preset) -> str:
        """Returns the digest of the whole Preset. (A Preset's own digest leaves out its name and paths.)"""
        if self._latest is None or self._latest[0] is not preset:  # a thousand photos in a row have the same Preset
            text = with_files(preset, lambda path: Path(self._paths.key(path).decode())).model_dump_json()
            self._latest = preset, hashlib.sha256(text.encode()).hexdigest(), text
        _, digest, text = self._latest
        self._sql("INSERT OR IGNORE INTO pinned_presets VALUES (?, ?)", (digest, text))
        return digest

    def find(self, digest: str) -> Preset | None:
        """None if there is none."""
        known = self._sql("SELECT 1 FROM pinned_presets WHERE digest = ?", (digest,))
        return self.get(digest) if known else None

    def get(self, digest: str) -> Preset:
        if digest not in self._read:
            if len(self._read) > CACHED:
                self._read.clear()
            rows = self._sql("SELECT preset FROM pinned_presets WHERE digest = ?", (digest,))
            preset = preset_of_json(rows[0]["preset"])
            self._read[digest] = with_files(preset, self._paths.root.joinpath)
        return self._read[digest]
