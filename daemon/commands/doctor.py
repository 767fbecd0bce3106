"""``stylefolder doctor``: what is fine on this machine, what is not, and how to fix it."""

from __future__ import annotations

import collections
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon import paths
from daemon.api.client import Client, connected, running_daemon
from daemon.cluster.invitation import TRUST
from daemon.commands import install_gimp, install_service
from daemon.errors import NoDaemon, NoService, Refused, SettingsError
from daemon.folders.inboxes import Inboxes
from daemon.folders.layout import Layout
from daemon.folders.polling import mounts, polled, polling_remarks
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.settings import load_settings
from stylecore.errors import StylefolderError, cause

INOTIFY = Path("/proc/sys/fs/inotify/max_user_watches")
ENOUGH_WATCHES = 8192
LOW_DISK = 1 << 30  # bytes


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool
    text: str


def examine(layout: Layout, device: str) -> Iterator[Finding]:
    """Only looks, and changes nothing."""
    yield Finding("python", True, f"{sys.version.split()[0]} in {sys.prefix}")
    for name in dict.fromkeys(device.split(",")):
        yield _device(name)
    yield _weights()
    presets = Presets(layout)
    names = ", ".join(presets.in_force)
    yield Finding("presets", bool(names), names or "none found: reinstall stylefolder")
    for error in presets.errors.values():
        yield Finding("preset", False, error)
    yield _settings(layout.root)
    yield _root(layout.root)
    yield _disk(layout.root)
    yield from _polling(layout)
    yield from _daemon()
    yield from _gimp()
    yield from _services()
    yield Finding("log", True, str(paths.log_file()))
    if INOTIFY.exists():
        yield _watches(int(INOTIFY.read_text()))


def _device(name: str) -> Finding:
    from stylecore.device import choose_device

    try:
        device = choose_device(name)
    except StylefolderError as e:
        return Finding("device", False, str(e))
    return Finding("device", True, f"{device.words}; `size: auto` means {device.auto_size} pixels")


def _weights() -> Finding:
    from stylecore.weights import load_weights

    try:
        load_weights("oxford")
    except StylefolderError as e:
        return Finding("weights", False, str(e))
    return Finding("weights", True, "VGG19, Oxford, packaged; sha256 as expected")


def _settings(root: Path) -> Finding:
    file = paths.settings_file()
    try:
        load_settings(file, root)
    except SettingsError as e:
        return Finding("settings", False, " ".join(str(e).splitlines()))
    default = "the defaults; to change them, run `stylefolder config edit`"
    return Finding("settings", True, str(file) if file.exists() else default)


def _root(root: Path) -> Finding:
    there = next(path for path in (root, *root.parents) if os.path.exists(path))
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("root", False, f"{there} is not writable: check its permissions, or name another folder")
    return Finding("root", True, str(root) if there == root else f"{root}; `stylefolder watch` creates it")


def _disk(root: Path) -> Finding:
    there = next(path for path in (root, *root.parents) if os.path.exists(path))
    try:
        free = shutil.disk_usage(there).free
    except OSError as e:
        return Finding("disk", True, f"the free space is not known ({cause(e)})")
    return Finding("disk", free > LOW_DISK, f"{free >> 20} MB free" + ("" if free > LOW_DISK else ": free some space"))


def _polling(layout: Layout) -> Iterator[Finding]:
    """Which Inboxes are, or would be, scanned often."""
    try:
        setting = load_settings(paths.settings_file(), layout.root).polling
    except SettingsError:  # has a Finding of its own
        return
    inboxes = list(Inboxes(layout.root, Problems(lambda _: None)).folders())
    every = None if setting == "auto" else setting
    found = polling_remarks(polled(inboxes or [layout.root], mounts(), every, missing=False))
    for remark in found or ["every Inbox is on a file system that reports changes"]:
        yield Finding("polling", True, remark)


def _elsewhere() -> Iterator[Finding]:
    """The other machine whose daemon this one uses."""
    if (client := connected(paths.connection_file())) is not None:
        host = client.address.host
        try:
            client.ask("GET", "/v1/status")
            yield Finding("connection", True, f"the commands use the daemon at {host}")
        except (NoDaemon, Refused) as e:
            yield Finding("connection", False, str(e))


def _clients(client: Client) -> Iterator[Finding]:
    """Who reaches this machine's daemon."""
    found = client.ask("GET", "/v1/clients")
    if found["url"]:
        names = ", ".join(paths.printable(c["name"]) for c in found["clients"]) or "none"
        yield Finding("listen", True, f"{found['listens']}; clients find the daemon at {found['url']}")
        yield Finding("clients", True, f"have paired: {names}")


def _daemon() -> Iterator[Finding]:
    yield from _elsewhere()
    client = running_daemon(paths.address_file())
    if client is None:
        needed = "none is needed" if connected(paths.connection_file()) else "to start one, run `stylefolder watch`"
        yield Finding("daemon", True, f"none is running on this machine; {needed}")
        return
    status = client.ask("GET", "/v1/status")
    yield Finding("daemon", True, f"process {status['pid']} watches {status['root']}, {status['state']}")
    yield Finding("api", True, f"listens at {client.address.host}, for your programs on this machine only")
    for problem in status["problems"]:
        yield Finding("daemon", False, problem)
    for remark in status.get("remarks", ()):
        yield Finding("daemon", True, remark)
    yield from _clients(client)
    if address := status.get("cluster"):
        joined = collections.Counter(slot["host"] for slot in status["slots"] if slot["host"] is not None)
        machines = ", ".join(f"{host} ({count} at a time)" for host, count in joined.items()) or "none"
        yield Finding("cluster", True, f"listens at {address} for machines that join; have joined: {machines}")
        yield Finding("cluster", True, f"{paths.cluster_file()}: {TRUST[0].lower()}{TRUST[1:]}")


def _services() -> Iterator[Finding]:
    try:
        daemon, worker = map(install_service.state, (install_service.DAEMON, install_service.WORKER))
    except NoService as e:
        yield Finding("service", True, str(e))
        return
    none = (True, "does not start when you log in; to change that, run `stylefolder service install`")
    for found in (daemon or none, worker):
        if found is not None:
            yield Finding("service", *found)


def _gimp() -> Iterator[Finding]:
    folders, installed = install_gimp.plug_in_folders(), install_gimp.installed()
    if not folders:
        yield Finding("gimp", True, "GIMP 3 was not found; only the plug-in needs it")
    for found in installed:
        fault = f": {found.fault}" if found.fault else ""
        yield Finding("gimp", found.fault is None, f"plug-in in {found.folder}{fault}")
    for folder in sorted({*folders} - {found.folder.parent for found in installed}):
        yield Finding("gimp", True, f"no plug-in in {folder}; to install it, run `stylefolder gimp install`")


def _watches(allowed: int) -> Finding:
    enough = allowed >= ENOUGH_WATCHES
    return Finding(
        "inotify", enough, f"{allowed} watches allowed" + ("" if enough else ": raise fs.inotify.max_user_watches")
    )
