"""Files as one ZIP, made while it is sent: nothing is kept on the disk or in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK = 1 << 20


class _Pipe:
    """What ``zipfile`` writes to: it cannot seek, so sizes follow each file's bytes."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data, self.waiting = bytes(self.waiting), bytearray()
        return data


def zipped(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Each file under its name, uncompressed: pictures are compressed already. A file that is gone is left out."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]
        for name, path in files:
            try:
                source = path.open("rb")
            except OSError:
                continue
            with source, archive.open(name, "w", force_zip64=True) as entry:
                while chunk := source.read(CHUNK):
                    entry.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()


def distinct(names: Iterable[str]) -> Iterator[str]:
    """As they are, or with a number: a ZIP should not hold two files of one name."""
    used: set[str] = set()
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        free, number = name, 2
        while free.casefold() in used:
            free, number = f"{stem or suffix} ({number}){dot + suffix if stem else ''}", number + 1
        used.add(free.casefold())
        yield free
