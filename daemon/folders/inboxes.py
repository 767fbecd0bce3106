"""The Inboxes as they are on disk: the folders of a Root, and every file in them that may be a photo."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.folders.completeness import READ
from daemon.folders.layout import PRESETS, Layout
from daemon.folders.names import is_hidden, is_others_folder, is_sidecar
from daemon.folders.problems import Problems
from daemon.ledger.signature import Signature, signature_of
from stylecore.errors import cause
from stylecore.images.formats import HEAD, OTHER_PICTURES, PICTURE_SUFFIXES, kind_of

PICTURES = (*PICTURE_SUFFIXES, *OTHER_PICTURES)


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
        self._skipped: dict[str, int] = {}  # by Inbox
        self._no_pictures: dict[str, dict[str, Signature]] = {}  # by Inbox: files that do not begin like one

    @property
    def skipped(self) -> int:
        """How many files in the Inboxes are no pictures, as of the last scan."""
        return sum(self._skipped.values())

    def folders(self) -> Iterator[Path]:
        for entry in self._entries(self.root):
            presets = entry.name.casefold() == PRESETS and _is_the_same(entry, PRESETS)
            if presets or is_others_folder(entry.name):
                continue
            try:
                there = entry.is_dir(follow_symlinks=False)
            except OSError:  # a mount that is dead: `files` says so
                there = True
            if there:
                yield self.root / entry.name

    def forget_removed(self, inboxes: Collection[Path]) -> None:
        """These are all that are left."""
        left = {str(inbox) for inbox in inboxes}
        self._skipped = {inbox: count for inbox, count in self._skipped.items() if inbox in left}
        self._no_pictures = {inbox: files for inbox, files in self._no_pictures.items() if inbox in left}

    def stray(self) -> list[str]:
        """The names of pictures in the Root itself, where nothing is styled."""
        return [
            entry.name
            for entry in self._entries(self.root)
            if entry.name.lower().endswith(PICTURES) and not is_hidden(entry.name)
        ]

    def files(self, inbox: Path, layout: Layout) -> Iterator[Found | None]:
        """Every file in an Inbox and its folders that may be a photo, except what we put there. Yields None after what
        can take a long time: reading a folder, or the beginning of a file."""
        ours = {name.casefold(): name for name in layout.not_photos}
        stack, skipped = [str(inbox)], 0
        before, no_pictures = self._no_pictures.get(str(inbox), {}), dict[str, Signature]()
        while stack:
            folder = stack.pop()
            top = folder == str(inbox)
            entries = self._entries(folder)
            yield None
            for entry in entries:
                if top and (alike := ours.get(entry.name.casefold())) is not None and _is_the_same(entry, alike):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        stack += [] if is_others_folder(entry.name) else [entry.path]
                        continue
                    named = _is_named_like_a_picture(entry.name)
                    if not named and is_hidden(entry.name):
                        continue
                    seen = entry.stat(follow_symlinks=False)
                    sidecar = not named and is_sidecar(entry.name)
                    if sidecar or not (named or _may_be_photo(entry, seen, before, no_pictures)):
                        skipped += 1
                        yield None
                        continue
                except FileNotFoundError:
                    continue
                except OSError as e:
                    if folder not in self.unread:
                        self.unread.append(folder)
                        self.problems.add(
                            f"The files in the folder {folder} cannot be read ({cause(e)}): check its permissions."
                        )
                    continue
                yield Found(entry.path, signature_of(seen), refusal(seen.st_mode))
        self._skipped[str(inbox)], self._no_pictures[str(inbox)] = skipped, no_pictures

    def _entries(self, folder: Path | str) -> list[os.DirEntry[str]]:
        """The entries of a folder, which may vanish or become unreadable at any moment."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            self.problems.add(
                f"The folder {folder} cannot be read ({cause(e)}): check its permissions, or move it elsewhere."
            )
            self.unread.append(str(folder))
            return []


def _is_named_like_a_picture(name: str) -> bool:
    return not name.startswith((".", "~")) and name.lower().endswith(PICTURES)


def _is_the_same(entry: os.DirEntry[str], name: str) -> bool:
    """Whether the entry is what this name leads to. On some file systems, names that differ by case do."""
    if entry.name == name:
        return True
    try:
        return Path(entry.path).samefile(Path(entry.path).with_name(name))
    except OSError:
        return False


def _may_be_photo(
    entry: os.DirEntry[str], seen: os.stat_result, before: dict[str, Signature], no_pictures: dict[str, Signature]
) -> bool:
    """Whether the file begins like a picture. What is no file is refused with a reason. Files that are none go from
    ``before`` to ``no_pictures``, or are added there, so that each is read once."""
    if not stat.S_ISREG(seen.st_mode):
        return True
    signature = signature_of(seen)
    if before.get(entry.path) != signature:
        head = _head(entry.path)
        if head is None:
            return False
        if kind_of(head) is not None:
            return True
        if not head.strip(b"\0"):  # perhaps not written yet: look again
            return False
    no_pictures[entry.path] = signature
    return False


def _head(path: str) -> bytes | None:
    """A file's first bytes, or None if it cannot be read."""
    try:
        fd = os.open(path, READ)
    except OSError:
        return None
    try:
        return os.read(fd, HEAD)
    except OSError:
        return None
    finally:
        os.close(fd)


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
