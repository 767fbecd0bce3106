"""Pictures sent to the API, each in its own folder with its Result, until its Job is deleted or old."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from daemon.errors import UploadLength, UploadTooLarge
from daemon.ledger.job import FINISHED, Job
from daemon.ledger.ledger import Ledger
from stylecore.errors import NoRoom, PhotoError, ResultError, cause
from stylecore.images.atomic_write import DISK_FULL

CHUNK = 1 << 20
LONGEST_NAME = 200  # bytes


@dataclass(frozen=True)
class Pixels:
    """Bare sRGB samples: rows from the top, ``channels`` interleaved (grey, grey + alpha, RGB, RGB + alpha), of 8 or 16
    bits, little-endian."""

    width: int
    height: int
    channels: int
    bits: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.width * self.height * self.channels * self.bits // 8

    def header(self) -> bytes:
        """The header that turns a file of samples into NumPy's format."""
        import numpy as np

        kind = np.dtype("u1" if self.bits == 8 else "<u2")
        out = io.BytesIO()
        shape = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(out, shape)
        return out.getvalue()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


def shape_headers(file: BinaryIO) -> dict[str, str]:
    """The shape of bare samples, as headers of an answer. Leaves the file at the first sample."""
    import numpy as np

    np.lib.format.read_magic(file)
    (height, width, channels), _, kind = np.lib.format.read_array_header_1_0(file)
    shape = {"Width": width, "Height": height, "Channels": channels, "Bits": kind.itemsize * 8}
    return {f"Stylefolder-{name}": str(value) for name, value in shape.items()}


async def receive(
    folder: Path, name: str, body: AsyncIterator[bytes], pixels: Pixels | None, limit: int
) -> tuple[Path, str]:
    """Stream a body to a file in a new folder inside ``folder``. Returns the file and the sha256 of its bytes.

    Raises UploadTooLarge (more than ``limit`` bytes), UploadLength, PhotoError (empty), NoRoom or ResultError; then
    nothing is left behind.
    """
    own = folder / secrets.token_hex(8)
    path = own / plain_name(name)
    try:
        await to_thread.run_sync(lambda: own.mkdir(parents=True))
        total, digest = await _stream(path, body, pixels.header() if pixels else b"", limit)
        if pixels and total != pixels.size:
            raise UploadLength(f"The body has {total} bytes, but {pixels} has {pixels.size}.")
        if not total:
            raise PhotoError("The picture is empty: copy it again.")
    except BaseException as e:
        shutil.rmtree(own, ignore_errors=True)
        if isinstance(e, OSError) and e.errno is not None:
            kind = NoRoom if e.errno in DISK_FULL else ResultError
            remedy = "free some space" if kind is NoRoom else f"check the permissions of {folder}"
            raise kind(f"The picture cannot be saved ({cause(e)}): {remedy}.") from e
        raise
    return path, digest


async def _stream(path: Path, body: AsyncIterator[bytes], start: bytes, limit: int) -> tuple[int, str]:
    """A megabyte at a time. Returns the body's length and the sha256 of the file."""
    digest = hashlib.sha256()
    total, waiting = 0, bytearray(start)
    with path.open("wb") as file:

        def write(data: bytes) -> None:
            file.write(data)
            digest.update(data)

        async for chunk in body:
            total += len(chunk)
            if total > limit:
                raise UploadTooLarge(
                    f"The picture is larger than {limit >> 20} MB: send a smaller one, or raise `upload_limit` in the "
                    "settings."
                )
            waiting += chunk
            if len(waiting) >= CHUNK:
                await to_thread.run_sync(write, bytes(waiting))
                waiting.clear()
        await to_thread.run_sync(write, bytes(waiting))
    return total, digest.hexdigest()


def clear(folder: Path, ledger: Ledger, kept_for: float, left_for: float = 0.0) -> None:
    """Remove what nobody fetched in ``kept_for`` seconds, and what has no Job although it is ``left_for`` seconds old:
    a picture that is being sent has no Job yet."""
    with contextlib.suppress(OSError):
        for own in list(folder.iterdir()):
            job = ledger.history.uploaded_to(own)
            age = time.time() - own.stat().st_mtime
            if (job is None and age > left_for) or (job is not None and job.state in FINISHED and age > kept_for):
                shutil.rmtree(own, ignore_errors=True)


def make_room(folder: Path, store: Path, ledger: Ledger, quota: int) -> None:
    """Remove finished uploads, the oldest first, while they and the files in ``store`` take more than ``quota`` bytes.
    Raises NoRoom if that is not enough."""
    kept = sorted((own.stat().st_mtime, own) for own in _inside(folder))
    sizes = {own: sum(file.stat().st_size for file in _inside(own)) for _, own in kept}
    total = sum(sizes.values()) + sum(file.stat().st_size for file in _inside(store))
    for _, own in kept:
        if total < quota:
            return
        job = ledger.history.uploaded_to(own)
        if job is not None and job.state in FINISHED:
            shutil.rmtree(own, ignore_errors=True)
            total -= sizes[own]
    if total >= quota:
        raise NoRoom(
            f"The daemon keeps {total >> 20} MB for its clients already: wait until it has painted some of it, or "
            "raise `upload_quota` in its settings."
        )


def _inside(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # not there yet, or just removed
        return list(folder.iterdir())
    return []


def is_here(job: Job) -> bool:
    """Not an upload that was removed, because someone asked for it or nobody fetched its Result."""
    return job.source != "upload" or job.photo.parent.exists()


def forget(photo: Path) -> None:
    """Remove an upload and its Result."""
    shutil.rmtree(photo.parent, ignore_errors=True)


def plain_name(name: str) -> str:
    """A file name without folders, short enough for every file system."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable() and c != ":")  # on Windows, D:x is on another drive
    raw = plain.encode("utf-8", "replace")
    if len(raw) > LONGEST_NAME:
        stem, dot, suffix = plain.rpartition(".")
        plain = (stem or plain).encode("utf-8", "replace")[:150].decode("utf-8", "ignore") + (dot + suffix)[:40]
        plain = os.fsdecode(plain.encode("utf-8", "replace")[:LONGEST_NAME])
    return "picture" if plain in ("", ".", "..") or plain.startswith("result.") else plain
