"""PNG (third edition): its chunks, 8 and 16 bits, four ways to describe colours, and text."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from PIL import PngImagePlugin

from stylecore.colour import Pixels
from stylecore.images import cicp, complete, exif, icc, iptc, with_pillow
from stylecore.images.channels import split_samples
from stylecore.images.cicp import Cicp
from stylecore.images.photo import Decoded, Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
MAX_TEXT = 1 << 26  # bytes, of one chunk when it is no longer compressed
XMP_KEYWORD, RAW_PROFILE = "XML:com.adobe.xmp", "Raw profile type "
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"

PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT  # workflows and profiles that programs keep in PNGs are larger than its limit
PngImagePlugin.MAX_TEXT_MEMORY = 4 * MAX_TEXT


@dataclass
class Chunks:
    """``bits``: per channel. ``colour``: the chunks that describe colours. ``text``: keyword and text, in order."""

    bits: int = 8
    colour: dict[bytes, bytes] = field(default_factory=dict)
    text: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError, and what Pillow raises."""
    chunks = _walk(path, file)
    picture = with_pillow.read(path, ["PNG"], check_size)
    samples, alpha = picture.samples, picture.alpha
    if chunks.bits == 16:
        samples, alpha = split_samples(_deep(path))
    raw = _raw_profiles(chunks.text)
    block, packet = picture.exif, picture.xmp or raw.get("xmp")
    turn = picture.turn
    for kind in ("exif", "APP1"):
        data = raw.get(kind, b"")
        if data.startswith(XMP_SEGMENT):
            packet = packet or data.removeprefix(XMP_SEGMENT)
        elif block is None and data.removeprefix(b"Exif\0\0")[:2] in (b"II", b"MM"):
            block = data.removeprefix(b"Exif\0\0")
            turn = exif.orientation(block)
    resources = raw.get("8bim", b"") + raw.get("iptc", b"").removeprefix(iptc.PHOTOSHOP)
    metadata = Metadata(
        exif=block,
        xmp=packet,
        iptc=iptc.from_resources(resources) or raw.get("iptc"),
        text=tuple(pair for pair in chunks.text if pair[0] != XMP_KEYWORD and RAW_PROFILE not in pair[0]),
        dpi=picture.dpi,
    )
    colour = _colour(chunks.colour, picture.profile)
    if not chunks.colour:
        colour = raw.get("icc") or raw.get("icm")
    if isinstance(colour, Cicp) and not colour.full:
        samples = cicp.full_range(samples)
    return Decoded(samples, alpha, colour, metadata, turn, bits=chunks.bits)


def _walk(path: Path, file: BinaryIO) -> Chunks:
    """Raises PhotoError if a chunk is not all there."""
    size, at = complete.size_of(file), len(SIGNATURE)
    found = Chunks()
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
            found.bits = max(8, file.read(13)[8])
        elif name in COLOUR_CHUNKS and length <= MAX_TEXT:
            found.colour.setdefault(name, file.read(length))
        elif name in TEXT_CHUNKS and length <= MAX_TEXT:
            pair = _text(name, file.read(length))
            found.text += [pair] if pair is not None else []
        elif name == b"IEND":
            return found
        at += 12 + length


def _text(name: bytes, body: bytes) -> tuple[str, str] | None:
    """Keyword and text of a chunk (section 11.3.3), or None if it is damaged."""
    keyword, _, rest = body.partition(b"\0")
    compressed = name == b"zTXt"
    if name == b"zTXt":
        rest = rest[1:]
    elif name == b"iTXt":
        compressed = rest[:1] == b"\1"
        _language, _, rest = rest[2:].partition(b"\0")
        _translated, _, rest = rest.partition(b"\0")
    if compressed:
        try:
            rest = zlib.decompressobj().decompress(rest, MAX_TEXT)
        except zlib.error:
            return None
    return keyword.decode("latin-1"), rest.decode("utf-8" if name == b"iTXt" else "latin-1", "replace")


def _colour(chunks: dict[bytes, bytes], profile: bytes | None) -> bytes | Cicp | None:
    """cICP, then iCCP, then sRGB, then gAMA and cHRM (section 4.3)."""
    code_points = chunks.get(b"cICP", b"")
    if len(code_points) == 4 and tuple(code_points[:2]) != (cicp.UNSPECIFIED, cicp.UNSPECIFIED):
        return Cicp(code_points[0], code_points[1], full=code_points[3] != 0)
    if b"iCCP" in chunks:
        return profile or b"damaged"
    if b"sRGB" in chunks:
        return cicp.SRGB_SPACE
    gamma, corners = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    has_gamma, has_corners = len(gamma) == 4 and any(gamma), len(corners) == 32 and any(corners)
    if not has_gamma and not has_corners:
        return None
    white, primaries = icc.D65, icc.SRGB_PRIMARIES
    if has_corners:
        numbers = [number / 100_000 for number in struct.unpack(">8I", corners)]
        white, primaries = (numbers[0], numbers[1]), tuple(numbers[2:])
    exponent = 100_000 / struct.unpack(">I", gamma)[0] if has_gamma else 2.2
    return icc.rgb_profile(primaries, white, gamma=exponent)


def _raw_profiles(text: list[tuple[str, str]]) -> dict[str, bytes]:
    """What ImageMagick, exiftool and others keep in text, by kind: a line with a name, one with a length, and
    hexadecimal digits."""
    profiles: dict[str, bytes] = {}
    for keyword, value in text:
        found = re.match(r"\s*[^\n]*\n\s*\d+\s+([0-9A-Fa-f\s]*)\Z", value.lstrip("\n"))
        if keyword.startswith(RAW_PROFILE) and found:
            digits = "".join(found[1].split())
            profiles.setdefault(keyword.removeprefix(RAW_PROFILE), bytes.fromhex(digits[: len(digits) // 2 * 2]))
    return profiles


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
