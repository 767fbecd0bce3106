"""EXIF as it is in a file: a small TIFF structure (CIPA DC-008, TIFF 6.0), and what a Result must change in it.

A block begins with ``II*\\0`` or ``MM\\0*``. ``corrected`` patches values in place, so that every offset stays right,
even those inside maker notes. ``from_tiff`` and ``append_to_tiff`` carry EXIF between a block and a TIFF file,
whose directories must be rewritten.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x112, 0x8769, 0x8825, 0xA005
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
MAKERS_NOTES = 0x927C
RESOLUTION = 0x11A, 0x11B  # pixels a unit, across and down
THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 0x201, 0x202
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
DESCRIPTIVE = (
    0x10E,
    0x10F,
    0x110,
    *RESOLUTION,
    0x128,
    0x131,
    0x132,
    0x13B,
    0x8298,
    0x9C9B,
    0x9C9C,
    0x9C9D,
    0x9C9E,
    0x9C9F,
)
"""Tags of the main directory that describe the photo, not how its pixels are stored."""
SHORT, LONG = 3, 4
MAX_BYTES = 1 << 25  # of all values: many entries can point to the same bytes


@dataclass(frozen=True)
class Entry:
    """A directory's entry. ``at``: the position of its value in the file or block."""

    type: int
    count: int
    data: bytes
    at: int


Directory = dict[int, Entry]


