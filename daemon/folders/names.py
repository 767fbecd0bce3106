"""Names of files and folders in a Root that are never photos."""

from __future__ import annotations

import fnmatch
import re

HIDDEN = (".*", "~*", "*~", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", "*:Zone.Identifier")
"""What operating systems keep in folders, and what they do not show."""

UNFINISHED = (
    "*.part", "*.partial", "*.filepart", "*.crdownload", "*.opdownload", "*.download", "*.aria2", "*.!ut", "*.!qb",
    "*.tmp", "*.temp", "*.swp",
)  # fmt: skip
"""Downloads and copies, which get another name when they are complete."""

SIDECARS = (
    "*.xmp", "*.aae", "*.thm", "*.pp3", "*.dop", "*.acr", "*.cos", "*.cot", "*.cop", "*.on1", "*.vrd", "*.json",
    "*.txt", "*.ini", "*.lnk", "*.url", "*.mov", "*.mp4", "*.m4v", "*.mp", "*.lrv", "*.avi", "*.wav",
)  # fmt: skip
"""Settings, videos and sounds that cameras and editors put beside photos. No list can be complete: files with other
names are recognised by their first bytes."""

OTHERS_FOLDERS = (
    "@eaDir", "@Recycle", "@Recently-Snapshot", "@sharebin", "@tmp", "#recycle", "#snapshot", "$RECYCLE.BIN",
    "RECYCLER", "System Volume Information", "lost+found", "Network Trash Folder", "Temporary Items",
    "*.photoslibrary", "*.photolibrary", "*.migratedphotolibrary", "*.aplibrary", "*.lrdata", "*.lrcat-data",
    "*.lrlibrary", "*.cocatalog", "*.cosessiondb",
)  # fmt: skip
"""Trash, snapshots and thumbnails of file servers, and the libraries of other programs. Nothing is written into
them."""


def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)), re.DOTALL | re.IGNORECASE)


_hidden = _matcher((*HIDDEN, *UNFINISHED))
_sidecar = _matcher(SIDECARS)
_folder = _matcher((*HIDDEN, *OTHERS_FOLDERS))


def is_hidden(name: str) -> bool:
    """Whether a file of this name is nothing that a user would miss."""
    return _hidden.match(name) is not None


def is_sidecar(name: str) -> bool:
    return _sidecar.match(name) is not None


def is_others_folder(name: str) -> bool:
    """Whether a folder of this name is hidden, or belongs to something else than its user."""
    return _folder.match(name) is not None
