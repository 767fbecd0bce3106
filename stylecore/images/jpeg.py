"""JPEG, as cameras and phones write it: one picture, perhaps followed by a video, a gain map or more pictures."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stylecore.errors import PhotoError
from stylecore.images import complete, iptc, with_pillow, xmp
from stylecore.images.photo import Decoded, Metadata

START_OF_SCAN, END_OF_IMAGE, HUFFMAN_TABLES, COMMENT = 0xDA, 0xD9, 0xC4, 0xFE
APP1, APP2, APP11, APP13 = 0xE1, 0xE2, 0xEB, 0xED
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {HUFFMAN_TABLES, 0xC8, 0xCC}  # start-of-frame markers, with JPEG-LS's
PROGRESSIVE = 0xC2
READABLE = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline, extended and progressive, with Huffman or arithmetic codes
PROFILE, XMP = b"ICC_PROFILE\0", b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP, ISO_GAIN_MAP = b"http://ns.adobe.com/xmp/extension/\0", b"urn:iso:std:iso:ts:21496:-1\0"
LEAST_ZEROS = 16  # bytes at the end, in place of the end-of-image marker
_next_marker = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search


@dataclass(frozen=True)
class Segments:
    """``segments``: marker and body of each APPn and comment of the first picture. ``frame``: marker, bits, width and
    height. ``end``: the position after its end-of-image marker, or None if there is none. ``empty``: a scan ends in
    zeros that no encoder writes."""

    segments: tuple[tuple[int, bytes], ...]
    frame: tuple[int, int, int, int] | None
    end: int | None
    empty: bool

    def starting(self, marker: int, name: bytes) -> list[bytes]:
        return [body[len(name) :] for found, body in self.segments if found == marker and body.startswith(name)]


def segments_of(data: bytes) -> Segments:
    """Walk from marker to marker (ITU-T T.81, annex B), over any number of scans. Never raises an error."""
    found: list[tuple[int, bytes]] = []
    frame, end, at = None, None, 2
    empty, flat = False, dict[int, bool]()  # by table
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == END_OF_IMAGE:
            end = at + 2
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0] if at + 4 <= len(data) else 0
        body = data[at + 4 : at + 2 + length]
        if 0xE0 <= marker <= 0xEF or marker == COMMENT:
            found.append((marker, body))
        elif marker in FRAMES and len(body) >= 5 and frame is None:
            bits, height, width = struct.unpack_from(">BHH", body)
            frame = (marker, bits, width, height)
        elif marker == HUFFMAN_TABLES:
            flat |= _zeros_are_flat(body)
        at += 2 + length
        if marker == START_OF_SCAN:
            after = _next_marker(data, at)
            if after is None:
                break
            used = any if frame is not None and frame[0] == PROGRESSIVE else all  # of which a scan uses one
            zeros = not data[max(at, after.start() - complete.ZERO_RUN) : after.start()].strip(b"\0")
            only_averages = len(body) >= 3 and body[-3:-1] == b"\0\0"  # of a progressive picture
            empty |= zeros and after.start() - at >= complete.ZERO_RUN and not used(flat.values()) and not only_averages
            at = after.start()
    return Segments(tuple(found), frame, end, empty)


def _zeros_are_flat(tables: bytes) -> dict[int, bool]:
    """For each of these tables for AC coefficients, whether zero bits mean "nothing more in this block". If they do in
    all that are used, zeros can be a large flat area."""
    at, found = 0, {}
    while at + 17 < len(tables):
        shortest = tables[at + 17]
        if tables[at] >> 4 == 1:
            found[tables[at]] = shortest & 15 == 0 and shortest != 0xF0
        at += 17 + sum(tables[at + 1 : at + 17])
    return found


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    file.seek(0)
    data = file.read()
    found = segments_of(data)
    if found.empty or (found.end is None and not data[-LEAST_ZEROS:].strip(b"\0")):
        raise complete.not_copied(path)
    if found.frame is not None and (found.frame[0] not in READABLE or found.frame[1] != 8):
        raise PhotoError(
            f"{path.name} is a JPEG of a kind that cannot be read (lossless, or of {found.frame[1]} bits): save it as "
            "TIFF or PNG."
        )
    picture = with_pillow.read(path, ["JPEG"], check_size)  # which opens MPO too
    metadata = Metadata(
        exif=picture.exif,
        xmp=picture.xmp,
        iptc=iptc.from_resources(b"".join(found.starting(APP13, iptc.PHOTOSHOP))),
        comment=b"\n".join(found.starting(COMMENT, b"")) or None,
        dpi=picture.dpi,
    )
    claims = _claims(found, data[found.end :] if found.end else b"")
    notes, more = _further_pictures(picture.info, data, found)
    if any(b"c2pa" in body for body in found.starting(APP11, b"JP")):
        notes += ("The Content Credentials (C2PA) are not in the Result, for which they would not be valid.",)
    if found.starting(APP1, b"FLIR\0"):
        notes += ("The thermal data is not in the Result.",)
    return Decoded(
        picture.samples,
        picture.alpha,
        _profile(found),
        metadata,
        picture.turn,
        notes=notes,
        claims=claims | more,
    )


def _profile(found: Segments) -> bytes | None:
    """The ICC profile from its numbered pieces (ICC.1, annex B.4). Not a profile, but not None, if one is missing."""
    pieces = {body[0]: body for body in found.starting(APP2, PROFILE) if len(body) > 2}
    if not pieces:
        return None
    counts = {body[1] for body in pieces.values()}
    whole = counts == {len(pieces)} and set(pieces) == set(range(1, len(pieces) + 1))
    return b"".join(pieces[number][2:] for number in sorted(pieces)) if whole else b"incomplete"


def _claims(found: Segments, rest: bytes) -> frozenset[str]:
    claims = {
        xmp.VIDEO: rest[4:8] == b"ftyp" or b"MotionPhoto_Data" in rest[:4096] or b"MotionPhoto_Data" in rest[-4096:],
        xmp.GAIN_MAP: bool(found.starting(APP2, ISO_GAIN_MAP)),
        xmp.MORE: bool(found.starting(APP1, EXTENDED_XMP)),
    }
    return frozenset(claim for claim, there in claims.items() if there)


def _further_pictures(info: dict[Any, Any], data: bytes, first: Segments) -> tuple[tuple[str, ...], frozenset[str]]:
    """Notes on the pictures after the first in an MPO's index (CIPA DC-007), and what they are for."""
    views, others = 0, 0
    base = data.find(b"MPF\0") + 4
    try:
        entries = [(entry["DataOffset"] + base, entry["Size"], entry) for entry in info["mpo_index"][0xB002][1:]]
        kinds = [str(entry["Attribute"]["MPType"]) for _, _, entry in entries]
    except (KeyError, TypeError, IndexError):
        return (), frozenset()
    for (start, length, _), kind in zip(entries, kinds, strict=True):
        second = segments_of(data[start : start + length])
        packet = b"".join(second.starting(APP1, XMP))
        if xmp.GAIN_MAP in xmp.read(packet).claims or first.starting(APP2, ISO_GAIN_MAP):
            return (), frozenset({xmp.GAIN_MAP})
        same = second.frame is not None and first.frame is not None and second.frame[2:] == first.frame[2:]
        views += same
        others += not same and not kind.startswith("Large Thumbnail")
    if not views + others:
        return (), frozenset()
    which = "the other eye's view" if (views, others) == (1, 0) else "the others (views or previews)"
    return (f"It holds {1 + views + others} pictures. The Result has the first, without {which}.",), frozenset()
