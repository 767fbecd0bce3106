"""The Inboxes as they lie on the disk: the folders of a Root and every file in them that may be a photo."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon import paths
from daemon.folders.completeness import signature
from daemon.folders.problems import Problems
from daemon.ledger.job import Signature

IGNORED = (
    ".*", "~*", "*~", "*.part", "*.partial", "*.crdownload", "*.download", "*.tmp", "*.temp", "*.swp",
    "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "*.xmp", "*.aae", "*.thm", "*.pp3", "*.lnk", "*.url",
    "*.txt", "*.dop", "*.mov", "*.mp4", "*.m4v", "*.avi",
)  # fmt: skip
"""Names that are no photos: hidden ones, downloads under way, sidecar files, the videos that cameras put beside photos,
what systems leave in folders."""

_IS_IGNORED = re.compile("|".join(map(fnmatch.translate, IGNORED)), re.DOTALL | re.IGNORECASE).match

PICTURES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
    ".avif",
    ".heic",
    ".heif",
    ".gif",
    ".bmp",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".raf",
    ".orf",
    ".rw2",
)
"""What in the Root itself is taken for a photo gone astray; within an Inbox every file is looked into, whatever its name."""


@dataclass(frozen=True)
class Found:
    """A file, by its path as a string: a ``Path`` for each of 10,000 costs more than all the rest. ``refusal`` is the
    reason why one of its kind is not styled."""

    name: str
    signature: Signature
    refusal: str | None

    @property
    def path(self) -> Path:
        return Path(self.name)


class Inboxes:
    """What cannot be looked at is added to the ``problems``."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self.problems = problems

    def folders(self) -> Iterator[Path]:
        for entry in self._entries(self.root):
            if entry.is_dir(follow_symlinks=False) and not ignored(entry.name) and entry.name != paths.PRESETS:
                yield self.root / entry.name

    def loose(self) -> list[str]:
        """Names of pictures in the Root itself, where nothing is styled."""
        return [
            entry.name
            for entry in self._entries(self.root)
            if entry.name.lower().endswith(PICTURES) and not ignored(entry.name)
        ]

    def files(self, inbox: Path, results: str) -> Iterator[Found]:
        """Everything in an Inbox and its folders that may be a photo, but for what we put there ourselves."""
        ours = (results, paths.STYLED, paths.FAILED, paths.ORIGINALS)
        stack = [str(inbox)]
        while stack:
            folder = stack.pop()
            top = folder == str(inbox)
            for entry in self._entries(folder):
                if ignored(entry.name) or (top and entry.name in ours):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                        continue
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as e:
                    self.problems.add(f"{entry.path} cannot be looked at ({e.strerror}): mend its folder's rights.")
                    continue
                yield Found(entry.path, signature(seen), refusal(seen.st_mode))

    def _entries(self, folder: Path | str) -> list[os.DirEntry[str]]:
        """What lies in a folder, which may vanish or be closed to us at any moment."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            self.problems.add(
                f"The folder {folder} cannot be read ({e.strerror}): mend its rights, or move it elsewhere."
            )
            return []


def ignored(name: str) -> bool:
    return _IS_IGNORED(name) is not None


def refusal(mode: int) -> str | None:
    """Why a file of this kind is not styled; None for a regular one. Nothing is opened: a FIFO would wait for ever."""
    if stat.S_ISREG(mode):
        return None
    kinds = (
        (stat.S_ISLNK, "a symbolic link, which is not followed: drop the photo itself, or a hard link to it"),
        (stat.S_ISFIFO, "a FIFO and no file: take it away"),
        (stat.S_ISSOCK, "a socket and no file: take it away"),
        (stat.S_ISCHR, "a device and no file: take it away"),
        (stat.S_ISBLK, "a device and no file: take it away"),
    )
    return next((f"It is {words}." for is_kind, words in kinds if is_kind(mode)), None)
