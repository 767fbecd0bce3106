"""BMP: its header says where the pixels are and, from version 4 on, which colours they mean."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from stylecore.images import complete, icc, with_pillow
from stylecore.images.photo import Decoded, Metadata

CALIBRATED, EMBEDDED, LINKED = 0, b"DEBM", b"KNIL"  # little-endian 'MBED' and 'LINK'
UNCOMPRESSED = (0, 3, 6)


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    file.seek(0)
    head = file.read(14 + 124)
    notes = _check_complete(path, file, head)
    picture = with_pillow.read(path, ["BMP"], check_size)
    return Decoded(
        picture.samples, picture.alpha, _colour(path, file, head), Metadata(dpi=picture.dpi), picture.turn, notes=notes
    )


def _check_complete(path: Path, file: BinaryIO, head: bytes) -> tuple[str, ...]:
    start, header = struct.unpack_from("<II", head, 10)
    if header in (12, 16):  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
        compression = length = 0
    else:
        width, height, _, bits, compression, length = struct.unpack_from("<iiHHII", head, 18)
    plain = compression in UNCOMPRESSED
    if plain:
        length = (width * bits + 31) // 32 * 4 * abs(height)
    return complete.check_pixels(path, file, start, start + length, compressed=not plain)


def _colour(path: Path, file: BinaryIO, head: bytes) -> bytes | None:
    """Raises UnknownColours for colours that the header describes as impossible or keeps elsewhere."""
    header = struct.unpack_from("<I", head, 14)[0]
    if header < 108 or len(head) < 14 + header:
        return None
    space = head[70:74]
    if space == LINKED:
        raise icc.UnknownColours("the profile is in another file")
    if space == EMBEDDED and header >= 124:
        where, length = struct.unpack_from("<II", head, 14 + 112)
        if 14 + where + length > complete.size_of(file):
            raise complete.cut_off(path)
        if complete.is_zero(file, 14 + where, 14 + where + length):
            raise complete.not_copied(path)
        file.seek(14 + where)
        return file.read(length)
    corners = struct.unpack_from("<9I", head, 74)  # X, Y, Z of red, green, blue, as fractions of 2**30
    gammas = struct.unpack_from("<3I", head, 110)  # as fractions of 2**16
    if space != bytes(4) or not any(corners) or not all(gammas):
        return None
    xyz = [corners[i : i + 3] for i in (0, 3, 6)]
    white = [sum(column) for column in zip(*xyz, strict=True)]
    if not all(map(sum, xyz)):
        raise icc.UnknownColours("primaries without light")
    primaries = [value / sum(corner) for corner in xyz for value in corner[:2]]
    return icc.rgb_profile(primaries, [value / sum(white) for value in white[:2]], gamma=gammas[1] / 65536)
