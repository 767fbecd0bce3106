"""The Inboxes as they are on disk: the folders of a Root, and every file in them that may be a photo."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.folders.layout import PRESETS, Layout
from daemon.folders.problems import Problems
from daemon.ledger.signature import Signature, signature_of
from stylecore.images.formats import PICTURE_SUFFIXES

IGNORED = (
    ".*", "~*", "*~", "*.part", "*.partial", "*.crdownload", "*.download", "*.tmp", "*.temp", "*.swp",
    "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "*.xmp", "*.aae", "*.thm", "*.pp3", "*.lnk", "*.url",
    "*.txt", "*.dop", "*.mov", "*.mp4", "*.m4v", "*.avi",
)  # fmt: skip
"""Names of files that are not photos: hidden files, unfinished downloads, sidecar files, the videos that cameras put
beside photos, and files that operating systems leave in folders."""

_is_ignored = re.compile("|".join(map(fnmatch.translate, IGNORED)), re.DOTALL | re.IGNORECASE).match


@dataclass(frozen=True)
class Found:
    """A file. Its path is a string, because creating a ``Path`` for each of 10,000 files costs more than everything
    else. ``refusal``: why a file of its kind is never styled."""

    name: str
    signature: Signature
    refusal: str | None

    @property
    def path(self) -> Path:
        return Path(self.name)


class Inboxes:
    """Reports what it cannot read to ``problems``."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.unread: list[str] = []  # folders that could not be read in this scan: what is in them may still be there

    def folders(self) -> Iterator[Path]:
        for entry in self._entries(self.root):
            if entry.is_dir(follow_symlinks=False) and not ignored(entry.name) and entry.name != PRESETS:
                yield self.root / entry.name

    def stray(self) -> list[str]:
        """The names of pictures in the Root itself, where nothing is styled."""
        return [
            entry.name
            for entry in self._entries(self.root)
            if entry.name.lower().endswith(PICTURE_SUFFIXES) and not ignored(entry.name)
        ]

    def files(self, inbox: Path, layout: Layout) -> Iterator[Found | None]:
        """Every file in an Inbox and its folders that may be a photo, except what we put there. Yields None after
        reading each folder, which can take a long time."""
        stack = [str(inbox)]
        while stack:
            folder = stack.pop()
            top = folder == str(inbox)
            entries = self._entries(folder)
            yield None
            for entry in entries:
                if ignored(entry.name) or (top and entry.name in layout.not_photos):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                        continue
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as e:
                    if folder not in self.unread:
                        self.unread.append(folder)
                        self.problems.add(
                            f"The files in the folder {folder} cannot be read ({e.strerror}): check its permissions."
                        )
                    continue
                yield Found(entry.path, signature_of(seen), refusal(seen.st_mode))

    def _entries(self, folder: Path | str) -> list[os.DirEntry[str]]:
        """The entries of a folder, which may vanish or become unreadable at any moment."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            self.problems.add(
                f"The folder {folder} cannot be read ({e.strerror}): check its permissions, or move it elsewhere."
            )
            self.unread.append(str(folder))
            return []


def ignored(name: str) -> bool:
    return _is_ignored(name) is not None


def refusal(mode: int) -> str | None:
    """Why a file of this kind is not styled, or None for a regular file. The file is not opened: a FIFO would
    block forever."""
    if stat.S_ISREG(mode):
        return None
    kinds = (
        (stat.S_ISLNK, "a symbolic link, which is not followed: drop the photo itself, or a hard link to it"),
        (stat.S_ISFIFO, "a FIFO, not a file: remove it"),
        (stat.S_ISSOCK, "a socket, not a file: remove it"),
        (stat.S_ISCHR, "a device, not a file: remove it"),
        (stat.S_ISBLK, "a device, not a file: remove it"),
    )
    return next((f"It is {words}." for is_kind, words in kinds if is_kind(mode)), None)
