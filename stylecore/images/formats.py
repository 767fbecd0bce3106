"""File formats: the suffixes and first bytes by which we recognise them, and what each can hold."""

from __future__ import annotations

HEAD = 64  # bytes from which `kind_of` recognises a format

RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
ONE_SUFFIX = {
    ".jpeg": ".jpg",
    ".jpe": ".jpg",
    ".jfif": ".jpg",
    ".mpo": ".jpg",
    ".tiff": ".tif",
    ".heif": ".heic",
    ".hif": ".heic",
}
"""Other suffixes of a format, each with the one that Results have."""

EXTENSIONS = {
    "jpeg": ".jpg", "png": ".png", "tiff": ".tif", "webp": ".webp", "avif": ".avif", "heic": ".heic", "npy": ".npy",
}  # fmt: skip
"""The formats of Results. npy: bare samples, for those who sent bare samples."""

PICTURE_SUFFIXES = tuple(sorted({*EXTENSIONS.values(), *ONE_SUFFIX, ".gif", ".bmp", *RAW_SUFFIXES} - {".npy"}))
"""The suffixes of all pictures that can be read, in lower case."""

OTHER_PICTURES = (
    ".eps", ".exr", ".hdr", ".ico", ".j2k", ".jp2", ".jpx", ".jxl", ".jxr", ".kra", ".pbm", ".pcx", ".pgm", ".pnm",
    ".ppm", ".psb", ".psd", ".svg", ".tga", ".xcf",
)  # fmt: skip
"""The suffixes of pictures that cannot be read. They fail with the reason, instead of being skipped."""

READ_ONLY = {"raw": "jpeg", "gif": "png", "bmp": "png"}
"""Formats that are read but not written, each with the format of its Results."""

LARGEST_EDGE = {"jpeg": 65_535, "webp": 16_383, "avif": 65_535, "heic": 16_384}
"""Pixels. Formats that are not listed have no limit of their own."""

DEPTH = {"jpeg": 8, "webp": 8, "avif": 8, "heic": 12, "png": 16, "tiff": 16, "npy": 16}
"""The most bits per channel that a Result can have."""

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
RAW_MAGIC = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}


def kind_of(head: bytes) -> str | None:
    """The format of a file that begins with these bytes: jpeg, png, tiff (also of RAW files built like one), webp,
    avif, heic, gif, bmp, raw or npy. None if it does not begin like a picture that can be read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(RAW_MAGIC) or (head[:4] in TIFF_MAGIC and head[8:10] == b"CR"):
        return "raw"
    magics = {b"\x89PNG\r\n\x1a\n": "png", b"GIF87a": "gif", b"GIF89a": "gif", b"\x93NUMPY": "npy"}
    for magic, kind in (*magics.items(), *((magic, "tiff") for magic in TIFF_MAGIC)):
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return "bmp"
    return _box_kind(head) if head[4:8] == b"ftyp" else None


def _box_kind(head: bytes) -> str | None:
    """The major brand, then the compatible ones (ISO 14496-12, 4.3)."""
    end = min(len(head), int.from_bytes(head[:4], "big"))
    major, brands = head[8:12], {head[at : at + 4] for at in range(16, end, 4)}
    if major == b"crx ":
        return "raw"
    for kind, own in (("avif", AVIF_BRANDS), ("heic", HEIF_BRANDS)):
        if major in own and not (kind == "heic" and brands & AVIF_BRANDS and major in (b"mif1", b"msf1")):
            return kind
    return "avif" if brands & AVIF_BRANDS else "heic" if brands & HEIF_BRANDS else None


def one_suffix(suffix: str) -> str:
    """The suffix that stands for a format: ``.JPEG`` gives ``.jpg``."""
    return ONE_SUFFIX.get(suffix.lower(), suffix.lower())
