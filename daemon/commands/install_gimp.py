"""``stylefolder gimp``: where GIMP 3 looks for plug-ins, and our plug-in there."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon import paths
from daemon.errors import NoGimp
from stylecore.images.atomic_write import write_whole

SOURCE = Path(__file__).parent.parent.parent / "plugin_gimp"
FILES = ("stylefolder.py", "dialog.py", "layers.py", "link.py")
NAME = "stylefolder"  # of the folder, and of the file that GIMP starts
ADDRESS = "daemon.json"  # a copy of the daemon's address and token, which every kind of GIMP can read here
COMMAND = "command.json"  # how the plug-in starts a daemon
PROGRAMS = ("gimp", "gimp-3.0", "gimp-3.2", "gimp-console", "gimp-console-3.0")
VERSION_WITHIN = 20.0  # seconds for `gimp --version`
FIX = "run `stylefolder gimp install` to fix it"


@dataclass(frozen=True)
class Installed:
    """A folder of our plug-in. ``fault``: what is wrong with it."""

    folder: Path
    fault: str | None


def install() -> list[Path]:
    """Install the plug-in for every GIMP 3 that is found. Returns our folders. Raises NoGimp, ResultError."""
    folders = [plug_ins / NAME for plug_ins in plug_in_folders()]
    if not folders:
        raise NoGimp("GIMP 3 was not found: install it and start it once, then try again.")
    for folder in folders:
        for name in FILES:
            write_whole(folder / name, (SOURCE / name).read_bytes())
        program = folder / FILES[0]
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        write_whole(folder / COMMAND, json.dumps({"command": _command(), "log": str(_log_file())}).encode())
        for file in (paths.address_file(), paths.connection_file()):
            if file.exists():
                write_whole(folder / file.name, file.read_bytes(), private=True)
    return folders


def remove() -> list[Path]:
    """Returns the folders that were removed."""
    folders = [found.folder for found in installed()]
    for folder in folders:
        shutil.rmtree(folder)
    return folders


def installed() -> list[Installed]:
    """Where our plug-in is."""
    return [Installed(folder, _fault(folder)) for folder in _own_folders()]


def address_files() -> list[Path]:
    """Where a daemon leaves copies of its address. Does not start GIMP, because a daemon must be ready soon."""
    return [folder / ADDRESS for folder in _own_folders()]


def connection_files() -> list[Path]:
    """The same for the other machine's."""
    return [folder / paths.connection_file().name for folder in _own_folders()]


def plug_in_folders() -> list[Path]:
    """For every GIMP 3 that this user has: versions that were started once, or whose program is on the path."""
    found = {*_version_folders()}
    if not os.environ.get("GIMP3_DIRECTORY") and (version := _version_on_path()):
        found.add(_bases()[0] / version / "plug-ins")
    return sorted(found)


def _own_folders() -> list[Path]:
    return [plug_ins / NAME for plug_ins in sorted(_version_folders()) if (plug_ins / NAME).is_dir()]


def _version_folders() -> list[Path]:
    """The plug-in folders of versions that have a profile."""
    if own := os.environ.get("GIMP3_DIRECTORY"):
        return [Path(own) / "plug-ins"]
    profiles = [version for base in _bases() if base.is_dir() for version in base.iterdir()]
    return [version / "plug-ins" for version in profiles if re.fullmatch(r"3\.\d+", version.name)]


def _bases() -> list[Path]:
    """Where GIMP keeps its profiles: native (and Flatpak), Snap."""
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("APPDATA", home / "AppData" / "Roaming")) / "GIMP"]
    if sys.platform == "darwin":
        return [home / "Library" / "Application Support" / "GIMP"]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    snap = home / "snap" / "gimp" / "current"
    return [config / "GIMP", snap / "GIMP", snap / ".config" / "GIMP"]


def _version_on_path() -> str | None:
    """The version that a program on the path reports, such as ``3.0``: its profile may not exist yet."""
    for program in PROGRAMS:
        if path := shutil.which(program):
            try:
                done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=VERSION_WITHIN)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if match := re.search(r"version (3\.\d+)", done.stdout):
                minor = int(match[1].partition(".")[2])
                return f"3.{minor - minor % 2}"
    return None


def _fault(folder: Path) -> str | None:
    if not all((folder / name).exists() for name in FILES):
        return f"files are missing; {FIX}"
    if any((folder / name).read_bytes() != (SOURCE / name).read_bytes() for name in FILES):
        return f"it is from another version; {FIX}"
    if os.name == "posix" and not os.access(folder / FILES[0], os.X_OK):
        return f"it is not executable, so GIMP ignores it; {FIX}"
    return None


def _command() -> list[str]:
    """The command that starts a daemon from anywhere, with this same Python."""
    return [sys.executable, "-P", "-m", "daemon", "watch", "--plain"]


def _log_file() -> Path:
    """The log of a daemon that the plug-in started."""
    return paths.address_file().with_name("daemon.log")
