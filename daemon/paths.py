"""Where things lie: the Root, its Inboxes, settings and presets, a Job's Result and the reason for its failure."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from daemon.ledger.job import Job

STYLED, FAILED, ORIGINALS, PRESETS = "styled", "failed", "originals", "presets"
SHIPPED = Path(__file__).parent.parent / "presets"


def default_root() -> Path:
    return Path.home() / "Pictures" / "Stylefolder"


def config_folder() -> Path:
    return platformdirs.user_config_path("stylefolder")


def preset_folders(root: Path) -> list[Path]:
    """In the order in which they win by name: the Root's, the user's, the shipped."""
    return [root / PRESETS, config_folder() / PRESETS, SHIPPED]


def settings_file() -> Path:
    return config_folder() / "settings.yaml"


def address_file() -> Path:
    """Where the daemon's API is, and the token that it asks for."""
    return platformdirs.user_state_path("stylefolder") / "daemon.json"


def log_file() -> Path:
    return platformdirs.user_log_path("stylefolder") / "stylefolder.log"


def own_folder(root: Path) -> Path:
    """What the daemon keeps in a Root for itself."""
    return root / ".stylefolder"


def ledger_file(root: Path) -> Path:
    return own_folder(root) / "ledger.sqlite3"


def lock_file(root: Path) -> Path:
    return own_folder(root) / "lock"


def spool_folder(root: Path) -> Path:
    """Pictures sent to the API, and their Results: a folder for each."""
    return own_folder(root) / "spool"


def style_store(root: Path) -> Path:
    """Style pictures by their bytes, as they were when a preset was read."""
    return own_folder(root) / "styles"


def results_folder(root: Path, preset: str, results: str) -> Path:
    """``results`` as in the settings: a folder in the Inbox, or one for all with a folder for each preset."""
    folder = Path(results).expanduser()
    return folder / preset if folder.is_absolute() else root / preset / results


def is_ours(root: Path, path: Path, results: str) -> bool:
    """Whether a path within the Root is of our own making, and no photo."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return parts[:1] == (".stylefolder",) or (len(parts) > 1 and parts[1] in (results, STYLED, FAILED, ORIGINALS))


def result_path(root: Path, job: Job, extension: str, results: str) -> Path:
    """The Result's name: the photo's own, mirrored; another extension only for another format. Beside an upload."""
    if job.source != "folder":
        return job.photo.with_name(f"result{extension}")
    within = job.photo.relative_to(root / job.preset)
    same = canonical(within.suffix) == extension
    return results_folder(root, job.preset, results) / (
        within if same else within.with_name(_cut(within.stem) + extension)
    )


def canonical(suffix: str) -> str:
    """One extension for each format."""
    return {".jpeg": ".jpg", ".jpe": ".jpg", ".tiff": ".tif", ".heif": ".heic"}.get(suffix.lower(), suffix.lower())


def free(path: Path, taken: Callable[[Path], bool]) -> Path:
    """The path, or the first of name-2, name-3, ... that is not taken."""
    for n in itertools.count(2):
        if not taken(path):
            return path
        stem = path.stem if n == 2 else path.stem.rpartition("-")[0]
        path = path.with_name(f"{_cut(stem, 240)}-{n}{path.suffix}")
    raise AssertionError("there is always a next number")


def reason_path(root: Path, job: Job) -> Path | None:
    """Where the reason for a failure is kept, for a photo from a folder."""
    if job.source != "folder":
        return None
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
