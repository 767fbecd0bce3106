"""Where the system wants our files, how a free file name is found, and how a name is shown."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import platformdirs

SHIPPED_PRESETS = Path(__file__).parent.parent / "presets"
LONGEST_NAME = 245  # bytes: with an extension, within the 255 of most file systems


def default_root() -> Path:
    return Path.home() / "Pictures" / "Stylefolder"


def config_folder() -> Path:
    return platformdirs.user_config_path("stylefolder")


def user_presets() -> Path:
    return config_folder() / "presets"


def settings_file() -> Path:
    return config_folder() / "settings.yaml"


def address_file() -> Path:
    """Where the daemon's API listens, and the token that it requires."""
    return platformdirs.user_state_path("stylefolder") / "daemon.json"


def connection_file() -> Path:
    """The other machine whose daemon the commands use."""
    return config_folder() / "connection.json"


def cluster_file() -> Path:
    """The certificates of the cluster that this machine's daemon runs."""
    return config_folder() / "cluster.pem"


def api_certificate() -> Path:
    """With its key, for those who reach this machine's daemon from elsewhere."""
    return config_folder() / "api.pem"


def ledgers() -> Path:
    """The Ledgers of Roots whose own file systems cannot hold one."""
    return platformdirs.user_state_path("stylefolder") / "ledgers"


def log_file() -> Path:
    return platformdirs.user_log_path("stylefolder") / "stylefolder.log"


def free_name(path: Path, taken: Callable[[Path], bool]) -> Path:
    """The path itself, or the first of name-2, name-3, ... that is not taken."""
    for n in itertools.count(2):
        if not taken(path):
            return path
        stem = path.stem if n == 2 else path.stem.rpartition("-")[0]
        path = path.with_name(f"{shortened(stem, LONGEST_NAME - 5)}-{n}{path.suffix}")
    raise AssertionError("there is always a next number")


def names_in(folder: Path) -> dict[str, set[str]]:
    """The names in a folder, by what they are without regard to case. Empty if it cannot be read."""
    found: dict[str, set[str]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208
            found.setdefault(name.casefold(), set()).add(name)
    return found


def differs_by_case(path: Path, names: Mapping[str, set[str]]) -> bool:
    """Whether one of the ``names_in`` its folder differs from the path's only by case. On a memory card, a file server
    or another computer, the two would be one file."""
    return bool(names.get(path.name.casefold(), set()) - {path.name})


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Cut the name to at most ``longest`` bytes."""
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return name


def printable(name: object) -> str:
    """A file name made safe for a terminal: control characters and broken bytes become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(name))
