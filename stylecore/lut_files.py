"""Tables as files: .cube, which most editors and video programs read, and HaldCLUT, a picture that RawTherapee,
darktable and GMIC read.

A .cube file (Adobe, "Cube LUT Specification 1.0") is text: a size, then one colour to a line, red changing fastest. A
HaldCLUT of level L is a picture of L^3 x L^3 pixels: a table of L^2 points along each axis, red changing fastest
(Eskil Steenberg, quelsolaar.com).
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.errors import LutError, PhotoError, cause
from stylecore.images import png
from stylecore.images.decode import load_photo
from stylecore.images.photo import Metadata
from stylecore.images.preview import DECODER_ERRORS
from stylecore.lut import SIZE, Lut, identity

MADE_BY = "Made by Stylefolder"
EXTENSIONS = {"cube": ".cube", "hald": ".hald.png"}
MAX_SIZE = 129  # points along each axis: 26 MB
MAX_BYTES = 80_000_000  # of a .cube file of that size
LARGEST, NARROWEST = 1e6, 1e-6  # values, and domains, that make sense
MAX_LINE = 1000
HALD_LEVEL = 8  # 64 points: what RawTherapee and darktable read
LEVELS = range(2, 12)


def read_lut(path: Path) -> tuple[Lut, tuple[str, ...]]:
    """A .cube file, or a HaldCLUT in any picture format, with notes on what is lost. Raises LutError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            megabytes = path.stat().st_size // 1_000_000
            raise LutError(
                f"{path.name} has {megabytes} MB; a table of colours has at most {MAX_BYTES // 1_000_000}: use another."
            )
        if not path.is_file():
            raise LutError(f"The table {path} is not a file: name a .cube file or a HaldCLUT.")
        if path.suffix.lower() == ".cube":
            return _read_cube(path), ()
        return _read_hald(path)
    except PhotoError as e:
        raise LutError(f"{path.name} is neither a .cube file nor a HaldCLUT, or it is damaged: use another.") from e
    except OSError as e:
        raise LutError(f"The table {path} cannot be read ({cause(e)}): check its name and permissions.") from e


def is_unchanged(path: Path) -> bool:
    """Whether this is a table as `encode_lut` gave it, byte for byte or, for a picture, pixel for pixel."""
    data = path.read_bytes()
    if path.suffix == ".cube":
        first, _, rest = data.partition(b"\n")
        return first == _mark(rest).encode()
    try:
        with Image.open(io.BytesIO(data)) as image:
            mark = image.info.get("Comment")
        return bool(mark == _mark(_png_samples(data)))
    except (*DECODER_ERRORS, OSError):
        return False


def _mark(contents: bytes) -> str:
    return f"# {MADE_BY}. sRGB in, sRGB out. sha256 {hashlib.sha256(contents).hexdigest()}"


def _png_samples(data: bytes) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_decode(data).tobytes())


def cube(lut: Lut, title: str) -> bytes:
    """The file's bytes. Comments come first, as Resolve wants them; ``title`` is put between quotation marks."""
    lut = lut.resampled(SIZE)
    plain = re.sub(r"[^ -!#-~]", "?", title)[:200]
    head = f'TITLE "{plain}"\nLUT_3D_SIZE {lut.size}\n'
    rows = lut.colours.clip(0, 1).transpose(2, 1, 0, 3).reshape(-1, 3)
    text = (head + "".join(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in rows.tolist())).encode("ascii")
    return f"{_mark(text)}\n".encode("ascii") + text


def hald(lut: Lut) -> bytes:
    """A PNG of 16 bits per channel."""
    import imagecodecs

    table = lut.resampled(HALD_LEVEL**2).colours.clip(0, 1).transpose(2, 1, 0, 3)
    edge = HALD_LEVEL**3
    pixels = np.rint(table.reshape(edge, edge, 3) * 65535).astype(np.uint16)
    return png.with_chunks(
        bytes(imagecodecs.png_encode(pixels, level=6)), Metadata(text=(("Comment", _mark(pixels.tobytes())),)), None
    )


def encode_lut(lut: Lut, kind: str, title: str) -> bytes:
    """``kind``: cube or hald."""
    return cube(lut, title) if kind == "cube" else hald(lut)


def kind_of_name(path: Path) -> str:
    """What is written to a file of this name. Raises LutError."""
    kinds = {".cube": "cube", ".png": "hald"}
    if path.suffix.lower() not in kinds:
        raise LutError(f"{path.name}: a table is a .cube file or, as a HaldCLUT, a .png picture: use one of these.")
    return kinds[path.suffix.lower()]


@dataclass(frozen=True)
class _Header:
    size: int = 0
    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)


