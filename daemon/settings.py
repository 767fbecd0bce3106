"""The settings: one YAML file in the configuration folder. Each default is here and nowhere else."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from daemon.errors import SettingsError
from daemon.folders.layout import FAILED, ORIGINALS, PRESETS, STYLED
from daemon.ledger.job import Original
from stylecore.errors import YamlFileError
from stylecore.yamlfile import read_yaml, words_of

ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(\d{1,5})")


def is_address(text: str) -> bool:
    """Whether this is HOST:PORT."""
    found = ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[2]) < 65536


class Settings(BaseModel):
    """What a user can choose for all Roots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    originals: Original = Field(
        "keep",
        description="What happens to a painted photo: keep leaves it, move puts it into `originals/` in its Inbox,"
        " trash puts it into the system's trash.",
    )
    results: str = Field(
        STYLED,
        min_length=1,
        max_length=1000,
        description="Where Results go: the name of a folder in each Inbox, or the path of one folder for all, with a "
        "folder"
        " for each preset in it.",
    )
    upload_limit: int = Field(
        400, ge=1, le=100_000, description="The largest picture, in megabytes, that the local API accepts."
    )
    upload_quota: int = Field(
        20_000,
        ge=1,
        le=100_000_000,
        description="How much the local API keeps in all, in megabytes: pictures, Results, and presets of clients.",
    )
    upload_hours: float = Field(
        24, gt=0, le=24 * 365, description="How long it keeps a picture and its Result, if nobody removes them before."
    )
    polling: Literal["auto"] | float = Field(
        "auto",
        description="How often the Inboxes are scanned, in seconds, besides what file notifications report. auto:"
        " every 3 seconds where a file system reports nothing (file servers, FUSE), and every 30 elsewhere.",
    )
    patience: float = Field(
        600, ge=1, le=86_400, description="Seconds without a sign of life after which the worker is restarted."
    )

    cluster: str | None = Field(
        None, description="The address, HOST:PORT, where other machines can join. Read when the daemon starts."
    )
    local: bool = Field(
        True,
        description="Whether this machine's own devices work, too, if there is a cluster. Read when the daemon starts.",
    )

    listen: str | None = Field(
        None,
        description="The address, HOST:PORT, where other machines reach the API, by TLS. Read when the daemon starts.",
    )

    @field_validator("cluster", "listen")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("give HOST:PORT, such as 192.168.1.10:8787")
        return value

    @field_validator("polling")
    @classmethod
    def _check_polling(cls, value: Literal["auto"] | float) -> Literal["auto"] | float:
        if value != "auto" and not 0.5 <= value <= 86_400:
            raise ValueError("give auto, or from 0.5 to 86400 seconds")
        return value

    @field_validator("results")
    @classmethod
    def _check_results(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a folder's name cannot contain a zero byte")
        try:
            folder = Path(value).expanduser()
        except RuntimeError as e:
            user = value.partition("/")[0]
            raise ValueError(f"there is no user named {user}; ~/ is your home folder") from e
        reserved = (FAILED, ORIGINALS, PRESETS, "..")
        plain = Path(value).name == value and value not in reserved and not value.startswith(".")
        if not (folder.is_absolute() or plain):
            raise ValueError("give a plain folder name, or an absolute path")
        return value


def load_settings(path: Path, root: Path | None = None) -> Settings:
    """The defaults if there is no file. ``root``: the watched folder, which must not contain the folder for all
    Results, because they would be mistaken for photos. Raises SettingsError."""
    if not os.path.lexists(path):
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
            f"{path}:{lines.where(('results',))}: results: {folder} is in the watched folder {root}, where Results "
            "would be"
            " taken for photos: choose a folder outside, or a plain name."
        )
    return settings


class LiveSettings:
    """The settings in effect, read again when the file changes. If the file is broken, ``problem`` says so, and the
    last good settings stay in effect. Raises SettingsError if they are broken at the start."""

    def __init__(self, path: Path, root: Path) -> None:
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
            self.problem = f"{' '.join(str(e).splitlines())} The last good settings stay in effect."

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
        hint = f"did you mean {near[0]!r}?" if near else f"the settings are {', '.join(Settings.model_fields)}."
        return f"{path}:{line}: {key}: there is no such setting; {hint}"
    return f"{path}:{line}: {key}: {words_of(error)}"
