"""EXIF (CIPA DC-008), a block of TIFF's directories: what it says, and what a Result must change in it.

A block begins with ``II*\\0`` or ``MM\\0*``. ``corrected`` patches values in place, so that every offset stays right,
even those inside maker notes. ``from_tiff`` and ``append_to_tiff`` carry EXIF between a block and a TIFF or RAW file,
whose directories must be rewritten.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image

from stylecore.images import icc
from stylecore.images.directories import LONG, SHORT, Directory, Entry, Reader, Tree, swapped, write

ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x112, 0x8769, 0x8825, 0xA005
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
MAKERS_NOTES = 0x927C
COLOUR_SPACE, GAMMA, INTEROP_INDEX = 0xA001, 0xA500, 1
TRANSFER_FUNCTION, WHITE_POINT, PRIMARIES = 0x12D, 0x13E, 0x13F
COLOUR_TAGS = (TRANSFER_FUNCTION, WHITE_POINT, PRIMARIES)
SRGB, ADOBE_RGB, UNCALIBRATED = 1, 2, 0xFFFF
RESOLUTION = 0x11A, 0x11B  # pixels a unit, across and down
RESOLUTION_UNIT, INCHES = 0x128, 2
NEW = b"II*\0\0\0\0\0"  # a block without a directory
THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 0x201, 0x202
DESCRIPTION, SOFTWARE, ARTIST, COPYRIGHT = 0x10E, 0x131, 0x13B, 0x8298
DESCRIPTIVE = (
    0x0B, 0x10D, DESCRIPTION, 0x10F, 0x110, *RESOLUTION, 0x11D, 0x128, SOFTWARE, 0x132, ARTIST, 0x13C, 0x4746, 0x4749,
    COPYRIGHT, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, 0xC614, 0xC62F, 0xC630, 0xC7A1,
)  # fmt: skip
"""Tags of the main directory that describe the photo, not how its pixels are stored."""

STORED = {
    700, 0x828D, 0x828E, 33723, 34377, 34675, EXIF_IFD, GPS_IFD, 37724, 0xC44F, *range(0xC612, 0xD000),
}  # fmt: skip
"""Of the tags from 0x8000, those that do not: metadata of other kinds, Photoshop's layers, DNG's."""


def _is_carried(tag: int) -> bool:
    return tag in DESCRIPTIVE or tag == ORIENTATION or (tag >= 0x8000 and tag not in STORED)


def corrected(
    block: bytes,
    width: int,
    height: int,
    thumbnail: Callable[[], Image.Image] | None,
    colour_space: int | None = None,
) -> bytes:
    """The block for a Result of this size: upright, with its dimensions, resolutions and its own thumbnail.

    A new thumbnail takes the old one's place. If it does not fit, or ``thumbnail`` is None, there is none.
    ``colour_space``: what the block must say if colours were converted.
    """
    reader = Reader(block)
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
    if colour_space is not None:
        patch(details, COLOUR_SPACE, colour_space)
        gamma = details.get(GAMMA)
        if gamma is not None and len(gamma.data) == 8:
            struct.pack_into(reader.order + "II", patched, gamma.at, 22, 10)
        index = reader.child(details, INTEROP_IFD).get(INTEROP_INDEX)
        if index is not None and index.data.startswith(b"R03"):
            patched[index.at : index.at + 3] = b"R98"
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
    if second and THUMBNAIL_OFFSET not in second:  # a thumbnail without compression is still the photo's
        struct.pack_into(reader.order + "I", patched, reader.next_at, 0)
    return bytes(patched) if colour_space is None else without(bytes(patched), *COLOUR_TAGS)


def at_resolution(block: bytes, dpi: int) -> bytes:
    """The block with so many pixels per inch, if it says how many."""
    reader = Reader(block)
    patched = bytearray(block)
    for tag in RESOLUTION:
        entry = reader.main.get(tag)
        if entry and len(entry.data) == 8:
            struct.pack_into(reader.order + "II", patched, entry.at, dpi, 1)
    unit = reader.main.get(RESOLUTION_UNIT)
    if unit and unit.type == SHORT:
        struct.pack_into(reader.order + "H", patched, unit.at, INCHES)
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
    return stated_orientation(block) or 1


def stated_orientation(block: bytes) -> int | None:
    reader = Reader(block)
    value = reader.number(reader.main, ORIENTATION)
    return value if value in range(1, 9) else None


def colour(block: bytes) -> bytes | None:
    """The ICC profile of the RGB space that the tags describe: Adobe RGB, as DCF 2.0 marks it, or one given by its
    primaries, white point, and gamma or transfer function. None if they describe none. Raises UnknownColours if they
    describe one that cannot exist."""
    reader = Reader(block)
    details = reader.child(reader.main, EXIF_IFD)
    space = reader.number(details, COLOUR_SPACE)
    index = reader.text(reader.child(details, INTEROP_IFD), INTEROP_INDEX)
    if space == ADOBE_RGB or (space == UNCALIBRATED and index.startswith(b"R03")):
        return icc.adobe_rgb()
    primaries, white = reader.fractions(reader.main, PRIMARIES), reader.fractions(reader.main, WHITE_POINT)
    primaries, white = (values if any(values) else [] for values in (primaries, white))
    table, gamma = reader.numbers(reader.main, TRANSFER_FUNCTION), reader.fractions(details, GAMMA)
    if space == SRGB or (len(primaries) != 6 and not table and not gamma):
        return None
    corners = primaries if len(primaries) == 6 else icc.SRGB_PRIMARIES
    point = white if len(white) == 2 else icc.D65
    if len(table) >= 256:
        curve = np.array(table[: len(table) // 3] if len(table) % 3 == 0 else table, np.float64) / 65535
        where = np.linspace(0, 1, icc.TABLE)
        return icc.rgb_profile(corners, point, curve=np.interp(where, np.linspace(0, 1, len(curve)), curve))
    return icc.rgb_profile(corners, point, gamma=gamma[0] if gamma and gamma[0] > 0 else 2.2)


def is_uncalibrated(block: bytes) -> bool:
    """Whether the block says that the colours are not sRGB's, without saying what they are."""
    reader = Reader(block)
    return reader.number(reader.child(reader.main, EXIF_IFD), COLOUR_SPACE) == UNCALIBRATED


