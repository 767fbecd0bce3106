"""``stylefolder gimp``: where GIMP 3 looks for plug-ins, and ours in there."""

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
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole

SOURCE = Path(__file__).parent.parent.parent / "plugin_gimp"
FILES = ("stylefolder.py", "dialog.py", "layers.py", "link.py")
NAME = "stylefolder"  # of the folder, and of the file that GIMP starts
ADDRESS = "daemon.json"  # a copy of the daemon's address and token, which every kind of GIMP can read here
COMMAND = "command.json"  # how the plug-in starts a daemon
PROGRAMS = ("gimp", "gimp-3.0", "gimp-3.2", "gimp-console", "gimp-console-3.0")


class NoGimp(StylefolderError):
    """No GIMP 3 was found."""


@dataclass(frozen=True)
class Installed:
    """A folder of our plug-in; ``fault`` says what is wrong with it."""

    folder: Path
    fault: str | None


def install() -> list[Path]:
    """Into the plug-in folder of every GIMP 3 that is found. Returns our folders. Raises NoGimp, ResultError."""
    folders = [plug_ins / NAME for plug_ins in plug_in_folders()]
    if not folders:
        raise NoGimp("No GIMP 3 was found: install GIMP 3 and start it once, then try again.")
    for folder in folders:
        for name in FILES:
            write_whole(folder / name, (SOURCE / name).read_bytes())
        program = folder / FILES[0]
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        write_whole(folder / COMMAND, json.dumps({"command": _command(), "log": str(log_file())}).encode())
        if paths.address_file().exists():
            write_whole(folder / ADDRESS, paths.address_file().read_bytes(), private=True)
    return folders


def remove() -> list[Path]:
    """Returns the folders that were removed."""
    there = [found.folder for found in installed()]
    for folder in there:
        shutil.rmtree(folder)
    return there


def installed() -> list[Installed]:
    """Where our plug-in lies."""
    folders = (plug_ins / NAME for plug_ins in plug_in_folders())
    return [Installed(folder, _fault(folder)) for folder in folders if folder.is_dir()]


def address_files() -> list[Path]:
    """Where a daemon leaves copies of its address."""
    return [found.folder / ADDRESS for found in installed()]


def log_file() -> Path:
    """Of a daemon that the plug-in started."""
    return paths.address_file().with_name("daemon.log")


def plug_in_folders() -> list[Path]:
    """Of every GIMP 3 of this user: versions that were started once, or whose program is at hand."""
    if own := os.environ.get("GIMP3_DIRECTORY"):
        return [Path(own) / "plug-ins"]
    found = {
        version / "plug-ins"
        for base in _bases()
        if base.is_dir()
        for version in base.iterdir()
        if re.fullmatch(r"3\.\d+", version.name)
    }
    if version := _version_at_hand():
        found.add(_bases()[0] / version / "plug-ins")
    return sorted(found)


def _bases() -> list[Path]:
    """Where GIMP keeps its users' folders: native (and Flatpak), Snap."""
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("APPDATA", home / "AppData" / "Roaming")) / "GIMP"]
    if sys.platform == "darwin":
        return [home / "Library" / "Application Support" / "GIMP"]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        config / "GIMP",
        home / "snap" / "gimp" / "current" / "GIMP",
        home / "snap" / "gimp" / "current" / ".config" / "GIMP",
    ]


def _version_at_hand() -> str | None:
    """``3.0`` where a program on the path says so: its folder may not be there yet."""
    for program in PROGRAMS:
        if path := shutil.which(program):
            try:
                said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20).stdout
            except (OSError, subprocess.TimeoutExpired):
                continue
            if match := re.search(r"version (3\.\d+)", said):
                minor = int(match[1].partition(".")[2])
                return f"3.{minor - minor % 2}"
    return None


def _fault(folder: Path) -> str | None:
    program = folder / FILES[0]
    if not all((folder / name).exists() for name in FILES):
        return "files are missing: `stylefolder gimp install` mends it"
    if any((folder / name).read_bytes() != (SOURCE / name).read_bytes() for name in FILES):
        return "it is of another version: `stylefolder gimp install` mends it"
    if os.name == "posix" and not os.access(program, os.X_OK):
        return "it cannot be run, so GIMP passes it over: `stylefolder gimp install` mends it"
    return None


def _command() -> list[str]:
    """A daemon's, from anywhere: this very Python."""
    return [sys.executable, "-P", "-m", "daemon", "watch", "--plain"]
