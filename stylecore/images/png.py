"""PNG (third edition): its chunks, 8 and 16 bits, four ways to describe colours, and text."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from stylecore.colour import Pixels
from stylecore.images import cicp, complete, exif, icc, iptc, with_pillow
from stylecore.images.cicp import Cicp
from stylecore.images.photo import Decoded, Metadata
from stylecore.images.with_pillow import split_samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
MAX_RAW_PROFILE = 1 << 24  # bytes
XMP_KEYWORD, RAW_PROFILE = "XML:com.adobe.xmp", "Raw profile type "


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    bits, chunks = _walk(path, file)
    picture = with_pillow.read(path, ["PNG"], check_size)
    samples, alpha = picture.samples, picture.alpha
    if bits == 16:
        samples, alpha = split_samples(_deep(path))
    text = {str(key): str(value) for key, value in picture.info.get("text", {}).items()}
    block, turn, raw_exif = picture.exif, picture.turn, _raw_profile(text, "exif", "APP1")
    if block is None and raw_exif.startswith(b"Exif\0\0"):
        block = raw_exif.removeprefix(b"Exif\0\0")
        turn = exif.orientation(block)
    record = _raw_profile(text, "iptc")
    metadata = Metadata(
        exif=block,
        xmp=picture.xmp or _raw_profile(text, "xmp") or None,
        iptc=(iptc.from_resources(record.removeprefix(iptc.PHOTOSHOP)) or record) or None,
        text=tuple((key, value) for key, value in text.items() if key != XMP_KEYWORD and RAW_PROFILE not in key),
        dpi=picture.dpi,
    )
    colour = _colour(chunks, picture.profile) or _raw_profile(text, "icc", "icm") or None
    if isinstance(colour, Cicp) and not colour.full:
        samples = cicp.full_range(samples)
    return Decoded(samples, alpha, colour, metadata, turn, bits=bits)


def _walk(path: Path, file: BinaryIO) -> tuple[int, dict[bytes, bytes]]:
    """Bits per channel, and the chunks that describe colours. Raises PhotoError if a chunk is not all there."""
    size, at, bits = complete.size_of(file), len(SIGNATURE), 8
    found: dict[bytes, bytes] = {}
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            raise complete.cut_off(path)
        length, name = struct.unpack(">I4s", header)
        if name == b"\0\0\0\0":
            raise complete.not_copied(path)
        if not name.isalpha():
            raise complete.damaged(path)
        if at + 12 + length > size:
            raise complete.cut_off(path)
        if name == b"IHDR" and length == 13:
            bits = max(8, file.read(13)[8])
        elif name in COLOUR_CHUNKS and length <= MAX_RAW_PROFILE:
            found.setdefault(name, file.read(length))
        elif name == b"IEND":
            return bits, found
        at += 12 + length


def _colour(chunks: dict[bytes, bytes], profile: bytes | None) -> bytes | Cicp | None:
    """cICP, then iCCP, then sRGB, then gAMA and cHRM (section 4.3)."""
    code_points = chunks.get(b"cICP", b"")
    if len(code_points) == 4:
        return Cicp(code_points[0], code_points[1], full=code_points[3] != 0)
    if b"iCCP" in chunks:
        return profile or b"damaged"
    if b"sRGB" in chunks:
        return None
    gamma, corners = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    if len(gamma) != 4 and len(corners) != 32:
        return None
    white, primaries = icc.D65, icc.SRGB_PRIMARIES
    if len(corners) == 32:
        numbers = [number / 100_000 for number in struct.unpack(">8I", corners)]
        white, primaries = (numbers[0], numbers[1]), tuple(numbers[2:])
    exponent = 100_000 / struct.unpack(">I", gamma)[0] if len(gamma) == 4 and any(gamma) else 2.2
    return icc.rgb_profile(primaries, white, gamma=exponent)


def _raw_profile(text: dict[str, str], *kinds: str) -> bytes:
    """What ImageMagick and others keep in text: a name, a length, and hexadecimal digits. Empty if there is none."""
    for kind in kinds:
        found = re.match(r"\s*\S+\s+\d+\s+([0-9A-Fa-f\s]*)\Z", text.get(RAW_PROFILE + kind, ""))
        if found:
            digits = "".join(found[1].split())
            return bytes.fromhex(digits[: len(digits) // 2 * 2])
    return b""


def _deep(path: Path) -> Pixels:
    """The samples of a 16-bit PNG, which Pillow would reduce to 8 bits."""
    import imagecodecs

    try:
        samples: Pixels = imagecodecs.png_decode(path.read_bytes())
    except imagecodecs.PngError as e:
        raise complete.damaged(path) from e
    return samples


def with_chunks(data: bytes, metadata: Metadata, profile: bytes | None) -> bytes:
    """A PNG with what a Photo carries: iCCP, pHYs, eXIf, and text chunks, before the pixels."""
    chunks = b""
    if profile:
        chunks += chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    if metadata.dpi:  # pixels per metre
        chunks += chunk(b"pHYs", struct.pack(">IIB", *(round(edge / 0.0254) for edge in metadata.dpi), 1))
    if metadata.exif:
        chunks += chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += chunk(b"iTXt", XMP_KEYWORD.encode() + b"\0\0\0\0\0" + metadata.xmp)
    if metadata.iptc:
        wrapped = iptc.as_resources(metadata.iptc)
        lines = [wrapped[at : at + 36].hex() for at in range(0, len(wrapped), 36)]
        body = "\n".join(["", "iptc", f"{len(wrapped):8d}", *lines, ""]).encode()
        chunks += chunk(b"zTXt", f"{RAW_PROFILE}iptc".encode() + b"\0\0" + zlib.compress(body))
    for key, value in metadata.text:
        chunks += chunk(b"iTXt", key.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + value.encode())
    after_header = len(SIGNATURE) + 25
    return data[:after_header] + chunks + data[after_header:]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