def from_tiff(file: BinaryIO | bytes, *, makers_notes: bool = True, at: int | None = None) -> bytes | None:
    """The EXIF of a TIFF file (or of a RAW file built like one, or of a block) as a block of its own, or None if there
    is none. ``makers_notes``: include them; they can be large. ``at``: the position of the picture's directory, if it
    is not the main one, which adds what that lacks."""
    reader = Reader(file)
    tree = _descriptive(reader, {**reader.main, **reader.directory(at)} if at else reader.main)
    if not makers_notes:
        tree.children[EXIF_IFD].entries.pop(MAKERS_NOTES, None)
    if not (tree.entries or any(child.entries for child in tree.children.values())):
        return None
    return as_block(reader.order, tree)


def as_block(order: str, tree: Tree) -> bytes:
    body = bytearray(b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08")
    write(body, order, tree)
    return bytes(body)


def _descriptive(reader: Reader, directory: Directory) -> Tree:
    details = reader.child(directory, EXIF_IFD)
    main = {tag: entry for tag, entry in directory.items() if _is_carried(tag) or tag in COLOUR_TAGS}
    interop = Tree(reader.child(details, INTEROP_IFD))
    children = {EXIF_IFD: Tree(details, {INTEROP_IFD: interop}), GPS_IFD: Tree(reader.child(directory, GPS_IFD))}
    return Tree(main, children)


def append_to_tiff(data: bytearray, block: bytes) -> None:
    """Add a block's EXIF and GPS directories to a finished TIFF file, in place, by rewriting its main directory."""
    ours, theirs = Reader(bytes(data)), Reader(block)
    tree = _in_order(_descriptive(theirs, theirs.main), theirs.order, ours.order)
    entries = {tag: e for tag, e in tree.entries.items() if tag not in COLOUR_TAGS}
    data += b"\0" * (len(data) % 2)
    struct.pack_into(ours.order + "I", data, 4, len(data))
    write(data, ours.order, Tree({**entries, **ours.main, **_only(entries, DESCRIPTIVE)}, tree.children))


def _only(entries: Directory, tags: Iterable[int]) -> Directory:
    return {tag: entries[tag] for tag in tags if tag in entries}


def _in_order(tree: Tree, old: str, new: str) -> Tree:
    entries = {tag: swapped(entry, old, new) for tag, entry in tree.entries.items()}
    return Tree(entries, {tag: _in_order(child, old, new) for tag, child in tree.children.items()})


def missing(block: bytes | None, texts: Mapping[int, str]) -> dict[int, str]:
    """Those of the texts whose tags the block's main directory lacks."""
    reader = Reader(block or NEW)
    return {tag: text for tag, text in texts.items() if text and not reader.text(reader.main, tag).strip()}


def with_texts(block: bytes | None, texts: Mapping[int, str]) -> bytes | None:
    """The block with these texts in its main directory."""
    new = {tag: Entry(2, len(raw), raw, 0) for tag, text in texts.items() if (raw := text.encode() + b"\0")}
    return _rewritten(block or NEW, lambda main: {**main, **new}) if new else block


def without(block: bytes, *tags: int) -> bytes:
    """The block without these tags in its main directory."""
    reader = Reader(block)
    if not any(tag in reader.main for tag in tags):
        return block
    return _rewritten(block, lambda main: {tag: entry for tag, entry in main.items() if tag not in tags})


def _rewritten(block: bytes, change: Callable[[Directory], Directory]) -> bytes:
    """Every offset stays right: the new main directory is behind everything else."""
    reader = Reader(block)
    if not reader.order:
        return block
    body = bytearray(block)
    body += b"\0" * (len(body) % 2)
    struct.pack_into(reader.order + "I", body, 4, len(body))
    write(body, reader.order, Tree(change(reader.main)), reader.next)
    return bytes(body)