class Reader:
    """Reads directories from a block or a TIFF file. From damaged ones it returns what can be read, never an error."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        header = self._read(0, 8)
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4], "")  # not BigTIFF, which has longer offsets
        self.budget = MAX_BYTES
        self.main: Directory = {}
        self.next = self.next_at = 0
        if self.order and len(header) == 8:
            start = self.unpack("I", header[4:])
            self.main = self.directory(start)
            self.next_at = start + 2 + 12 * self._count(start)
            tail = self._read(self.next_at, 4)
            self.next = self.unpack("I", tail) if len(tail) == 4 else 0

    def unpack(self, kind: str, data: bytes) -> int:
        return int(struct.unpack(self.order + kind, data)[0])

    def directory(self, start: int) -> Directory:
        found = {}
        for i in range(self._count(start)):
            at = start + 2 + 12 * i
            raw = self._read(at, 12)
            if len(raw) < 12:
                break
            tag, kind, count = struct.unpack(self.order + "HHI", raw[:8])
            length = SIZES.get(kind, 0) * count
            where = at + 8 if length <= 4 else self.unpack("I", raw[8:])
            if 0 < length <= self.budget:
                self.budget -= length
                data = self._read(where, length)
                if len(data) == length:
                    found[tag] = Entry(kind, count, data, where)
        return found

    def child(self, parent: Directory, tag: int) -> Directory:
        start = self.number(parent, tag)
        return self.directory(start) if start else {}

    def number(self, directory: Directory, tag: int) -> int | None:
        entry = directory.get(tag)
        if entry is None or entry.type not in (SHORT, LONG, 13):
            return None
        return self.unpack("H" if entry.type == SHORT else "I", entry.data[: SIZES[entry.type]])

    def _count(self, start: int) -> int:
        raw = self._read(start, 2)
        return min(self.unpack("H", raw), 1000) if len(raw) == 2 else 0

    def _read(self, at: int, length: int) -> bytes:
        self.file.seek(at)
        return self.file.read(length)


def corrected(block: bytes, width: int, height: int, thumbnail: Callable[[], Image.Image] | None) -> bytes:
    """The block for a Result of this size: upright, with its dimensions, resolutions and its own thumbnail.

    A new thumbnail takes the old one's place. If it does not fit, or ``thumbnail`` is None, there is none.
    """
    reader = Reader(io.BytesIO(block))
    if not reader.main:
        return block
    patched = bytearray(block)

    def patch(directory: Directory, tag: int, value: int) -> None:
        entry = directory.get(tag)
        if entry and entry.type in (SHORT, LONG) and (entry.type == LONG or value < 1 << 16):
            struct.pack_into(reader.order + ("H" if entry.type == SHORT else "I"), patched, entry.at, value)

    details = reader.child(reader.main, EXIF_IFD)
    second = reader.directory(reader.next) if reader.next else {}
    across, down = (reader.main.get(tag) for tag in RESOLUTION)
    if orientation(block) >= 5 and across and down and len(across.data) == len(down.data) == 8:
        patched[across.at : across.at + 8], patched[down.at : down.at + 8] = down.data, across.data
    patch(reader.main, ORIENTATION, 1)
    patch(second, ORIENTATION, 1)
    for directory, wide, high in ((reader.main, 0x100, 0x101), (details, PIXEL_WIDTH, PIXEL_HEIGHT)):
        patch(directory, wide, width)
        patch(directory, high, height)
    at, room = reader.number(second, THUMBNAIL_OFFSET), reader.number(second, THUMBNAIL_LENGTH)
    if at and room and at + room <= len(patched):
        new = _fitting(thumbnail(), room) if thumbnail else b""
        patched[at : at + room] = new.ljust(room, b"\0")
        patch(second, THUMBNAIL_LENGTH, len(new))
        if not new:
            struct.pack_into(reader.order + "I", patched, reader.next_at, 0)
    return bytes(patched)


def _fitting(picture: Image.Image, room: int) -> bytes:
    small = picture.copy()
    for edge, quality in ((160, 80), (160, 50), (96, 50)):
        small.thumbnail((edge, edge))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality)
        if out.tell() <= room:
            return out.getvalue()
    return b""


def orientation(block: bytes) -> int:
    """1 to 8, as EXIF counts them; 1 if there is nothing valid."""
    reader = Reader(io.BytesIO(block))
    value = reader.number(reader.main, ORIENTATION) or 1
    return value if 1 <= value <= 8 else 1


def from_tiff(file: BinaryIO, *, makers_notes: bool = True) -> bytes | None:
    """The EXIF of a TIFF file (or of a RAW file built like one, or of a block) as a block of its own, or None if there
    is none. ``makers_notes``: include them; they can be large."""
    reader = Reader(file)
    details, gps = reader.child(reader.main, EXIF_IFD), reader.child(reader.main, GPS_IFD)
    if not makers_notes:
        details.pop(MAKERS_NOTES, None)
    main = {tag: reader.main[tag] for tag in (*DESCRIPTIVE, ORIENTATION) if tag in reader.main}
    if not (main or details or gps):
        return None
    body = bytearray(b"II*\0\x08\0\0\0" if reader.order == "<" else b"MM\0*\0\0\0\x08")
    _append(body, reader.order, main, {EXIF_IFD: details, GPS_IFD: gps})
    return bytes(body)


def append_to_tiff(data: bytearray, block: bytes) -> None:
    """Add a block's EXIF and GPS directories to a finished TIFF file, in place, by rewriting its main directory."""
    ours, theirs = Reader(io.BytesIO(bytes(data))), Reader(io.BytesIO(block))
    main = dict(ours.main)
    children = {}
    for tag in (EXIF_IFD, GPS_IFD):
        child = theirs.child(theirs.main, tag)
        children[tag] = {t: _swapped(e, theirs.order, ours.order) for t, e in child.items()}
    for tag in (*DESCRIPTIVE, ORIENTATION):
        if tag in theirs.main:
            main[tag] = _swapped(theirs.main[tag], theirs.order, ours.order)
    if len(data) % 2:
        data.append(0)
    struct.pack_into(ours.order + "I", data, 4, len(data))
    _append(data, ours.order, main, children)


def _swapped(entry: Entry, old: str, new: str) -> Entry:
    width = {5: 4, 10: 4}.get(entry.type, SIZES[entry.type])
    if old == new or width == 1:
        return entry
    parts = [entry.data[i : i + width][::-1] for i in range(0, len(entry.data), width)]
    return Entry(entry.type, entry.count, b"".join(parts), entry.at)


def _append(body: bytearray, order: str, main: Directory, children: dict[int, Directory]) -> None:
    """Write ``main`` at the end of ``body``, followed by the child directories that it points to."""
    entries = {tag: entry for tag, entry in main.items() if tag not in children}
    present = {tag: child for tag, child in children.items() if child}
    for tag in present:
        entries[tag] = Entry(LONG, 1, b"\0\0\0\0", 0)
    places = _write_directory(body, order, entries)
    for tag, child in present.items():
        struct.pack_into(order + "I", body, places[tag], len(body))
        _write_directory(body, order, {t: e for t, e in child.items() if t != INTEROP_IFD})


def _write_directory(body: bytearray, order: str, entries: Directory) -> dict[int, int]:
    """Returns the position of each entry's value field."""
    start = len(body)
    body += struct.pack(order + "H", len(entries)) + bytes(12 * len(entries) + 4)
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
