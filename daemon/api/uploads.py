"""Pictures sent to the API, each in a folder of its own with its Result, until their Job is deleted or old."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from daemon.ledger.job import FINISHED
from daemon.ledger.ledger import Ledger
from stylecore.errors import NoRoom, PhotoError, ResultError
from stylecore.images.atomic_write import FULL

KEPT_FOR = 24 * 3600.0  # seconds that a finished upload and its Result wait to be fetched
CHUNK = 1 << 20


class TooLarge(PhotoError):
    """More bytes than the settings allow."""


class WrongLength(PhotoError):
    """The body is not as long as the pixels are."""


@dataclass(frozen=True)
class Pixels:
    """Raw samples: rows from the top, ``channels`` interleaved (grey, grey + alpha, RGB, RGB + alpha), sRGB, of 8 or 16
    bits in the machine's order."""

    width: int
    height: int
    channels: int
    bits: int

    @property
    def size(self) -> int:
        return self.width * self.height * self.channels * self.bits // 8

    def header(self) -> bytes:
        """NumPy's file format 1.0: a file with this before the samples is a `.npy`."""
        kind = {8: "|u1", 16: "<u2"}[self.bits]
        words = (
            f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({self.height}, {self.width}, {self.channels}), }}"
        )
        padded = words.ljust(128 - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


async def receive(
    folder: Path, name: str, body: AsyncIterator[bytes], pixels: Pixels | None, limit: int
) -> tuple[Path, str]:
    """Stream a body to a file of its own within ``folder``, by a megabyte at a time. Returns the file and the sha256 of
    its bytes. Raises TooLarge, WrongLength, PhotoError (empty), NoRoom, ResultError; then nothing stays."""
    own = folder / secrets.token_hex(8)
    path = own / _plain(name)
    digest = hashlib.sha256()
    try:
        own.mkdir(parents=True)
        with path.open("wb") as file:
            start = pixels.header() if pixels else b""
            await to_thread.run_sync(_write, file, start, digest)
            total, waiting = 0, bytearray()
            async for chunk in body:
                total += len(chunk)
                if total > limit:
                    raise TooLarge(
                        f"The picture has more than {limit >> 20} MB: send a smaller one, or raise `upload_limit` in the settings."
                    )
                waiting += chunk
                if len(waiting) >= CHUNK:
                    await to_thread.run_sync(_write, file, bytes(waiting), digest)
                    waiting.clear()
            await to_thread.run_sync(_write, file, bytes(waiting), digest)
        if pixels and total != pixels.size:
            raise WrongLength(f"The body has {total} bytes, where {pixels} has {pixels.size}.")
        if not total:
            raise PhotoError("The body is empty: send a picture.")
    except BaseException as e:
        shutil.rmtree(own, ignore_errors=True)
        if isinstance(e, OSError) and e.errno is not None:
            kind = NoRoom if e.errno in FULL else ResultError
            raise kind(f"The picture cannot be kept ({e.strerror}): make room or mend the rights of {folder}.") from e
        raise
    return path, digest.hexdigest()


def clear(folder: Path, ledger: Ledger, left_for: float = 0.0) -> None:
    """Take away what no unfinished Job needs and nobody fetched in a day, or what a crash ``left_for`` so many
    seconds: a picture under way has no Job yet."""
    with contextlib.suppress(OSError):
        for own in list(folder.iterdir()):
            job = ledger.uploaded_to(own)
            age = time.time() - own.stat().st_mtime
            if (job is None and age > left_for) or (job is not None and job.state in FINISHED and age > KEPT_FOR):
                shutil.rmtree(own, ignore_errors=True)


def forget(photo: Path) -> None:
    shutil.rmtree(photo.parent, ignore_errors=True)


def _write(file: object, data: bytes, digest: object) -> None:
    file.write(data)  # type: ignore[attr-defined]
    digest.update(data)  # type: ignore[attr-defined]


def _plain(name: str) -> str:
    """A file's name without folders, of at most 200 bytes, that says what it did."""
    plain = "".join(
        c for c in name.replace("\\", "/").rpartition("/")[2] if c.isprintable() and c != ":"
    )  # D:x is another drive's
    raw = plain.encode("utf-8", "replace")
    if len(raw) > 200:
        stem, dot, suffix = plain.rpartition(".")
        plain = (stem or plain).encode("utf-8", "replace")[:150].decode("utf-8", "ignore") + (dot + suffix)[:40]
        plain = os.fsdecode(plain.encode("utf-8", "replace")[:200])
    return "picture" if plain in ("", ".", "..") or plain.startswith("result.") else plain
