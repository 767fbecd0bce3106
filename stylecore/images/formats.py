"""File formats: the suffixes by which we recognise them, and what each can hold."""

from __future__ import annotations

RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef",
    ".raf", ".rw2", ".srw", ".x3f",
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

READ_ONLY = {"raw": "jpeg", "gif": "png", "bmp": "png"}
"""Formats that are read but not written, each with the format of its Results."""

LARGEST_EDGE = {"jpeg": 65_535, "webp": 16_383, "avif": 65_535, "heic": 16_384}
"""Pixels. Formats that are not listed have no limit of their own."""

SIXTEEN_BITS = ("png", "tiff", "npy")


def one_suffix(suffix: str) -> str:
    """The suffix that stands for a format: ``.JPEG`` gives ``.jpg``."""
    return ONE_SUFFIX.get(suffix.lower(), suffix.lower())
