"""Is a file complete? An interrupted copy is too short or, if the program first gave the file its full size, ends in
zeros. Most decoders read both without an error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from stylecore.errors import PhotoError

ZERO_RUN = 4096  # bytes: compressed pixels never end in so many zeros
SHORT_RUN = 64  # bytes: nor do they consist of nothing else
CHUNK = 1 << 20
BLACK_END = (
    "The file's last pixels are all zeros, which is either black or an interrupted copy: compare it with the original."
)


def damaged(path: Path) -> PhotoError:
    return PhotoError(f"{path.name} is damaged: copy it again from the original.")


def cut_off(path: Path) -> PhotoError:
    return PhotoError(f"{path.name} is cut off: copy it again from the original.")


def not_copied(path: Path) -> PhotoError:
    return PhotoError(f"{path.name} was not copied completely (the end is empty): copy it again from the original.")


def check_not_empty(path: Path, file: BinaryIO, head: bytes) -> None:
    """Raise PhotoError for a file of nothing, or of nothing but zeros, as some clouds leave it before a download."""
    if not head:
        raise PhotoError(f"{path.name} is empty: it contains no picture.")
    if head.strip(b"\0"):
        return
    file.seek(0)
    while chunk := file.read(CHUNK):
        if chunk.strip(b"\0"):
            return
    raise PhotoError(f"{path.name} contains only zeros: it was not downloaded. Download it, or copy it again.")


def size_of(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def ends_in_zeros(file: BinaryIO, start: int, end: int) -> bool:
    """Whether the bytes from ``start`` to ``end`` end in a long run of zeros, or are nothing else."""
    length = min(ZERO_RUN, end - start)
    if length < SHORT_RUN:
        return False
    file.seek(end - length)
    return not file.read(length).strip(b"\0")


def is_zero(file: BinaryIO, start: int, end: int) -> bool:
    """Whether there is something between ``start`` and ``end``, and all of it is zeros."""
    file.seek(start)
    data = file.read(end - start)
    return bool(data) and not data.strip(b"\0")


def check_pixels(path: Path, file: BinaryIO, start: int, end: int, *, compressed: bool) -> tuple[str, ...]:
    """Check the bytes that hold the pixels. Returns notes. Raises PhotoError if they are not all there.

    Uncompressed, zeros may be black: only a hole, where nothing was ever written, proves that they are missing.
    """
    if end > size_of(file):
        raise cut_off(path)
    if not ends_in_zeros(file, start, end):
        return ()
    if compressed or _has_hole(file, end - min(ZERO_RUN, end - start), end):
        raise not_copied(path)
    return (BLACK_END,)


def _has_hole(file: BinaryIO, start: int, end: int) -> bool:
    """A file system that cannot tell says no."""
    seek_hole = getattr(os, "SEEK_HOLE", None)
    if seek_hole is None:
        return False
    try:
        return os.lseek(file.fileno(), start, seek_hole) < end
    except OSError:
        return False
    finally:
        file.seek(0)


def check_webp(path: Path, file: BinaryIO) -> None:
    """RIFF's chunks (WebP container specification). Raises PhotoError."""
    size = size_of(file)
    file.seek(4)
    end = 8 + int.from_bytes(file.read(4), "little")
    if end > size:
        raise cut_off(path)
    at = 12
    while at + 8 <= end:
        file.seek(at)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if at + 8 + length > end:
            raise cut_off(path)
        compressed = name in (b"VP8 ", b"VP8L", b"ANMF") or (name == b"ALPH" and file.read(1)[0] & 3)
        if name == b"\0\0\0\0" or (compressed and ends_in_zeros(file, at + 8, at + 8 + length)):
            raise not_copied(path)
        if name in (b"EXIF", b"XMP ") and is_zero(file, at + 8, at + 8 + length):
            raise not_copied(path)
        at += 8 + length + length % 2
