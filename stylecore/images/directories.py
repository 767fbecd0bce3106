"""TIFF's directories of tags (TIFF 6.0, BigTIFF), as they are in TIFF and RAW files and in EXIF blocks."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

SHORT, LONG, IFD, LONG8, IFD8 = 3, 4, 13, 16, 18
NUMBERS = {SHORT: "H", LONG: "I", IFD: "I", LONG8: "Q", IFD8: "Q"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
CLASSIC = {b"II*\0": "<", b"MM\0*": ">", b"IIRO": "<", b"IIRS": "<", b"MMOR": ">", b"IIU\0": "<"}
"""First bytes of TIFF, of Olympus' and of Panasonic's RAW files, with their byte order."""

BIG = {b"II+\0": "<", b"MM\0+": ">"}
MAX_BYTES = 1 << 25  # of all values: many entries can point to the same bytes
MAX_DIRECTORIES = 200


@dataclass(frozen=True)
class Entry:
    """A directory's entry. ``at``: the position of its value in the file or block."""

    type: int
    count: int
    data: bytes
    at: int


Directory = dict[int, Entry]


@dataclass
class Tree:
    """A directory to be written, with the directories that its tags point to."""

    entries: Directory
    children: dict[int, Tree] = field(default_factory=dict)


class Reader:
    """Reads directories from a block or a file. From damaged ones it returns what can be read, never an error."""

    def __init__(self, file: BinaryIO | bytes) -> None:
        self.file = io.BytesIO(file) if isinstance(file, bytes) else file
        header = self._read(0, 16)
        self.big = header[:4] in BIG
        self.order = (BIG if self.big else CLASSIC).get(header[:4], "")
        self._budget = MAX_BYTES
        self.main: Directory = {}
        self.start = self.next = self.next_at = 0
        if self.order and len(header) >= (16 if self.big else 8):
            self.start = self.unpack("Q", header[8:16]) if self.big else self.unpack("I", header[4:8])
            self.main = self.directory(self.start)
            self.next_at, self.next = self._following(self.start)

    def unpack(self, kind: str, data: bytes) -> int:
        return int(struct.unpack(self.order + kind, data)[0])

    def directory(self, start: int) -> Directory:
        found: Directory = {}
        first, length = (8, 20) if self.big else (2, 12)
        for i in range(self._count(start)):
            at = start + first + length * i
            raw = self._read(at, length)
            if len(raw) < length:
                break
            tag, kind, count = struct.unpack(self.order + ("HHQ" if self.big else "HHI"), raw[: 12 if self.big else 8])
            self._add(found, tag, kind, count, at + (12 if self.big else 8), raw)
        return found

    def _add(self, found: Directory, tag: int, kind: int, count: int, value_at: int, raw: bytes) -> None:
        inline, pointer = (8, "Q") if self.big else (4, "I")
        size = SIZES.get(kind, 0) * count
        where = value_at if size <= inline else self.unpack(pointer, raw[-inline:])
        if 0 < size <= self._budget:
            self._budget -= size
            data = self._read(where, size)
            if len(data) == size:
                found[tag] = Entry(kind, count, data, where)

    def end(self, start: int) -> int:
        """The position after a directory, as far as its count of entries tells."""
        return self._following(start)[0] + (8 if self.big else 4)

    def child(self, parent: Directory, tag: int) -> Directory:
        start = self.number(parent, tag)
        return self.directory(start) if start else {}

    def all(self) -> Iterator[Directory]:
        """The main directory, those after it, and all their subdirectories (tag SubIFDs)."""
        stack, seen = [self.start], set[int]()
        while stack and len(seen) < MAX_DIRECTORIES:
            start = stack.pop()
            if start <= 0 or start in seen:
                continue
            seen.add(start)
            directory = self.directory(start)
            yield directory
            stack += [self._following(start)[1], *self.numbers(directory, 0x14A)]

    def number(self, directory: Directory, tag: int) -> int | None:
        return next(iter(self.numbers(directory, tag)), None)

    def numbers(self, directory: Directory, tag: int) -> list[int]:
        """The whole numbers of an entry; none if it is not there or holds something else."""
        entry = directory.get(tag)
        if entry is None or entry.type not in NUMBERS:
            return []
        return list(struct.unpack(f"{self.order}{entry.count}{NUMBERS[entry.type]}", entry.data))

    def fractions(self, directory: Directory, tag: int) -> list[float]:
        """The unsigned rationals of an entry; 0 for one that is not a number."""
        entry = directory.get(tag)
        if entry is None or entry.type != 5:
            return []
        parts = struct.unpack(f"{self.order}{entry.count * 2}I", entry.data)
        return [a / b if b else 0.0 for a, b in zip(parts[::2], parts[1::2], strict=True)]

    def text(self, directory: Directory, tag: int) -> bytes:
        entry = directory.get(tag)
        return entry.data.rstrip(b"\0") if entry is not None else b""

    def _following(self, start: int) -> tuple[int, int]:
        """Where the position of the next directory is, and that position (0 if there is none)."""
        first, length, pointer = (8, 20, "Q") if self.big else (2, 12, "I")
        at = start + first + length * self._count(start)
        raw = self._read(at, 8 if self.big else 4)
        return at, self.unpack(pointer, raw) if len(raw) == struct.calcsize(pointer) else 0

    def _count(self, start: int) -> int:
        length = 8 if self.big else 2
        raw = self._read(start, length)
        return min(self.unpack("Q" if self.big else "H", raw), 1000) if len(raw) == length else 0

    def _read(self, at: int, length: int) -> bytes:
        try:
            self.file.seek(at)
        except (OverflowError, ValueError):  # beyond what a file can have
            return b""
        return self.file.read(length)


def swapped(entry: Entry, old: str, new: str) -> Entry:
    """The entry in another byte order."""
    width = {5: 4, 10: 4}.get(entry.type, SIZES[entry.type])
    if old == new or width == 1:
        return entry
    parts = [entry.data[i : i + width][::-1] for i in range(0, len(entry.data), width)]
    return Entry(entry.type, entry.count, b"".join(parts), entry.at)


def write(body: bytearray, order: str, tree: Tree, following: int = 0) -> None:
    """Write a directory, in classic TIFF, at the end of ``body``, and after it the directories that it points to."""
    entries = {tag: e for tag, e in tree.entries.items() if tag not in tree.children and e.type < LONG8}
    present = {tag: child for tag, child in tree.children.items() if child.entries}
    for tag in present:
        entries[tag] = Entry(LONG, 1, b"\0\0\0\0", 0)
    places = _write_entries(body, order, entries, following)
    for tag, child in present.items():
        body += b"\0" * (len(body) % 2)
        struct.pack_into(order + "I", body, places[tag], len(body))
        write(body, order, child)


def _write_entries(body: bytearray, order: str, entries: Directory, following: int) -> dict[int, int]:
    """Returns the position of each entry's value field."""
    start = len(body)
    body += struct.pack(order + "H", len(entries)) + bytes(12 * len(entries)) + struct.pack(order + "I", following)
    places = {}
    for i, (tag, entry) in enumerate(sorted(entries.items())):
        at = start + 2 + 12 * i
        places[tag] = at + 8
        struct.pack_into(order + "HHI", body, at, tag, entry.type, entry.count)
        if len(entry.data) <= 4:
            body[at + 8 : at + 8 + len(entry.data)] = entry.data
        else:
            struct.pack_into(order + "I", body, at + 8, len(body))
            body += entry.data + b"\0" * (len(entry.data) % 2)
    return places
