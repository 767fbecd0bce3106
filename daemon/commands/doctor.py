"""``stylefolder doctor``: what is right on this machine, what is not, and how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon import paths
from daemon.api.client import running_daemon
from daemon.commands import install_gimp, install_service
from daemon.folders.presets import Library
from daemon.settings import SettingsError, load_settings
from stylecore.errors import StylefolderError

INOTIFY = Path("/proc/sys/fs/inotify/max_user_watches")
LOW_DISK = 1 << 30


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool
    text: str


def examine(root: Path, device: str) -> Iterator[Finding]:
    """Looks only, and changes nothing."""
    yield Finding("python", True, f"{sys.version.split()[0]} in {sys.prefix}")
    yield _device(device)
    yield _weights()
    library = Library(root)
    yield Finding("presets", bool(library.presets), ", ".join(library.presets) or "none found: reinstall stylefolder")
    for error in library.errors.values():
        yield Finding("preset", False, error)
    yield _settings(root)
    yield _root(root)
    yield _disk(root)
    yield from _daemon()
    yield from _gimp()
    yield Finding("service", *install_service.state())
    yield Finding("log", True, str(paths.log_file()))
    if INOTIFY.exists():
        most = int(INOTIFY.read_text())
        yield Finding(
            "inotify",
            most >= 8192,
            f"{most} watches allowed" + ("" if most >= 8192 else ": raise fs.inotify.max_user_watches"),
        )


def _device(name: str) -> Finding:
    from stylecore.device import choose_device

    try:
        device = choose_device(name)
    except StylefolderError as e:
        return Finding("device", False, str(e))
    return Finding("device", True, f"{device.words}; `size: auto` is {device.auto_size} pixels")


def _weights() -> Finding:
    from stylecore.weights import load_weights

    try:
        load_weights("oxford")
    except StylefolderError as e:
        return Finding("weights", False, str(e))
    return Finding("weights", True, "VGG19, Oxford, packaged; sha256 as expected")


def _root(root: Path) -> Finding:
    there = root
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("root", False, f"{there} cannot be written to: mend its rights or name another folder")
    return Finding(
        "root", True, str(root) if there == root else f"{root} will be made at the first `stylefolder watch`"
    )


def _settings(root: Path) -> Finding:
    file = paths.settings_file()
    try:
        load_settings(file, root)
    except SettingsError as e:
        return Finding("settings", False, " ".join(str(e).splitlines()))
    return Finding(
        "settings", True, str(file) if file.exists() else "the defaults; `stylefolder config edit` changes them"
    )


def _daemon() -> Iterator[Finding]:
    client = running_daemon(paths.address_file())
    if client is None:
        yield Finding("daemon", True, "none runs; `stylefolder watch` starts one")
        return
    status = client.ask("GET", "/v1/status")
    yield Finding("daemon", True, f"process {status['pid']} watches {status['root']}, {status['state']}")
    for problem in status["problems"]:
        yield Finding("daemon", False, problem)


def _gimp() -> Iterator[Finding]:
    there = install_gimp.installed()
    if not install_gimp.plug_in_folders():
        yield Finding("gimp", True, "no GIMP 3 found; only the plug-in wants one")
    for found in there:
        yield Finding(
            "gimp", found.fault is None, f"plug-in in {found.folder}" + (f": {found.fault}" if found.fault else "")
        )
    for missing in {folder / install_gimp.NAME for folder in install_gimp.plug_in_folders()} - {
        found.folder for found in there
    }:
        yield Finding("gimp", True, f"no plug-in in {missing.parent}: `stylefolder gimp install` puts it there")


def _disk(root: Path) -> Finding:
    there = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(there).free
    return Finding("disk", free > LOW_DISK, f"{free >> 20} MB free" + ("" if free > LOW_DISK else ": make room"))
