"""Where things lie: the Root, its Inboxes, the folders of presets, a Job's Result and the reason for its failure."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from daemon.ledger import Job

STYLED, FAILED, PRESETS = "styled", "failed", "presets"
SHIPPED = Path(__file__).parent.parent / "presets"


def default_root() -> Path:
    return Path.home() / "Pictures" / "Stylefolder"


def config_folder() -> Path:
    return platformdirs.user_config_path("stylefolder")


def preset_folders(root: Path | None) -> list[Path]:
    """In the order in which they win by name: the Root's, the user's, the shipped."""
    return [*([root / PRESETS] if root else []), config_folder() / PRESETS, SHIPPED]


def ledger_file(root: Path) -> Path:
    return root / ".stylefolder" / "ledger.sqlite3"


def lock_file(root: Path) -> Path:
    return root / ".stylefolder" / "lock"


def styled_path(root: Path, job: Job, extension: str) -> Path:
    """The Result's name: the photo's own, mirrored under ``styled/``; another extension only for another format."""
    within = job.photo.relative_to(root / job.preset)
    same = within.suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif").replace("heif", "heic") == extension
    return root / job.preset / STYLED / (within if same else within.with_name(_cut(within.stem) + extension))


def free(path: Path, taken: Callable[[Path], bool]) -> Path:
    """The path, or the first of name-2, name-3, ... that is not taken."""
    for n in itertools.count(2):
        if not taken(path):
            return path
        stem = path.stem if n == 2 else path.stem.rpartition("-")[0]
        path = path.with_name(f"{_cut(stem, 240)}-{n}{path.suffix}")
    raise AssertionError("there is always a next number")


def reason_path(root: Path, job: Job) -> Path:
    within = job.photo.relative_to(root / job.preset)
    return root / job.preset / FAILED / within.with_name(_cut(within.name) + ".txt")


def _cut(name: str, longest: int = 245) -> str:
    """So short that with an extension it stays within the 255 bytes of most file systems."""
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return name


def printable(name: object) -> str:
    """A file's name made harmless for a terminal: control characters and broken bytes are shown as escapes."""
    text = str(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