def _read_cube(path: Path) -> Lut:
    header, values = _Header(), array("f")
    for where, words in _lines(path):
        if words[0][0].isalpha() and words[0] not in ("nan", "inf"):
            header = _with_keyword(header, words, where)
            continue
        values.extend(_three(words, where))
        if len(values) > 3 * (header.size or MAX_SIZE) ** 3:
            raise LutError(f"{where}: there are more colours than LUT_3D_SIZE says: copy the file again.")
    size, low, high = header.size, header.low, header.high
    if not size:
        raise LutError(f"{path.name} has no LUT_3D_SIZE: this is not a .cube file.")
    if len(values) != size**3 * 3:
        raise LutError(
            f"{path.name} holds {len(values) // 3} colours, and LUT_3D_SIZE {size} needs {size**3}: copy it again."
        )
    if not all(b - a >= NARROWEST for a, b in zip(low, high, strict=True)):
        raise LutError(f"{path.name}: DOMAIN_MIN must be less than DOMAIN_MAX, for each channel: correct these lines.")
    table = Lut(np.frombuffer(values, np.float32).reshape(size, size, size, 3).transpose(2, 1, 0, 3).copy())
    return table if header == _Header(size) else _from_domain(table, low, high)


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line is, and its words, without comments and titles."""
    number = 0
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        while line := file.readline(MAX_LINE):
            number += 1
            where = f"{path.name}, line {number}"
            if len(line) == MAX_LINE:
                raise LutError(f"{where}: is too long: this is not a .cube file.")
            words = line.split()
            if words and not words[0].startswith("#") and words[0] != "TITLE":
                yield where, words


def _with_keyword(header: _Header, words: list[str], where: str) -> _Header:
    match words:
        case ["LUT_3D_SIZE", *rest]:
            return replace(header, size=_size(rest, where))
        case ["LUT_1D_SIZE" | "LUT_1D_INPUT_RANGE", *_]:
            raise LutError(f"{where}: holds three curves, not a table of colours: export it as a 3D LUT.")
        case ["DOMAIN_MIN", *rest]:
            return replace(header, low=_three(rest, where))
        case ["DOMAIN_MAX", *rest]:
            return replace(header, high=_three(rest, where))
        case ["LUT_3D_INPUT_RANGE", low, high]:
            first, last, _ = _three([low, high, "0"], where)
            return replace(header, low=(first,) * 3, high=(last,) * 3)
        case ["LUT_IN_VIDEO_RANGE" | "LUT_OUT_VIDEO_RANGE", *_]:
            raise LutError(f"{where}: the table is for video levels: export it for the full range.")
    raise LutError(f"{where}: {' '.join(words)[:60]!r} is no line of a .cube file: the file is damaged.")


def _size(words: list[str], where: str) -> int:
    if len(words) != 1 or not words[0].isascii() or not words[0].isdecimal() or not 2 <= int(words[0]) <= MAX_SIZE:
        raise LutError(f"{where}: LUT_3D_SIZE must be a number from 2 to {MAX_SIZE}.")
    return int(words[0])


def _three(words: list[str], where: str) -> tuple[float, float, float]:
    try:
        r, g, b = map(float, words)
    except ValueError:
        r = g = b = math.nan
    if not all(math.isfinite(value) and abs(value) <= LARGEST for value in (r, g, b)):
        raise LutError(f"{where}: {' '.join(words)[:60]!r} should be three numbers: the file is damaged.")
    return r, g, b


def _from_domain(table: Lut, low: tuple[float, ...], high: tuple[float, ...]) -> Lut:
    """A table of 0..1. Colours outside the file's own domain get those of its edge, as the specification says."""
    a, b = np.array(low, np.float32), np.array(high, np.float32)
    return Lut(table.of((identity(max(SIZE, table.size)) - a) / (b - a)))


def _read_hald(path: Path) -> tuple[Lut, tuple[str, ...]]:
    photo = load_photo(path)
    width, height = photo.size
    level = next((level for level in LEVELS if level**3 == width == height), None)
    if level is None:
        known = ", ".join(str(level**3) for level in LEVELS)
        raise LutError(
            f"{path.name} is {width} x {height} pixels, but a HaldCLUT is a square of {known} pixels: use a .cube "
            "file, or a HaldCLUT that was not resized."
        )
    size = level**2
    pixels = photo.pixels.reshape(size, size, size, 3).transpose(2, 1, 0, 3)  # blue changes slowest in the picture
    note = f"{path.name} holds 8 bits per channel, so smooth areas can show steps: use 16 bits, or a .cube file."
    colours = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return Lut(colours), (note,) if photo.bits <= 8 else ()
