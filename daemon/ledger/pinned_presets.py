"""The presets to which the Ledger's Jobs are pinned: each kept once, as it was, with its paths within the Root relative to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from daemon.ledger.database import Database
from stylecore.preset import Preset

AT_HAND = 100

TABLE = """
CREATE TABLE recipes (
    digest TEXT PRIMARY KEY,             -- sha256 of the JSON
    preset TEXT NOT NULL                 -- JSON of the Preset as it was
)"""

Move = Callable[[Path], Path]


class Recipes:
    """``kept`` and ``whole`` turn a style picture's path into the one that is kept, and back."""

    def __init__(self, db: Database, kept: Move, whole: Move) -> None:
        self._sql = db.sql
        self._kept, self._whole = kept, whole
        self._read: dict[str, Preset] = {}
        self._latest: tuple[Preset, str] | None = None  # with its digest; it has its row

    def keep(self, recipe: Preset) -> str:
        """Its digest: of all that is in it, where a preset's own leaves out the name and the paths."""
        if self._latest is None or self._latest[0] is not recipe:  # a thousand photos in a row have the same
            text = _moved(recipe, self._kept).model_dump_json()
            digest = hashlib.sha256(text.encode()).hexdigest()
            self._sql("INSERT OR IGNORE INTO recipes VALUES (?, ?)", (digest, text))
            self._latest = recipe, digest
        return self._latest[1]

    def get(self, digest: str) -> Preset:
        if digest not in self._read:
            if len(self._read) > AT_HAND:
                self._read.clear()
            rows = self._sql("SELECT preset FROM recipes WHERE digest = ?", (digest,))
            self._read[digest] = _moved(Preset.model_validate_json(rows[0]["preset"]), self._whole)
        return self._read[digest]

    def rolled_back(self) -> None:
        """The row that was written last may be gone."""
        self._latest = None


def _moved(recipe: Preset, move: Move) -> Preset:
    style = tuple(style.model_copy(update={"picture": move(style.picture)}) for style in recipe.style)
    return recipe.model_copy(update={"style": style})
