"""ISO base media files (ISO 14496-12): the boxes of HEIC, AVIF and Canon's CR3."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stylecore.errors import PhotoError
from stylecore.images import complete

MAX_META = 1 << 26  # bytes
MAX_ITEMS = 20_000
CODED = (b"hvc1", b"av01", b"jpeg", b"avc1")  # types of items that are coded pixels


METADATA = (b"Exif", b"mime")


@dataclass(frozen=True)
class Box:
    """``start`` and ``end`` of its body, in the file or in the bytes that were searched."""

    name: bytes
    start: int
    end: int


def top_level(path: Path, file: BinaryIO) -> Iterator[Box]:
    """The boxes of a file. Raises PhotoError if one of them is cut off, or if the file ends in zeros."""
    size, at = complete.size_of(file), 0
    while at + 8 <= size:
        file.seek(at)
        box = _header(file.read(16), at, size)
        if box.name == b"\0\0\0\0":
            raise complete.not_copied(path)
        if box.end > size or box.end <= at:
            raise complete.cut_off(path)
        yield box
        at = box.end


def within(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes in a box's body. Stops at the first that does not fit."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        box = _header(data[start : start + 16], start, end)
        if box.end > end or box.end <= start:
            return
        yield box
        start = box.end


def find(data: bytes, *names: bytes) -> bytes | None:
    """The body of a box, by its path. Each step takes the first box of that name."""
    for name in names:
        box = next((box for box in within(data) if box.name == name), None)
        if box is None:
            return None
        data = data[box.start : box.end]
    return data


def _header(raw: bytes, at: int, end: int) -> Box:
    length, name = struct.unpack(">I4s", raw[:8])
    start = at + 8
    if length == 1 and len(raw) >= 16:
        length, start = struct.unpack(">Q", raw[8:16])[0], at + 16
    return Box(name, start, end if length == 0 else at + length)


@dataclass(frozen=True)
class Items:
    """What a picture's ``meta`` box says. ``primary``: the picture's own item. ``types``: by item. ``places``: by item,
    its (position, length) in the file. ``properties``: by item, its properties as (name, body).
    ``top_level``: the names of the file's boxes."""

    primary: int
    types: dict[int, bytes]
    places: dict[int, list[tuple[int, int]]]
    properties: dict[int, list[tuple[bytes, bytes]]]
    top_level: frozenset[bytes]


def items(path: Path, file: BinaryIO) -> Items:
    """Raises PhotoError for a file that is cut off or damaged."""
    meta, names = b"", set[bytes]()
    try:
        for box in top_level(path, file):
            names.add(box.name)
            if box.name == b"meta" and box.end - box.start <= MAX_META and not meta:
                file.seek(box.start + 4)
                meta = file.read(box.end - box.start - 4)
    except PhotoError:
        if not meta:
            raise  # else what comes after is no box, and `check_pixels` tells whether the pictures are there
    try:
        first = find(meta, b"pitm") or b""
        primary = struct.unpack_from(">H" if first[:1] == b"\0" else ">I", first, 4)[0]
        places = _places(find(meta, b"iloc") or b"")
        return Items(primary, _types(meta), places, _properties(meta), frozenset(names))
    except (struct.error, IndexError) as e:
        raise complete.damaged(path) from e


def check_pixels(path: Path, file: BinaryIO, found: Items) -> None:
    """Raise PhotoError unless the bytes of all coded pictures are there."""
    size = complete.size_of(file)
    for item, places in found.places.items():
        for start, length in places:
            if start + length > size:
                raise complete.cut_off(path)
            kind = found.types.get(item)
            if kind in CODED and complete.ends_in_zeros(file, start, start + length):
                raise complete.not_copied(path)
            if kind in METADATA and complete.is_zero(file, start, start + length):
                raise complete.not_copied(path)


def _types(meta: bytes) -> dict[int, bytes]:
    body = find(meta, b"iinf") or b""
    types = {}
    for box in within(body, 6 if body[:1] == b"\0" else 8):
        version = meta and body[box.start]
        wide = version == 3
        number = struct.unpack_from(">I" if wide else ">H", body, box.start + 4)[0]
        types[number] = body[box.start + (10 if wide else 8) :][:4]
    return types


def _places(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """Only of items that are in the file itself (construction method 0)."""
    if not body:
        return {}
    version, sizes = body[0], struct.unpack_from(">H", body, 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = 6

    def number(width: int) -> int:
        nonlocal at
        if at + width > len(body):
            raise IndexError
        at += width
        return int.from_bytes(body[at - width : at], "big")

    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(number(2 if version < 2 else 4), MAX_ITEMS)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)  # data reference
        base = number(base_size)
        for _ in range(number(2)):
            if version in (1, 2):
                number(index_size)
            offset, length = base + number(offset_size), number(length_size)
            if method == 0:
                places.setdefault(item, []).append((offset, length))
    return places


def _properties(meta: bytes) -> dict[int, list[tuple[bytes, bytes]]]:
    container = find(meta, b"iprp", b"ipco") or b""
    all_of = [(box.name, container[box.start : box.end]) for box in within(container)]
    body = find(meta, b"iprp", b"ipma") or b""
    if not body:
        return {}
    version, wide = body[0], body[3] & 1
    at, found = 8, {}
    for _ in range(min(struct.unpack_from(">I", body, 4)[0], MAX_ITEMS)):
        item = struct.unpack_from(">H" if version == 0 else ">I", body, at)[0]
        at += 2 if version == 0 else 4
        count, at = body[at], at + 1
        numbers = []
        for _ in range(count):
            numbers.append(struct.unpack_from(">H", body, at)[0] & 0x7FFF if wide else body[at] & 0x7F)
            at += 2 if wide else 1
        found[item] = [all_of[n - 1] for n in numbers if 0 < n <= len(all_of)]
    return found
