"""Which Inboxes are scanned often, because their file systems do not report changes. File servers' do not: inotify
accepts a watch, but hears only of what this machine does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from daemon.paths import printable

POLL_EVERY = 3.0  # seconds

SILENT = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "9p", "drvfs", "wslfs", "vboxsf", "prl_fs", "vmhgfs", "virtiofs",
    "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "davfs", "webdav", "ncpfs", "coda", "osxfs", "grpcfuse",
    "fakeowner", "macfuse", "osxfuse", "fuse", "fuseblk",
)  # fmt: skip


@dataclass(frozen=True)
class Mounts:
    """What is mounted where, the longest path first: (path, file system, options)."""

    found: tuple[tuple[str, str, str], ...]

    def file_system(self, folder: Path) -> str | None:
        """The file system's type, as the system calls it: ext4, nfs4, fuse.sshfs, ..."""
        mount = self._of(folder)
        return mount[1] if mount is not None else None

    def path(self, folder: Path) -> str | None:
        """Where the folder's file system is mounted."""
        mount = self._of(folder)
        return mount[0] if mount is not None else None

    def is_silent(self, folder: Path) -> bool:
        """Whether changes that others make there are not reported."""
        mount = self._of(folder)
        return mount is not None and _is_silent(mount)

    def silent_below(self, folder: Path) -> str | None:
        """A silent file system that is mounted somewhere in the folder, by its type."""
        start = os.path.realpath(folder).rstrip(os.sep) + os.sep
        return next((m[1] for m in self.found if m[0].startswith(start) and _is_silent(m)), None)

    def _of(self, folder: Path) -> tuple[str, str, str] | None:
        real = os.path.realpath(folder)
        return next((m for m in self.found if real == m[0] or real.startswith(m[0].rstrip(os.sep) + os.sep)), None)


def _is_silent(mount: tuple[str, str, str]) -> bool:
    _, kind, options = mount
    return kind.lower() in SILENT or kind.startswith("fuse.") or "remote" in options.split(",")  # Windows says so


def mounts() -> Mounts:
    found = [(part.mountpoint, part.fstype, part.opts) for part in psutil.disk_partitions(all=True)]
    found.reverse()  # of two mounts on one path, the later hides the earlier
    found.sort(key=lambda mount: -len(mount[0]))
    return Mounts(tuple(found))


@dataclass(frozen=True)
class Polled:
    """An Inbox that is scanned often, how often (in seconds), and its file system if that is why."""

    inbox: str
    seconds: float
    file_system: str | None


def polled(inboxes: Iterable[Path], at: Mounts, every: float | None, *, missing: bool) -> Iterator[Polled]:
    """``every``: how often the settings say, if they do. ``missing``: notifications are missing for another reason."""
    for inbox in inboxes:
        kind = at.file_system(inbox) if at.is_silent(inbox) else at.silent_below(inbox)
        if every is not None or kind is not None or missing:
            yield Polled(inbox.name, every or POLL_EVERY, kind)


def polling_remarks(polled: Iterable[Polled]) -> list[str]:
    """A sentence for each file system and interval."""
    groups: dict[tuple[float, str | None], list[str]] = {}
    for one in polled:
        groups.setdefault((one.seconds, one.file_system), []).append(one.inbox)
    return [_polling_remark(inboxes, seconds, kind) for (seconds, kind), inboxes in groups.items()]


def _polling_remark(inboxes: list[str], seconds: float, file_system: str | None) -> str:
    several = len(inboxes) > 1
    others = f" and {len(inboxes) - 1} more" if several else ""
    where = f"{printable(inboxes[0])}{others} {'are' if several else 'is'}"
    if file_system is None:
        return f"{where} scanned every {seconds:g} s."
    so = "so they are" if several else "so it is"
    return f"{where} on {file_system}, which does not report all changes, {so} scanned every {seconds:g} s."
