"""Metadata from one format to another: what a format can hold travels, and a note says what it cannot."""

from __future__ import annotations

from dataclasses import replace

from stylecore.images import exif, iptc
from stylecore.images.photo import Metadata

HOLDS = {
    "jpeg": ("exif", "xmp", "iptc", "comment"),
    "tiff": ("exif", "xmp", "iptc"),
    "png": ("exif", "xmp", "iptc", "text"),
    "webp": ("exif", "xmp"),
    "avif": ("exif", "xmp"),
    "heic": ("exif", "xmp"),
    "npy": (),
}
"""What each format of a Result can hold besides pixels and their colours."""

JPEG_SEGMENT = 65_533
LARGEST = {  # bytes, in a JPEG
    "exif": JPEG_SEGMENT - 6, "xmp": JPEG_SEGMENT - 29, "iptc": JPEG_SEGMENT - 26, "comment": JPEG_SEGMENT,
}  # fmt: skip
NAMES = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "comment": "comment"}
IN_EXIF = {
    "Description": exif.DESCRIPTION, "Author": exif.ARTIST, "Copyright": exif.COPYRIGHT, "Software": exif.SOFTWARE,
}  # fmt: skip
"""PNG's keywords, with the EXIF tags of the same meaning."""

IPTC_KEYWORDS = {iptc.CAPTION: "Description", iptc.BY_LINE: "Author", iptc.COPYRIGHT: "Copyright"}


def fitted(metadata: Metadata, kind: str) -> tuple[Metadata, list[str]]:
    """As much as the format can hold, and notes on the rest. Captions, authors and copyright go to EXIF if what they
    are in cannot be held."""
    holds = HOLDS[kind]
    if not holds:  # bare samples go back to where they came from
        return Metadata(), []
    notes: list[str] = []
    texts: dict[str, str] = {}
    if metadata.iptc and "iptc" not in holds:
        found = iptc.texts(metadata.iptc)
        texts |= {keyword: found[key] for key, keyword in IPTC_KEYWORDS.items() if key in found}
        new = exif.missing(metadata.exif, {IN_EXIF[keyword]: text for keyword, text in texts.items()})
        kept = ", ".join(keyword.lower() for keyword in texts if IN_EXIF[keyword] in new)
        notes.append(f"{kind} cannot hold IPTC: {kept + ' went to EXIF; ' if kept else ''}the rest was left out.")
        metadata = replace(metadata, iptc=None)
    if metadata.text and "text" not in holds:
        metadata = _without_text(metadata, kind, texts, notes)
    if metadata.comment and "comment" not in holds:
        if "text" in holds:
            comment = ("Comment", iptc.as_text(metadata.comment))
            metadata = replace(metadata, text=(*metadata.text, comment))
        else:
            notes.append(f"{kind} cannot hold a comment, so its comment was left out.")
        metadata = replace(metadata, comment=None)
    tags = {IN_EXIF[keyword]: text for keyword, text in texts.items() if keyword in IN_EXIF}
    metadata = replace(metadata, exif=exif.with_texts(metadata.exif, exif.missing(metadata.exif, tags)))
    return (_in_segments(metadata, notes) if kind == "jpeg" else metadata), notes


def _without_text(metadata: Metadata, kind: str, texts: dict[str, str], notes: list[str]) -> Metadata:
    """Texts to EXIF and, in a JPEG, to its comment."""
    for keyword, text in metadata.text:
        if keyword in IN_EXIF:
            texts.setdefault(keyword, text)
    comment = dict(metadata.text).get("Comment")
    if comment and "comment" in HOLDS[kind] and not metadata.comment:
        metadata = replace(metadata, comment=comment.encode())
        left = [keyword for keyword, _ in metadata.text if keyword not in (*IN_EXIF, "Comment")]
    else:
        left = [keyword for keyword, _ in metadata.text if keyword not in IN_EXIF]
    if left:
        notes.append(f"{kind} cannot hold PNG's texts, so these were left out: {', '.join(dict.fromkeys(left))}.")
    return replace(metadata, text=())


def _in_segments(metadata: Metadata, notes: list[str]) -> Metadata:
    """As much as a JPEG's segments can hold."""
    if metadata.exif and len(metadata.exif) > LARGEST["exif"]:
        notes.append("Its maker notes are larger than a JPEG can hold and were left out.")
        metadata = replace(metadata, exif=exif.from_tiff(metadata.exif, makers_notes=False))
    for name, largest in LARGEST.items():
        if len(getattr(metadata, name) or b"") > largest:
            notes.append(f"Its {NAMES[name]} is larger than a JPEG can hold and was left out.")
            metadata = Metadata(**{**vars(metadata), name: None})
    return metadata
