"""GIF: one picture, with an ICC profile, XMP and comments in its extensions."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from stylecore.images import complete, with_pillow
from stylecore.images.photo import Decoded, Metadata

ICC, XMP = b"ICCRGBG1012", b"XMP DataXMP"
XMP_TRAILER = 258  # bytes that lead readers who see sub-blocks to the packet's end (XMP specification, part 3)
MAX_EXTENSION = 1 << 24  # bytes


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    extensions = _extensions(path, file)
    picture = with_pillow.read(path, ["GIF"], check_size)
    comment = picture.info.get("comment")
    metadata = Metadata(xmp=extensions.get(XMP) or picture.xmp, comment=comment if isinstance(comment, bytes) else None)
    return Decoded(picture.samples, picture.alpha, extensions.get(ICC), metadata)


def _extensions(path: Path, file: BinaryIO) -> dict[bytes, bytes]:
    """Walk the blocks up to the trailer (GIF89a specification). Returns applications' data, by name. Raises
    PhotoError."""
    file.seek(0)
    data = file.read()
    found: dict[bytes, bytes] = {}

    def after_table(at: int, flags: int) -> int:
        return at + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    def sub_blocks(at: int) -> tuple[int, bytes]:
        body = b""
        while data[at] != 0:
            body += data[at + 1 : at + 1 + data[at]] if len(body) < MAX_EXTENSION else b""
            at += 1 + data[at]
        return at + 1, body

    try:
        at = after_table(13, data[10])
        while (block := data[at]) != 0x3B:
            if block == 0x2C:
                at, _ = sub_blocks(after_table(at + 10, data[at + 9]) + 1)
            elif block == 0x21:
                application, start = data[at + 3 : at + 14], at + 14
                at, body = sub_blocks(at + 2)
                if application == ICC:
                    found[ICC] = body[11:]
                elif application == XMP:
                    found[XMP] = data[start : at - XMP_TRAILER]
            elif data[at:].strip(b"\0"):
                raise complete.damaged(path)
            else:
                raise complete.not_copied(path)
    except IndexError as e:
        raise complete.cut_off(path) from e
    return found
