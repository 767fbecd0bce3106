"""JPEG, as cameras and phones write it: one picture, perhaps followed by a video, a gain map or more pictures."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stylecore.images import complete, iptc, with_pillow, xmp
from stylecore.images.photo import Decoded, Metadata

START_OF_SCAN, END_OF_IMAGE, APP1, APP2, APP13, COMMENT = 0xDA, 0xD9, 0xE1, 0xE2, 0xED, 0xFE
EXTENDED_XMP, ISO_GAIN_MAP = b"http://ns.adobe.com/xmp/extension/\0", b"urn:iso:std:iso:ts:21496:-1\0"
LEAST_ZEROS = 16  # bytes at the end, in place of the end-of-image marker
_next_marker = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search


@dataclass(frozen=True)
class Segments:
    """``segments``: marker and body of each APPn and comment of the first picture. ``end``: the position after its
    end-of-image marker, or None if there is none."""

    segments: tuple[tuple[int, bytes], ...]
    end: int | None

    def starting(self, marker: int, name: bytes) -> list[bytes]:
        return [body[len(name) :] for found, body in self.segments if found == marker and body.startswith(name)]


def segments_of(data: bytes) -> Segments:
    """Walk from marker to marker (ITU-T T.81, annex B), over any number of scans. Never raises an error."""
    found: list[tuple[int, bytes]] = []
    at = 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker == END_OF_IMAGE:
            return Segments(tuple(found), at + 2)
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        else:
            length = struct.unpack_from(">H", data, at + 2)[0] if at + 4 <= len(data) else 0
            if 0xE0 <= marker <= 0xEF or marker == COMMENT:
                found.append((marker, data[at + 4 : at + 2 + length]))
            at += 2 + length
            if marker == START_OF_SCAN:
                after = _next_marker(data, at)
                if after is None:
                    break
                at = after.start()
    return Segments(tuple(found), None)


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    file.seek(0)
    data = file.read()
    found = segments_of(data)
    if found.end is None and not data[-LEAST_ZEROS:].strip(b"\0"):
        raise complete.not_copied(path)
    picture = with_pillow.read(path, ["JPEG"], check_size)  # which opens MPO too
    comments = found.starting(COMMENT, b"")
    metadata = Metadata(
        exif=picture.exif,
        xmp=picture.xmp,
        iptc=iptc.from_resources(b"".join(found.starting(APP13, iptc.PHOTOSHOP))),
        comment=b"\n".join(comments) or None,
        dpi=picture.dpi,
    )
    notes = _what_else(picture, found, data[found.end :] if found.end else b"")
    return Decoded(picture.samples, picture.alpha, picture.profile, metadata, picture.turn, notes=notes)


def _what_else(picture: with_pillow.Picture, found: Segments, rest: bytes) -> tuple[str, ...]:
    """Notes on what is in the file besides the picture."""
    claims = set(xmp.read(picture.xmp).claims) if picture.xmp else set()
    if rest[4:8] == b"ftyp" or b"MotionPhoto_Data" in rest[:4096] or b"MotionPhoto_Data" in rest[-4096:]:
        claims.add(xmp.VIDEO)
    if found.starting(APP2, ISO_GAIN_MAP):
        claims.add(xmp.GAIN_MAP)
    if found.starting(APP1, EXTENDED_XMP):
        claims.add(xmp.MORE)
    notes = tuple(f"The {claim} is not in the Result." for claim in sorted(claims))
    views = [kind for kind in _further_pictures(picture.info) if not kind.startswith("Large Thumbnail")]
    if views and xmp.GAIN_MAP not in claims:
        stereo = "the other eye's view" if len(views) == 1 else "the other views"
        notes = (*notes, f"It holds {len(views) + 1} pictures. The Result has the first, without {stereo}.")
    return notes


def _further_pictures(info: dict[Any, Any]) -> list[str]:
    """What an MPO's index (CIPA DC-007) calls the pictures after the first."""
    try:
        return [str(entry["Attribute"]["MPType"]) for entry in info["mpo_index"][0xB002][1:]]
    except (KeyError, TypeError, IndexError):
        return []
