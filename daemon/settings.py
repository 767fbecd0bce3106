"""The settings: one YAML file in the configuration folder. Each has its default here and nowhere else."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from daemon.ledger.job import Original
from stylecore.errors import StylefolderError
from stylecore.yamlfile import YamlFileError, read_yaml, words_of

FILE = "settings.yaml"


class SettingsError(StylefolderError):
    """The settings are wrong; the message begins with ``file:line: key:``."""

    exit_status = 2


class Settings(BaseModel):
    """What a user may choose for all Roots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    originals: Original = Field(
        "keep",
        description="A photo that is done stays, moves to `originals/` in its Inbox, or goes to the system's trash.",
    )
    results: str = Field(
        "styled",
        min_length=1,
        max_length=1000,
        description="Where Results go: the name of a folder in each Inbox, or the path of one for all, with a folder for each preset.",
    )
    upload_limit: int = Field(
        400, ge=1, le=100_000, description="Megabytes that a picture sent to the local API may have."
    )
    patience: float = Field(
        600, ge=1, le=86_400, description="Seconds without a sign of life after which the worker is started anew."
    )

    @field_validator("results")
    @classmethod
    def _one_folder(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a folder's name holds no zero byte")
        try:
            folder = Path(value).expanduser()
        except RuntimeError as e:
            raise ValueError(f"there is no user of that name ({value.partition('/')[0]}); ~/ is your own folder") from e
        if not folder.is_absolute() and (
            Path(value).name != value or value in ("failed", "originals", "presets", "..") or value.startswith(".")
        ):
            raise ValueError("give a plain folder name, or a whole path")
        return value


def load_settings(path: Path, root: Path | None = None) -> Settings:
    """Defaults where there is no file. ``root``: the Root, within which no folder for all Results may lie, for there
    they would be photos. Raises SettingsError."""
    if not path.exists():
        return Settings()
    try:
        data, lines = read_yaml(path)
    except YamlFileError as e:
        raise SettingsError(str(e)) from e
    try:
        settings = Settings.model_validate(data)
    except ValidationError as e:
        raise SettingsError("\n".join(_sentence(path, lines.where(error["loc"]), error) for error in e.errors())) from e
    folder = Path(settings.results).expanduser()
    if root is not None and folder.is_absolute() and folder.resolve().is_relative_to(root.resolve()):
        raise SettingsError(
            f"{path}:{lines.where(('results',))}: results: {folder} lies in the watched folder {root}, where Results would be taken"
            " for photos: name a folder outside, or a plain name."
        )
    return settings


class LiveSettings:
    """The settings in force: read anew when the file changes; a broken one is told in ``problem``, and the last good
    ones stay. Raises SettingsError where they are broken at the start."""

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path = path
        self.root = root
        self.problem: str | None = None
        self._seen = self._stamp()
        self.current = load_settings(path, root)

    def refresh(self) -> None:
        now = self._stamp()
        if now == self._seen:
            return
        self._seen = now
        try:
            self.current, self.problem = load_settings(self.path, self.root), None
        except SettingsError as e:
            self.problem = f"{' '.join(str(e).splitlines())} The settings from before stay in force."

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _sentence(path: Path, line: int, error: Any) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Settings.model_fields, 1)
        return f"{path}:{line}: {key}: there is no such setting; " + (
            f"did you mean {near[0]!r}?" if near else f"there are {', '.join(Settings.model_fields)}."
        )
    return f"{path}:{line}: {key}: {words_of(error)}"
